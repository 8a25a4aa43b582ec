"""Trained runs by name, and one of them loaded to predict images."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from reprise.atomic_io import check_file, read_json, sha256
from reprise.datasets.batches import Batches, Normalization, eval_batch_size
from reprise.datasets.prepared import Bytes, Classes, PreparedDataset, read_prepared
from reprise.errors import RepriseError, did_you_mean
from reprise.images import read_rgb
from reprise.jobs import CLASSIFYING, Job
from reprise.models.build import BUILDERS, is_depthwise, normalization_of
from reprise.models.weights import load_state, read_tensors
from reprise.params.base import PARAMS, validate, value_at
from reprise.params.load import load_params
from reprise.params.reader import parse_yaml, read_yaml
from reprise.record import Record
from reprise.training.runtime import Device, configure_torch, predict_batches
from reprise.training.segmentation import resize_logits

MODEL = "model.safetensors"


@dataclass(frozen=True)
class TrainedRun:
    """A trained run, ready to predict.

    recipe: of the run, with `normalize` and, but for fine-tuning, `image_size`. classes: what it
    predicts. dataset: what it was trained on. inputs: the files that were read.
    """

    job: Job
    recipe: Any
    model: nn.Module
    classes: Classes
    dataset: PreparedDataset
    device: Device
    inputs: list[Path]

    @property
    def segments(self) -> bool:
        """Whether it predicts label maps."""
        return self.job.stage not in CLASSIFYING

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the images that it was trained on, before they are resized."""
        crop = self.recipe.augment.crop_pixels
        return (crop, crop) if crop else (self.dataset.height, self.dataset.width)

    @property
    def cut(self) -> bool:
        """Whether those images were cut from larger ones, and not scaled to their size."""
        stored = (self.dataset.height, self.dataset.width)
        return self.dataset.scaling == "cut" or self.shape != stored

    @property
    def batch_size(self) -> int:
        """Images to predict at a time."""
        return eval_batch_size(input_size(self), self.device.device)

    @property
    def mean_and_std(self) -> Normalization:
        """Of red, green and blue in 0..1, by which pixels are normalized."""
        return normalization_of(self.recipe) or (self.dataset.mean, self.dataset.std)

    def read(self, path: Path) -> Bytes:
        """An image file, brought to `shape` as the images of the dataset were, (*shape, 3) uint8.

        Raises RepriseError as `read_rgb` does.
        """
        info = self.dataset.info
        how = info.get("resize", "cover"), info.get("interpolation", "bilinear")
        return read_rgb(path, self.shape, *how)

    def logits(self, images: Bytes) -> Tensor:
        """Logits of images (n, *shape, 3) uint8, preprocessed as in training.

        (n, classes), or for label maps (n, classes, *shape).
        """
        recipe, dataset = self.recipe, self.dataset.with_images(images)
        size = getattr(recipe, "image_size", None)
        augment = recipe.augment  # evaluation crops and resizes as it says
        batches = Batches(dataset, augment, 0, self.device.device, size, self.mean_and_std)
        network: Callable[[Tensor], Tensor] = self.model
        if self.segments:
            network = partial(resize_logits, self.model, size=self.shape)
        rows = np.arange(len(images))
        return predict_batches(network, batches.eval_batch, rows, self.device, self.batch_size)


def network_name(recipe: Any) -> str:
    """The name of a recipe's network: of its backbone, for fine-tuning."""
    return str(recipe.model if hasattr(recipe, "model") else recipe.backbone)


def input_size(run: TrainedRun) -> tuple[int, int]:
    """Height and width of the images that the network itself takes."""
    size = getattr(run.recipe, "image_size", None)
    return (size, size) if size else run.shape


def open_run(name: str, project: str | Path = ".") -> TrainedRun:
    """A trained run of a project, the folder that holds params.yaml and results/.

    Raises RepriseError if there is no such run, if its recipe has changed since it was trained, or
    if one of its files is missing or damaged.
    """
    project = Path(project)
    params = load_params(project / PARAMS)
    results = project / "results"
    job = find_run(name, results)
    task = getattr(params, job.stage).get(job.task)
    if task is None or job.run not in task.recipes:
        raise RepriseError(
            f"params.yaml: {job.stage}.{job.task}.recipes.{job.run} is missing; restore the recipe"
        )
    record = check_unchanged(job, task.data, project)
    dataset = read_prepared(results / "prepare" / task.data)
    recipe = task.training(job.run) if job.stage == "finetune" else task.recipes[job.run]
    classes, _ = dataset.merged(getattr(recipe, "merge_classes", None))
    model = BUILDERS[job.stage](recipe, len(classes.names))
    device = configure_torch(params.runtime, depthwise=is_depthwise(network_name(recipe)))
    path = job.folder(results) / MODEL
    load_state(model, read_tensors(path, "retrain the run"), str(path))
    device.to_device(model.eval())
    described = [dataset.folder / "dataset.json", dataset.folder / "index.csv"]
    inputs = [project / PARAMS, record, path, *described]
    return TrainedRun(job, recipe, model, classes, dataset, device, inputs)


def find_run(name: str, results: Path) -> Job:
    """The run of a name, such as classify/baseline/cnn/0, or of a folder.

    Raises RepriseError, which lists the trained runs.
    """
    runs = {}
    for stage in BUILDERS:
        for model in sorted((results / stage).glob(f"*/*/*/{MODEL}")):
            task, run, seed = model.parts[-4:-1]
            if seed.isdecimal() and len(seed) < 20:
                runs[f"{stage}/{task}/{run}/{seed}"] = Job(stage, task, run, int(seed))
    path = name.strip("/").removeprefix(f"{results.as_posix()}/").removeprefix("results/")
    if path in runs:
        return runs[path]
    if not runs:
        raise RepriseError(f"{results}: no trained runs; `make run` trains those of params.yaml")
    hint = did_you_mean(path, runs)
    if not hint.startswith("choose"):
        hint += f" The trained runs are {', '.join(runs)}"
    raise RepriseError(f"{results}: no trained run '{name}'; {hint}")


def check_unchanged(job: Job, data: str, project: Path) -> Path:
    """Raise RepriseError if params.yaml has other values for a run than it was trained with.

    The training values are in the job's record next to its log, whose path is returned. Without a
    record of this model, only the shapes of the weights can reveal a change.
    """
    path = project / "logs" / f"{job.path}.json"
    if not os.path.lexists(path):
        return path
    record = validate(Record, read_json(path), str(path))
    model = f"results/{job.path}/{MODEL}"
    check_file(project / model, "retrain the run")
    if record.outputs.get(model) != sha256(project / model):
        return path
    trained_with = parse_yaml(record.params, f"{path}: params")
    current = read_yaml(project / PARAMS)
    task = f"{job.stage}.{job.task}"
    keys = [f"{task}.data", f"datasets.{data}", f"{task}.common", f"{task}.recipes.{job.run}"]
    for key in keys:
        if value_at(trained_with, key) != value_at(current, key):
            raise RepriseError(
                f"params.yaml: {key} has changed since {job.path} was trained; restore the value, "
                "or retrain the run"
            )
    return path
