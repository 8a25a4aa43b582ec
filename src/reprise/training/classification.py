"""Supervised training of a classifier, with the epoch chosen on the select role."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.data.augment import symmetries
from reprise.data.inputs import MOST, Inputs, Rows
from reprise.data.store import PreparedSet
from reprise.errors import RepriseError
from reprise.models.classifier import Classifier
from reprise.params import Augment, Training
from reprise.training.checkpoint import Checkpoint
from reprise.training.loop import Job, Progress, Row, Tensors, train
from reprise.training.runtime import Device, evaluating
from reprise.training.vote import KEPT, majority, taken_out, voters


@dataclass(frozen=True)
class Outcome:
    """What a training job leaves: all that is written to its folder."""

    state: dict[str, Tensor]
    history: list[Row]
    predictions: pd.DataFrame
    features: dict[str, Tensor]


class Batches(Protocol):
    """Where a classifier's batches come from: images, or features of a frozen backbone.

    at_once: rows of a batch where no gradient is wanted.
    """

    @property
    def at_once(self) -> int: ...

    def train(self, rows: Rows, epoch: int, view: int = 0) -> Tensor: ...

    def plain(self, rows: Rows) -> Tensor: ...


class FrozenFeatures:
    """Features of a frozen backbone, computed once for each image and each of its finite views.

    Gives the same as augmenting and running the backbone at each epoch, since a frozen backbone
    in evaluation mode maps an image to the same features every time. Only the images of `train`
    have views; every other one has its plain features.
    """

    at_once = MOST

    def __init__(self, inputs: Inputs, backbone: nn.Module, train: Rows, device: Device) -> None:
        self.inputs, self.device = inputs, device
        self.place = np.full(len(inputs.images), -1)
        self.place[train] = np.arange(len(train))
        everything = np.arange(len(inputs.images))
        self.unchanged = forward(backbone, inputs.plain, everything, device, inputs.at_once)
        others = [
            forward(backbone, partial(inputs.turned, code=code), train, device, inputs.at_once)
            for code in range(1, finite_views(inputs.recipe))
        ]
        self.features = torch.stack([self.unchanged[train], *others])  # (views, rows, width)

    def train(self, rows: Rows, epoch: int, view: int = 0) -> Tensor:
        """Features of the view that augmentation draws for (seed, epoch, row), (n, width)."""
        codes = symmetries(rows, self.inputs.recipe, self.inputs.seed, epoch, view)
        return self.features[self.device.move(codes), self.device.move(self.place[rows])]

    def plain(self, rows: Rows) -> Tensor:
        """Features without augmentation, (n, width)."""
        return self.unchanged[rows]


def finite_views(recipe: Augment) -> int:
    """How many different images augmentation makes of one; 0 when they cannot be counted."""
    if recipe == Augment(dihedral=recipe.dihedral, flip=recipe.flip, jitter=recipe.jitter):
        return 8 if recipe.dihedral else 2 if recipe.flip else 1
    return 0


def train_classifier(
    model: Classifier,
    data: PreparedSet,
    inputs: Inputs,
    recipe: Training,
    device: Device,
    where: str,
    features_of: tuple[str, list[int]],
    checkpoint: Checkpoint,
    vote: int = 1,
) -> Outcome:
    """Train, choose the epoch by select accuracy, predict the select and report roles.

    features_of: the role whose second-last layer is kept, and at which epochs. vote: with more than
    one, so many epochs of the lowest select loss answer together; the model is one epoch's still,
    and what that one answers stands in the column `single`.
    Raises RepriseError for a class without a training image, and as `train` does.
    """
    device.place(model)
    every_class_trains(data)
    labels = torch.from_numpy(np.array(data.labels)).long().to(device.device)
    train_rows, select, shown = data.rows("train"), data.rows("select"), data.rows(features_of[0])
    judged = np.concatenate([select, data.rows("report")])
    batches: Batches = inputs
    body: nn.Module = model.backbone
    # of a frozen backbone one copy is enough
    head = nn.ModuleDict({"hidden": model.hidden, "last": model.last})
    trained = head if model.backbone.frozen else model
    if model.backbone.frozen and finite_views(recipe.augment):
        batches = FrozenFeatures(inputs, model.backbone, train_rows, device)
        body = nn.Identity()

    def values_of(rows: Rows, epoch: int) -> Tensors:
        with device.autocast():
            logits = model.head(body(batches.train(rows, epoch))).float()
        truth = labels[device.move(rows)]
        correct = (logits.argmax(1) == truth).sum()
        return {"loss": F.cross_entropy(logits, truth), "correct": correct}

    def outputs(layer: Callable[[Tensor], Tensor], rows: Rows) -> Tensor:
        return forward(lambda x: layer(body(x)), batches.plain, rows, device, batches.at_once)

    def measure(row: Row, progress: Progress) -> None:
        seen = len(train_rows) // recipe.batch_size * recipe.batch_size
        row["train_accuracy"] = float(progress.sums["correct"]) / seen
        with evaluating(trained):
            logits = outputs(model.head, select)
            row["select_loss"] = float(F.cross_entropy(logits, labels[select]))
            row["select_accuracy"] = float((logits.argmax(1) == labels[select]).float().mean())
            if row["epoch"] in features_of[1]:
                found = outputs(model.second_last, shown)
                progress.kept[f"epoch_{row['epoch']:04d}"] = found.cpu()
            if vote > 1:
                given = outputs(model.head, judged)
                progress.kept[f"{KEPT}{row['epoch']}"] = given.argmax(1).cpu()
        progress.choose(row, trained, row["select_accuracy"])

    job = Job(
        model, recipe, train_rows, inputs.seed, where, values_of, measure, scaler=device.scaler()
    )
    progress = train(job, checkpoint)
    trained.load_state_dict(progress.best_state)
    kept = {"label": labels[shown].cpu(), "row": torch.from_numpy(shown)}
    with evaluating(model):
        predictions = _predict(partial(outputs, model.head), data)
    if vote > 1:
        answers = taken_out(progress.kept)
        chosen = [answers[str(epoch)] for epoch in voters(progress.rows, vote)]
        winner, share = majority(chosen, len(data.classes))
        predictions["single"] = predictions["prediction"]
        predictions["prediction"], predictions["confidence"] = winner.numpy(), share.numpy()
    return Outcome(model.state_dict(), progress.rows, predictions, progress.kept | kept)


def every_class_trains(data: PreparedSet) -> None:
    """Raise RepriseError when a class has no image of the train role, or there are no labels."""
    if data.unlabelled:
        raise RepriseError(f"{data.folder}: has no labels to learn; use another set, or byol")
    seen = np.bincount(data.labels[data.rows("train")], minlength=len(data.classes))
    for name, count in zip(data.classes, seen, strict=True):
        if not count:
            raise RepriseError(
                f"{data.folder / 'index.csv'}: class '{name}' has no image of the role train; give "
                "it some, or leave the class out"
            )


def _predict(logits_of: Callable[[Rows], Tensor], data: PreparedSet) -> pd.DataFrame:
    tables = []
    for role in ("select", "report"):
        rows = data.rows(role)
        shares = logits_of(rows).softmax(1).cpu()
        confidence, prediction = shares.max(1)
        table = data.index.iloc[rows][["id", "role", "label"]].copy()
        table["prediction"] = prediction.numpy()
        table["confidence"] = confidence.numpy()
        tables.append(table)
    return pd.concat(tables)


def forward(
    network: Callable[[Tensor], Tensor],
    batch_of: Callable[[Rows], Tensor],
    rows: Rows,
    device: Device,
    at_once: int,
) -> Tensor:
    """Run a network over `rows`, `at_once` at a time, without gradients, (n, ...) float32."""
    parts = []
    with torch.no_grad(), device.autocast():
        for start in range(0, len(rows), at_once):
            parts.append(network(batch_of(rows[start : start + at_once])).float())
    return torch.cat(parts)
