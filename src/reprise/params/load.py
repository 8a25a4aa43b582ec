"""The whole of params.yaml: read and checked, with one line for its first error."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from reprise.errors import RepriseError
from reprise.params import models
from reprise.params.base import PARAMS, Block, Task, invalid, read_yaml, require_name, validate
from reprise.params.classify import ClassifyTask
from reprise.params.datasets import DatasetRecipe
from reprise.params.embed import Embed
from reprise.params.finetune import FinetuneTask
from reprise.params.plot import Plot
from reprise.params.pretrain import PretrainTask
from reprise.params.runtime import Runtime, WeightsFile
from reprise.params.segment import SegmentTask
from reprise.params.segment_anything import SegmentAnythingTask

# features that a job of a stage saves
FEATURE_SPLIT = {"finetune": "train", "classify": "test"}
OLD_KEYS = ("prepare", "faces", "street", "anything")


class Params(Block):
    """The whole of params.yaml; every stage and every task may be absent."""

    runtime: Runtime = Runtime()
    weights: dict[str, WeightsFile] = {}
    datasets: dict[str, DatasetRecipe]
    pretrain: dict[str, PretrainTask] = {}
    finetune: dict[str, FinetuneTask] = {}
    classify: dict[str, ClassifyTask] = {}
    segment: dict[str, SegmentTask] = {}
    segment_anything: dict[str, SegmentAnythingTask] = {}
    embed: dict[str, Embed] = {}
    plot: Plot = Plot(dpi=110)

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for key, task in self._tasks():
            require_name(f"{key}.data", task.data, self.datasets, "datasets")
        for name, finetune in self.finetune.items():
            self._check_starts(f"finetune.{name}", finetune)
        for name, embed in self.embed.items():
            self._check_embedded(f"embed.{name}", embed)
        self._check_models()
        return self

    def _tasks(self) -> list[tuple[str, Task]]:
        """Every task by its dotted key."""
        stages = ("pretrain", "finetune", "classify", "segment", "segment_anything")
        return [
            (f"{stage}.{name}", task)
            for stage in stages
            for name, task in getattr(self, stage).items()
        ]

    def _check_starts(self, key: str, task: FinetuneTask) -> None:
        """Each run starts from scratch or from a run of the pretraining task."""
        starts = {run: task.recipes[run].start for run in task.runs}
        pretrained = {run: start for run, start in starts.items() if start != "none"}
        if not pretrained:
            return
        if task.pretraining is None:
            raise invalid(f"{key}.pretraining: is missing; name a task of pretrain")
        require_name(f"{key}.pretraining", task.pretraining, self.pretrain, "pretrain")
        pretraining = self.pretrain[task.pretraining]
        for run, start in pretrained.items():
            where = f"pretrain.{task.pretraining}.runs"
            require_name(f"{key}.recipes.{run}.start", start, ["none", *pretraining.runs], where)
        if task.pretraining_seed not in pretraining.seeds:
            raise invalid(
                f"{key}.pretraining_seed: {task.pretraining_seed} is not in "
                f"pretrain.{task.pretraining}.seeds; choose from {pretraining.seeds}"
            )

    def _check_embedded(self, key: str, embed: Embed) -> None:
        """The job whose features are shown exists and saves them for this split."""
        tasks: dict[str, Any] = getattr(self, embed.stage)
        require_name(f"{key}.task", embed.task, tasks, embed.stage)
        task = tasks[embed.task]
        require_name(f"{key}.run", embed.run, task.runs, f"{embed.stage}.{embed.task}.runs")
        if embed.seed not in task.seeds:
            where = f"{embed.stage}.{embed.task}.seeds"
            raise invalid(f"{key}.seed: {embed.seed} is not in {where}; choose from {task.seeds}")
        if embed.split != FEATURE_SPLIT[embed.stage]:
            split = FEATURE_SPLIT[embed.stage]
            raise invalid(
                f"{key}.split: {embed.stage} jobs save the features of {split}; set split: {split}"
            )

    def _check_models(self) -> None:
        """Every recipe names a network and weights that exist."""
        for key, kind, model, weights in self._networks():
            name = "backbone" if kind == "BACKBONES" else "model"
            require_name(f"{key}.{name}", model, models.names(kind), "src/reprise/models")
            choices = ["none", *self.weights, *models.packaged_weights(model)]
            require_name(f"{key}.weights", weights, choices, "weights")
        for key, weights in self._checkpoints():
            require_name(f"{key}.weights", weights, ["none", *self.weights], "weights")

    def _networks(self) -> Iterator[tuple[str, str, str, str]]:
        """Dotted key of the recipe, kind of network, its name and weights, of every run."""
        for name, pretrain in self.pretrain.items():
            for run in pretrain.runs:
                recipe = pretrain.recipes[run]
                weights = str(getattr(recipe, "weights", "none"))
                yield f"pretrain.{name}.recipes.{run}", "BACKBONES", recipe.backbone, weights
        for name, finetune in self.finetune.items():
            yield f"finetune.{name}.common", "BACKBONES", finetune.common.backbone, "none"
        for name, classify in self.classify.items():
            for run in classify.runs:
                one = classify.recipes[run]
                yield f"classify.{name}.recipes.{run}", "CLASSIFIERS", one.model, one.weights
        for name, segment in self.segment.items():
            for run in segment.runs:
                mask = segment.recipes[run]
                yield f"segment.{name}.recipes.{run}", "SEGMENTERS", mask.model, mask.weights

    def _checkpoints(self) -> Iterator[tuple[str, str]]:
        """Dotted key and weights of every run of Segment Anything."""
        for name, task in self.segment_anything.items():
            for run in task.runs:
                yield f"segment_anything.{name}.recipes.{run}", task.recipes[run].weights


def parse(values: Any, source: str = "params.yaml") -> Params:
    """Check the values of a whole params.yaml. Raises RepriseError (see `base.validate`)."""
    if isinstance(values, dict) and any(key in values for key in OLD_KEYS):
        old = next(key for key in OLD_KEYS if key in values)
        raise RepriseError(
            f"{source}: '{old}' is a key of an older version; "
            f"`python -m reprise.params.migrate {source}` rewrites the file"
        )
    return validate(Params, values, source)


def load_params(path: Path = PARAMS) -> Params:
    """Read and check a params.yaml. Raises RepriseError (see `parse`)."""
    return parse(read_yaml(path), str(path))


def schema_json() -> str:
    """The JSON schema of params.yaml, for editors."""
    return json.dumps(Params.model_json_schema(), indent=2, sort_keys=True) + "\n"
