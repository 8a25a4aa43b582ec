"""The whole of params.yaml: read and checked, with one line for its first error."""

import json
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from reprise.errors import RepriseError
from reprise.params import models
from reprise.params.base import PARAMS, Block, Name, invalid, require_name, validate
from reprise.params.classify import ClassifyTask
from reprise.params.datasets import DatasetRecipe
from reprise.params.embed import Embed
from reprise.params.finetune import FinetuneTask
from reprise.params.libraries import prefix_of
from reprise.params.pieces import pieces_problem
from reprise.params.pretrain import PretrainTask
from reprise.params.reader import read_yaml
from reprise.params.segment import SegmentTask
from reprise.params.segment_anything import SegmentAnythingTask
from reprise.params.training import Runtime, Training, WeightsFile

# features that a job of a stage saves
FEATURE_SPLIT = {"finetune": "train", "classify": "test"}
OLD_KEYS = ("prepare", "faces", "street", "anything")
# of each stage with tasks: the key of a recipe's network, and the constant that declares its name
NETWORKS = {
    "pretrain": ("backbone", "BACKBONES"),
    "finetune": ("backbone", "BACKBONES"),
    "classify": ("model", "CLASSIFIERS"),
    "segment": ("model", "SEGMENTERS"),
    "segment_anything": None,
}


class Plot(Block):
    """dpi: of PNG files."""

    dpi: Annotated[int, Field(ge=10, le=1200)]


class Params(Block):
    """The whole of params.yaml; every stage and every task may be absent.

    warning: why the numbers mean nothing, which everything that shows them repeats; null: they do.
    """

    warning: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    runtime: Runtime = Runtime()
    weights: dict[Name, WeightsFile] = {}
    datasets: dict[Name, DatasetRecipe]
    pretrain: dict[Name, PretrainTask] = {}
    finetune: dict[Name, FinetuneTask] = {}
    classify: dict[Name, ClassifyTask] = {}
    segment: dict[Name, SegmentTask] = {}
    segment_anything: dict[Name, SegmentAnythingTask] = {}
    embed: dict[Name, Embed] = {}
    plot: Plot = Plot(dpi=110)

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        tasks = [(stage, name) for stage in NETWORKS for name in getattr(self, stage)]
        for stage, name in tasks:
            data = getattr(self, stage)[name].data
            require_name(f"{stage}.{name}.data", data, self.datasets, "datasets")
        for name, finetune in self.finetune.items():
            self._check_starts(f"finetune.{name}", finetune)
        for name, embed in self.embed.items():
            self._check_embedded(f"embed.{name}", embed)
        for stage, name in tasks:
            self._check_networks(stage, name)
        self._check_processes()
        return self

    def _check_starts(self, key: str, task: FinetuneTask) -> None:
        """Each run starts from scratch or from a run of the pretraining task."""
        starts = {run: task.recipes[run].start for run in task.runs}
        pretrained = {run: start for run, start in starts.items() if start != "none"}
        if not pretrained:
            return
        if task.pretraining is None:
            raise invalid(f"{key}.pretraining: is missing; name a task of pretrain")
        require_name(f"{key}.pretraining", task.pretraining, self.pretrain, "pretrain")
        pretraining, where = self.pretrain[task.pretraining], f"pretrain.{task.pretraining}"
        for run, start in pretrained.items():
            choices = ["none", *pretraining.runs]
            require_name(f"{key}.recipes.{run}.start", start, choices, f"{where}.runs")
        _check_pairs(key, task, pretraining.seeds, where)

    def _check_embedded(self, key: str, embed: Embed) -> None:
        """The job whose features are shown exists and saves them for this split."""
        tasks: dict[str, Any] = getattr(self, embed.stage)
        require_name(f"{key}.task", embed.task, tasks, embed.stage)
        task, where = tasks[embed.task], f"{embed.stage}.{embed.task}"
        require_name(f"{key}.run", embed.run, task.runs, f"{where}.runs")
        _require_seed(f"{key}.seed", embed.seed, task.seeds, where)
        split = FEATURE_SPLIT[embed.stage]
        if embed.split != split:
            raise invalid(
                f"{key}.split: {embed.stage} jobs save the features of {split}; set split: {split}"
            )

    def _check_processes(self) -> None:
        """Every batch can be cut into its pieces, and these be shared by the processes."""
        recipes = {
            f"{stage}.{name}.recipes.{run}": task.training(run)
            if stage == "finetune"
            else task.recipes[run]
            for stage in ("pretrain", "finetune", "classify", "segment")
            for name, task in getattr(self, stage).items()
            for run in task.runs
        }
        for key, recipe in recipes.items():
            if problem := pieces_problem(recipe, self.runtime):
                raise invalid(f"{key}.micro_batches: {problem}")
        if self.runtime.processes > 1 and all(r.micro_batches == 1 for r in recipes.values()):
            raise invalid(
                f"runtime.processes: is {self.runtime.processes}, but no recipe has micro_batches "
                "above 1, so one process would train each; set micro_batches, or processes: 1"
            )

    def _check_networks(self, stage: str, name: str) -> None:
        """Every recipe of a task names a network and weights that exist."""
        task = getattr(self, stage)[name]
        recipes = {f"recipes.{run}": task.recipes[run] for run in task.runs}
        if stage == "finetune":
            recipes = {"common": task.common}
        for where, recipe in recipes.items():
            key, weights = f"{stage}.{name}.{where}", ["none", *self.weights]
            if network := NETWORKS[stage]:
                option, kind = network
                model = getattr(recipe, option)
                if reason := models.unknown(model, kind):
                    raise invalid(f"{key}.{option}: {reason}")
                weights += models.packaged_weights(model)
                _check_options(key, model, recipe)
            require_name(f"{key}.weights", getattr(recipe, "weights", "none"), weights, "weights")


def _check_pairs(key: str, task: FinetuneTask, pretrained: list[int], where: str) -> None:
    """Every seed of fine-tuning has the pretraining that it starts from."""
    if not pretrained:
        raise invalid(f"{where}.seeds: is empty, but {key} starts from its backbones; add a seed")
    lacking = [seed for seed in task.seeds if seed not in pretrained]
    if lacking and task.pretraining_seeds == "paired":
        raise invalid(
            f"{key}.seeds: {lacking[0]} is not in {where}.seeds; add it there, or set "
            f"{key}.pretraining_seeds: shared"
        )


def _check_options(key: str, model: str, recipe: Training) -> None:
    """The network can take images of this size, and has the options of its kind only."""
    least, step = models.image_sizes(model)
    size = getattr(recipe, "image_size", None)
    if size is not None and (size < least or size % step):
        sizes = f"a multiple of {step}, " if step > 1 else ""
        text = f"{size} does not fit {model}; choose {sizes}{least} or more"
        raise invalid(f"{key}.image_size: {text}")
    of_library = prefix_of(model) is not None
    if recipe.normalize == "network" and not of_library:
        raise invalid(f"{key}.normalize: network is for those of timm and smp; use imagenet")
    if of_library and getattr(recipe, "stem", "imagenet") != "imagenet":
        raise invalid(f"{key}.stem: {model} has its own; set stem: imagenet")
    if of_library and getattr(recipe, "keep_imagenet_fc", False):
        raise invalid(f"{key}.keep_imagenet_fc: {model} ends before that layer; set it to false")


def _require_seed(key: str, seed: int, seeds: list[int], where: str) -> None:
    if seed not in seeds:
        raise invalid(f"{key}: {seed} is not in {where}.seeds; choose from {seeds}")


def parse(values: Any, source: str = "params.yaml") -> Params:
    """Check the values of a whole params.yaml. Raises RepriseError (see `base.validate`)."""
    old = [key for key in OLD_KEYS if isinstance(values, dict) and key in values]
    if old:
        raise RepriseError(
            f"{source}: '{old[0]}' is a key of an older version; "
            f"`python -m reprise.params.migrate {source}` rewrites the file"
        )
    return validate(Params, values, source)


def load_params(path: Path = PARAMS) -> Params:
    """Read and check a params.yaml. Raises RepriseError (see `parse`)."""
    return parse(read_yaml(path), str(path))


def schema_json() -> str:
    """The JSON schema of params.yaml, for editors."""
    return json.dumps(Params.model_json_schema(), indent=2, sort_keys=True) + "\n"
