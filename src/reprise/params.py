"""params.yaml as typed, frozen values; a wrong key is an error that names its nearest neighbour."""

import difflib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from reprise.errors import RepriseError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
Setting = Literal["A", "B", "C", "D", "E"]


class Block(BaseModel):
    """One block of params.yaml: frozen, and strict about its keys and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                near = difflib.get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.5)
                hint = (
                    f"did you mean '{near[0]}'?"
                    if near
                    else f"known: {', '.join(cls.model_fields)}"
                )
                raise PydanticCustomError(
                    "unknown_key", "{text}", {"text": f"unknown key '{key}'; {hint}"}
                )
        return data


class Runtime(Block):
    """Where and how the numbers are computed."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: Positive = 1


class FaceSet(Block):
    """ORL faces, split by person; shares are of the persons."""

    source: Literal["faces"]
    select: Share
    report: Share
    seed: int = 0


class Grid(Block):
    """How the globe is cut: `tile` and `stride` in pixels, `block` in degrees."""

    tile: Positive
    stride: Positive
    land: Share
    block: Positive
    select: Share
    report: Share
    seed: int = 0
    train: Positive | None = None


class TileSet(Grid):
    """Tiles with one class each, the commonest one of the tile."""

    source: Literal["tiles"]
    labels: Literal["koeppen", "igbp"]
    region: Literal["world", "oldworld", "newworld"]
    majority: Share
    least: Positive


class MapSet(Grid):
    """Tiles with a label map each."""

    source: Literal["maps"]
    labels: Literal["course", "igbp"]


class Prepare(Block):
    """The data sets."""

    sets: list[Name]
    recipes: dict[str, Annotated[TileSet | MapSet | FaceSet, Field(discriminator="source")]]


class Augment(Block):
    """Per-image random changes; each default means: not at all."""

    crop: Annotated[float, Field(gt=0, le=1)] = 1.0  # least area of a random resized crop
    flip: bool = False  # left-right
    dihedral: bool = False  # one of the eight flips and quarter turns
    shift: Share = 0.0  # most, as a share of the width
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0  # most, in degrees
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    jitter: Share = 0.8  # probability of the four above
    grey: Share = 0.0  # probability


Schedule = Literal["constant", "cosine", "cosine_restarts", "step", "exponential", "polynomial"]


class Training(Block):
    """What every training job shares."""

    epochs: Positive
    batch_size: Positive
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: Rate
    momentum: Share = 0.9  # of sgd
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Schedule = "cosine"  # see training/schedules.py
    schedule_by: Literal["step", "epoch"] = "step"  # how often the learning rate changes
    warmup: Count = 0  # epochs
    period: Count = 0  # epochs; of step and cosine_restarts
    multiply: Positive = 1  # each period of cosine_restarts is so many times as long
    gamma: Share = 0.1  # of step and exponential
    power: Rate = 0.9  # of polynomial
    phases: list[Positive] = []  # epochs; each phase has a new optimizer and the whole schedule
    augment: Augment = Augment()

    @model_validator(mode="after")
    def _schedule(self) -> Self:
        if self.schedule in ("step", "cosine_restarts") and not self.period:
            raise PydanticCustomError(
                "schedule", "{text}", {"text": f"schedule {self.schedule} needs period, in epochs"}
            )
        if self.phases and sum(self.phases) != self.epochs:
            raise PydanticCustomError(
                "schedule",
                "{text}",
                {"text": f"phases make {sum(self.phases)} epochs, and epochs is {self.epochs}"},
            )
        return self


Backbone = Literal["resnet10", "resnet18", "resnet50"]


class Pretraining(Training):
    """What both ways of pretraining share."""

    backbone: Backbone
    stem: Literal["imagenet", "small"]
    seed: int = 0
    neighbours: Positive = 20


class SupervisedPretraining(Pretraining):
    """Supervised pretraining on the labels of the data set."""


class ByolPretraining(Pretraining):
    """BYOL (Grill et al. 2020)."""

    tau: Share = 0.99
    hidden: Positive = 4096
    projection: Positive = 256
    use_momentum: bool = True  # false: no target network, as SimSiam
    ema_buffers: bool = False  # the target's batch norm statistics follow too
    allow_collapse: bool = False  # go on when all projections are one


class PretrainRecipe(Block):
    """One run's two ways of pretraining."""

    byol: ByolPretraining
    supervised: SupervisedPretraining


class Pretrain(Block):
    """Pretraining."""

    data: str
    runs: list[Name]
    methods: list[Literal["byol", "supervised"]]
    recipes: dict[str, PretrainRecipe]


class FinetuneCommon(Training):
    """What the five settings share: one head, one budget."""

    backbone: Backbone
    stem: Literal["imagenet", "small"]
    hidden: Positive  # width of the head's hidden layer
    features: list[Positive]  # epochs whose features are kept


class SettingRecipe(Block):
    """What sets one setting apart; a value given here replaces the common one."""

    frozen: bool
    learning_rate: Rate | None = None
    weight_decay: Annotated[float, Field(ge=0)] | None = None


class FinetuneRecipe(Block):
    """One run of the settings A to E."""

    common: FinetuneCommon
    A: SettingRecipe
    B: SettingRecipe
    C: SettingRecipe
    D: SettingRecipe
    E: SettingRecipe

    def setting(self, name: str) -> SettingRecipe:
        """The block of a setting. Raises RepriseError for a setting that does not exist."""
        if name not in ("A", "B", "C", "D", "E"):
            raise RepriseError(f"setting '{name}' does not exist; choose from A, B, C, D, E")
        block: SettingRecipe = getattr(self, name)
        return block

    def training(self, name: str) -> FinetuneCommon:
        """The common values with those of the setting in their place."""
        own = self.setting(name).model_dump(exclude={"frozen"}, exclude_none=True)
        return self.common.model_copy(update=own)


class Settings(Block):
    """Which backbone each setting starts from."""

    scratch: list[Setting]
    supervised: list[Setting]
    byol: list[Setting]

    @property
    def all(self) -> list[str]:
        """Every setting, in alphabetical order."""
        return sorted([*self.scratch, *self.supervised, *self.byol])

    def start(self, setting: str) -> Literal["scratch", "supervised", "byol"]:
        """The backbone that `setting` starts from."""
        if setting in self.supervised:
            return "supervised"
        return "byol" if setting in self.byol else "scratch"

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len(set(self.all)) != len(self.all):
            raise PydanticCustomError("twice", "a setting stands in two lists; keep it in one")
        return self


class Finetune(Block):
    """Fine-tuning."""

    data: str
    runs: list[Name]
    settings: Settings
    seeds: list[Count]
    recipes: dict[str, FinetuneRecipe]


class ClassifyRecipe(Training):
    """One classifier."""

    model: Literal["cnn", "lite0"]
    weights: Literal["none", "imagenet"] = "none"
    frozen: bool = False  # train the last layer alone
    image_size: Positive
    features: list[Positive]  # epochs whose features are kept


class Classify(Block):
    """Classifiers on one data set."""

    data: str
    runs: list[Name]
    seeds: list[Count]
    recipes: dict[str, ClassifyRecipe]


class SegmentRecipe(Training):
    """One segmentation model."""

    model: Literal["fcn32s", "fcn8s", "fcn8s_noskip", "deeplabv3"]
    width: Share = 1.0  # of the VGG-16 channels
    image_size: Positive
    merge: Literal[3] | None = None  # train on the merged classes


class Segment(Block):
    """Segmentation models on one data set; `images` are shown at three epochs."""

    data: str
    runs: list[Name]
    seeds: list[Count]
    images: list[str]
    recipes: dict[str, SegmentRecipe]


class EmbedClassify(Block):
    """The classifier whose features are shown."""

    run: str
    seed: int


class EmbedFinetune(EmbedClassify):
    """The fine-tuned model whose features are shown."""

    setting: Setting


class Embed(Block):
    """PCA and t-SNE."""

    methods: list[Literal["pca", "tsne"]]
    classify: EmbedClassify
    finetune: EmbedFinetune
    points: Positive
    components: Positive
    perplexity: Rate
    seed: int


class Plot(Block):
    """How figures look."""

    dpi: Positive


class Params(Block):
    """The whole of params.yaml."""

    runtime: Runtime
    prepare: Prepare
    pretrain: Pretrain
    finetune: Finetune
    classify: Classify
    faces: Classify
    segment: Segment
    street: Segment
    embed: Embed
    plot: Plot

    @cached_property
    def stages(self) -> dict[str, Pretrain | Finetune | Classify | Segment]:
        """The training stages by name."""
        return {
            "pretrain": self.pretrain,
            "finetune": self.finetune,
            "classify": self.classify,
            "faces": self.faces,
            "segment": self.segment,
            "street": self.street,
        }

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name in self.prepare.sets:
            _known("prepare.sets", name, list(self.prepare.recipes), "prepare.recipes")
        for stage, block in self.stages.items():
            _known(f"{stage}.data", block.data, self.prepare.sets, "prepare.sets")
            for run in block.runs:
                _known(f"{stage}.runs", run, list(block.recipes), f"{stage}.recipes")
        for run in self.finetune.runs:
            _known("finetune.runs", run, self.pretrain.runs, "pretrain.runs")
        _known("embed.classify.run", self.embed.classify.run, self.classify.runs, "classify.runs")
        _known("embed.finetune.run", self.embed.finetune.run, self.finetune.runs, "finetune.runs")
        settings = self.finetune.settings.all
        _known("embed.finetune.setting", self.embed.finetune.setting, settings, "finetune.settings")
        return self


OWN = ("unknown_key", "unknown_name", "twice", "schedule")  # messages that say it all


def _known(key: str, name: str, choices: Sequence[str], where: str) -> None:
    if name in choices:
        return
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(choices)}"
    raise PydanticCustomError(
        "unknown_name", "{text}", {"text": f"{key}: '{name}' is not in {where}; {hint}"}
    )


def parse(values: Any, source: str = "params.yaml") -> Params:
    """Check the values of a params.yaml.

    Raises RepriseError with one line for the first fault: file, key, what is wrong, what to do.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        # a discriminated union puts its tag ('tiles') into the location; it is no key of the file
        tags = {"tiles", "maps", "faces"} if first["loc"][:1] == ("prepare",) else set()
        key = ".".join(str(part) for part in first["loc"] if part not in tags)
        given = ""
        if first["type"] not in ("missing", *OWN):
            given = f" (got {first['input']!r})"
        message = f"{key}: {first['msg']}" if key else first["msg"]
        raise RepriseError(f"{source}: {message}{given}") from None


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check a params.yaml. Raises RepriseError (see `parse`)."""
    try:
        # YAML 1.2, as DVC writes it: `2e-05` is a number there, and text for a YAML 1.1 reader
        values = YAML(typ="safe", pure=True).load(path.read_text())
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; `make preset PRESET=earth` writes one") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise RepriseError(f"{path}: not valid YAML: {error}") from None
    return parse(values, str(path))


def schema_json() -> str:
    """The JSON schema of params.yaml, for editors."""
    return json.dumps(Params.model_json_schema(), indent=2, sort_keys=True) + "\n"
