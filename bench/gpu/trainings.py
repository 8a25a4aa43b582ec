"""The trainings whose steps are timed: recipes of presets/course.yaml, on made images.

A job is what the training code itself makes of a recipe; it is taken from where training begins.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from bench.measure import ROOT
from reprise.data.inputs import Inputs, moments_of
from reprise.data.store import Prepared, PreparedSet, open_set, write_set
from reprise.models.backbone import resnet
from reprise.models.classifier import classifier, with_head
from reprise.models.segmentation import segmenter
from reprise.params import Params, load_params
from reprise.training import classification, pretraining, segmentation
from reprise.training.checkpoint import Checkpoint
from reprise.training.loop import Job, Progress, make_optimizer, step
from reprise.training.runtime import Device

CLASSES = 7
WHERE = "presets/course.yaml"


class Ready(Exception):
    """Training would begin."""


@dataclass
class Training:
    """A job, its optimizer and its batches; calling it does a step."""

    job: Job
    inputs: Inputs
    number: int = 0

    def __post_init__(self) -> None:
        self.optimizer, self.progress = make_optimizer(self.job.recipe, self.job.model), Progress()
        self.job.model.train()

    @property
    def batch(self) -> int:
        """Images of a step."""
        return self.job.recipe.batch_size

    def rows(self) -> Any:
        """The rows of the next batch."""
        count = len(self.job.rows) // self.batch
        return self.job.rows[self.number % count * self.batch :][: self.batch]

    def __call__(self) -> None:
        """A step as the training loop does it, its sums included."""
        rows, epoch = self.rows(), 1 + self.number
        self.progress.add(step(self.job, self.optimizer, rows, epoch, 1e-4, self.number))
        self.number += 1
        self.job.after_step(self.number, 10**6)


def course() -> Params:
    """The recipes."""
    return load_params(ROOT / WHERE)


def taken(module: Any, start: Callable[[], Any]) -> Job:
    """The job with which `start` would begin to train."""
    with mock.patch.object(module, "train", side_effect=Ready) as train:
        try:
            start()
        except Ready:
            job: Job = train.call_args.args[0]
            return job
    raise AssertionError("nothing was to be trained")


def made(task: str, side: int, count: int) -> PreparedSet:
    """A set of `count` training images of random pixels; no speed depends on pixels."""
    with tempfile.TemporaryDirectory() as folder:  # the arrays stay mapped
        shape = (count + 4, side, side)
        draw = np.random.default_rng(0)
        blocks = draw.integers(0, CLASSES, (count + 4, side // 16, side // 16))
        maps = np.kron(blocks, np.ones((1, 16, 16))).astype(np.uint8)
        labels = maps if task == "segmentation" else (np.arange(count + 4) % CLASSES)
        classes = [{"id": i, "name": f"class {i}"} for i in range(CLASSES)]
        roles = np.repeat(["train", "select", "report"], [count, 2, 2])
        images = draw.integers(0, 256, (*shape, 3), dtype=np.uint8)
        said = ("none", "none", "random pixels")
        named: Any = task
        ready = Prepared(images, labels.astype(np.uint8), roles, {}, named, classes, *said)
        write_set(Path(folder), "made", ready)
        return open_set(Path(folder), task)  # type: ignore[arg-type]


def nowhere() -> Checkpoint:
    """A checkpoint that is never due."""
    return Checkpoint(Path("never-written"), {}, float("inf"))


def pretrained(recipe: Any, side: int, device: Device) -> Training:
    """BYOL."""
    data = made("classification", side, 8 * recipe.batch_size)
    inputs = Inputs(data, recipe.augment, 0, device.device, normalise=moments_of(recipe.normalise))
    backbone = resnet(recipe.backbone, recipe.stem)
    job = taken(
        pretraining,
        lambda: pretraining.pretrain_byol(backbone, data, inputs, recipe, device, WHERE, nowhere()),
    )
    return Training(job, inputs)


def finetuned(recipe: Any, side: int, device: Device, frozen: bool, images: int) -> Training:
    """One of the settings A to E."""
    data = made("classification", side, images)
    inputs = Inputs(data, recipe.augment, 0, device.device, normalise=moments_of(recipe.normalise))
    model = with_head(
        resnet(recipe.backbone, recipe.stem, recipe.imagenet_layer), recipe.hidden, CLASSES
    )
    if frozen:
        model.backbone.freeze()
    return Training(classifying(model, data, inputs, recipe, device), inputs)


def classified(recipe: Any, device: Device) -> Training:
    """A classifier."""
    data = made("classification", recipe.image_size, 8 * recipe.batch_size)
    normalise = moments_of(recipe.normalise)
    inputs = Inputs(data, recipe.augment, 0, device.device, recipe.image_size, normalise)
    return Training(classifying(classifier(recipe, CLASSES), data, inputs, recipe, device), inputs)


def classifying(model: Any, data: PreparedSet, inputs: Inputs, recipe: Any, device: Device) -> Job:
    """The job of a classifier."""
    kept = ("train", recipe.features)
    return taken(
        classification,
        lambda: classification.train_classifier(
            model, data, inputs, recipe, device, WHERE, kept, nowhere()
        ),
    )


def segmented(recipe: Any, device: Device) -> Training:
    """A segmentation network."""
    data = made("segmentation", recipe.image_size, 4 * recipe.batch_size)
    normalise = moments_of(recipe.normalise)
    inputs = Inputs(data, recipe.augment, 0, device.device, recipe.image_size, normalise)
    model = segmenter(recipe.model, CLASSES, recipe.width, recipe.held_norm)
    truth = segmentation.truth_of(data, None)
    job = taken(
        segmentation,
        lambda: segmentation.train_segmenter(
            model, data, truth, inputs, recipe, device, WHERE, {}, nowhere()
        ),
    )
    return Training(job, inputs)
