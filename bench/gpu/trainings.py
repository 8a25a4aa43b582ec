"""The trainings whose steps are timed: recipes of presets/course.yaml, on random pixels.

A job is the one that the training code makes of a recipe, taken from it where training would begin.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from bench.measure import ROOT
from reprise.datasets.batches import Batches, Rows
from reprise.datasets.prepared import Kind, PreparedDataset, read_prepared
from reprise.datasets.writer import Dataset, write_dataset
from reprise.engines.preset import render
from reprise.models.build import (
    build_classifier,
    build_finetuned,
    build_segmenter,
    normalization_of,
)
from reprise.params.load import Params, parse
from reprise.params.reader import parse_yaml
from reprise.training import classification, segmentation
from reprise.training.checkpoint import Checkpoint
from reprise.training.job import JobContext
from reprise.training.loop import Progress, TrainingJob, make_optimizer, step
from reprise.training.runtime import Device
from reprise.training.ssl import byol, two_views

CLASSES = 7
PRESET = "presets/course.yaml"
NEVER_DUE = Checkpoint(Path("never-written"), {}, float("inf"))


class TrainingBegins(Exception):
    """Raised instead of training."""


@dataclass
class Training:
    """A job and its optimizer; a call does a step."""

    job: TrainingJob
    number: int = 0

    def __post_init__(self) -> None:
        self.optimizer = make_optimizer(self.job.context.recipe, self.job.model)
        self.scaler, self.progress = self.job.context.device.scaler(), Progress()
        self.job.model.train()

    @property
    def batch(self) -> int:
        """Images of a step."""
        return self.job.context.recipe.batch_size

    @property
    def side(self) -> int:
        """Height of the images, in pixels."""
        return self.job.context.batches.size[0]

    def rows(self) -> Rows:
        """The rows of the next batch."""
        train_rows = self.job.context.data.rows("train")
        start = self.number % (len(train_rows) // self.batch) * self.batch
        return train_rows[start : start + self.batch]

    def __call__(self) -> None:
        """A step as the training loop does it, including its sums."""
        rows, epoch = self.rows(), 1 + self.number
        values = step(self.job, self.optimizer, self.scaler, rows, epoch, 1e-4, self.number)
        self.progress.add(values)
        self.number += 1
        self.job.after_step(self.number, 10**6)


def course() -> Params:
    """The recipes."""
    return parse(parse_yaml(render("course", ROOT / "presets")))


def training_of(module: Any, start: Callable[[], object]) -> Training:
    """The training that `start` would begin by calling `train` of a module."""
    with mock.patch.object(module, "train", side_effect=TrainingBegins) as train:
        try:
            start()
        except TrainingBegins:
            return Training(train.call_args.args[0])
    raise AssertionError("nothing was to be trained")


def random_dataset(kind: Kind, side: int, count: int) -> PreparedDataset:
    """A dataset of `count` training images of random pixels; no speed depends on the pixels."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count + 4, side, side, 3), dtype=np.uint8)
    labels: NDArray[Any] = np.arange(count + 4) % CLASSES
    if kind == "segmentation":
        blocks = generator.integers(0, CLASSES, (count + 4, side // 16, side // 16))
        labels = np.kron(blocks, np.ones((1, 16, 16)))
    classes = [{"id": i, "name": f"class {i}", "color": [i, i, i]} for i in range(CLASSES)]
    splits = np.repeat(["train", "val", "test"], [count, 2, 2])
    texts = ("none", "none", "random pixels")  # source, licence, note
    dataset = Dataset(images, labels.astype(np.uint8), splits, {}, kind, classes, *texts)
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder), "random", dataset)
        data = read_prepared(Path(folder), kind)
        assert len(data.images) == len(data.labels)  # from here on they are mapped, and stay so
    return data


def context_of(
    recipe: Any, data: PreparedDataset, device: Device, image_size: int | None = None
) -> JobContext[Any]:
    """What a training of a recipe gets."""
    normalize = normalization_of(recipe)
    batches = Batches(data, recipe.augment, 0, device.device, image_size, normalize)
    return JobContext(recipe, PRESET, 0, data, batches, device)


def byol_training(recipe: Any, side: int, device: Device) -> Training:
    """BYOL."""
    data = random_dataset("classification", side, 8 * recipe.batch_size)
    context = context_of(recipe, data, device)
    return training_of(two_views, lambda: byol.pretrain(context, NEVER_DUE, {}))


def finetuning(recipe: Any, side: int, device: Device, frozen: bool, images: int) -> Training:
    """One of the runs A to E."""
    context = context_of(recipe, random_dataset("classification", side, images), device)
    model = build_finetuned(recipe, CLASSES)
    if frozen:
        model.backbone.freeze()
    return _classifying(model, context)


def classification_training(recipe: Any, device: Device) -> Training:
    """A classifier."""
    data = random_dataset("classification", recipe.image_size, 8 * recipe.batch_size)
    context = context_of(recipe, data, device, recipe.image_size)
    return _classifying(build_classifier(recipe, CLASSES), context)


def _classifying(model: Any, context: JobContext[Any]) -> Training:
    def start() -> object:
        return classification.train_classifier(model, context, NEVER_DUE, "train", [])

    return training_of(classification, start)


def segmentation_training(recipe: Any, device: Device) -> Training:
    """A segmentation network."""
    data = random_dataset("segmentation", recipe.image_size, 4 * recipe.batch_size)
    context = context_of(recipe, data, device, recipe.image_size)
    model, targets = build_segmenter(recipe, CLASSES), segmentation.load_targets(data, None)

    def start() -> object:
        return segmentation.train_segmenter(model, context, NEVER_DUE, targets, {})

    return training_of(segmentation, start)
