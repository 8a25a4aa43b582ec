"""The blocks of the stages that train, embed and plot."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from reprise.errors import RepriseError
from reprise.params.block import Block, Count, Name, Positive, Rate, Share
from reprise.params.training import Training

Setting = Literal["A", "B", "C", "D", "E"]
Backbone = Literal["resnet10", "resnet18", "resnet50"]


class Pretraining(Training):
    """What both ways of pretraining share."""

    backbone: Backbone
    stem: Literal["imagenet", "small"]
    seed: int = 0
    neighbours: Positive = 20


class SupervisedPretraining(Pretraining):
    """Supervised pretraining on the labels of the data set, or the weights of someone else's."""

    weights: str = "none"  # a name of the weights block: its file is the backbone, nothing trains


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
    imagenet_layer: bool = False  # the head reads the backbone's 1000 logits, as the reports' did
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

    model: Literal["cnn", "lite0", "alexnet", "efficientnet_b2", "resnet101", "resnext101_64x4d"]
    weights: str = "none"  # or a name of the weights block; of lite0: imagenet, from its package
    frozen: bool = False  # train the last layer alone
    dropout: Share = 0.0  # before the last layer; not of cnn
    width: Share = 1.0  # of the channels of alexnet; published weights fit 1.0 alone
    vote: Positive = 1  # so many epochs, those of the lowest select loss, answer together
    image_size: Positive
    features: list[Positive]  # epochs whose features are kept


class Classify(Block):
    """Classifiers on one data set."""

    data: str
    runs: list[Name]
    seeds: list[Count]
    recipes: dict[str, ClassifyRecipe]


Segmenter = Literal[
    "fcn32s",
    "fcn32s_vgg16",  # the same with the layers of torchvision's vgg16: no batch norm
    "fcn32s_2021",  # as the 2021 report prints it, cropped 16 pixels off the middle
    "fcn32s_2021_centred",
    "fcn32s_k44s52",  # as the 2024 report has it: 26 % of the pixels get no value
    "fcn8s",
    "fcn8s_noskip",
    "fcn8s_vgg16",
    "fcn8s_vgg16_noskip",
    "deeplabv3",  # small, for images of 64 pixels
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "unet_mobilenetv3",
]


class SegmentRecipe(Training):
    """One segmentation model."""

    model: Segmenter
    width: Share = 1.0  # of the VGG-16 channels
    weights: str = "none"  # or a name of the weights block
    image_size: Positive
    middle: Positive | None = None  # the epoch of the middle masks; null: half of all
    merge: Literal[3] | None = None  # train on the merged classes
    loss: Literal["cross_entropy", "weighted", "binary"] = "cross_entropy"  # see training/losses.py
    held_norm: bool = False  # of fcn8s: batch norm keeps mean 0 and variance 1, as in the starter

    @property
    def moments(self) -> dict[str, int]:
        """The epochs whose masks are shown."""
        middle = self.middle or (self.epochs + 1) // 2
        return {"early": 1, "middle": middle, "final": self.epochs}


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
