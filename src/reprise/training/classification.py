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

from reprise.data.inputs import Inputs, Rows
from reprise.data.randomness import uniform
from reprise.data.store import PreparedSet
from reprise.models.classifier import Classifier
from reprise.params import Augment, Training
from reprise.training.loop import History, Row, report, train_epochs
from reprise.training.runtime import Device, evaluating

BATCH = 256  # of evaluation


@dataclass(frozen=True)
class Outcome:
    """What a training job leaves: all that is written to its folder."""

    state: dict[str, Tensor]
    history: list[Row]
    predictions: pd.DataFrame
    features: dict[str, Tensor]


class Batches(Protocol):
    """Where a classifier's batches come from: images, or features of a frozen backbone."""

    def train(self, rows: Rows, epoch: int, view: int = 0) -> Tensor: ...

    def plain(self, rows: Rows) -> Tensor: ...


class FrozenFeatures:
    """Features of a frozen backbone, computed once for each image and each of its finite views.

    Gives the same as augmenting and running the backbone at each epoch, since a frozen backbone
    in evaluation mode maps an image to the same features every time.
    """

    def __init__(self, inputs: Inputs, backbone: nn.Module, rows: Rows, device: Device) -> None:
        self.seed = inputs.seed
        self.views = finite_views(inputs.recipe)
        self.place = np.full(len(inputs.images), -1)
        self.place[rows] = np.arange(len(rows))
        parts = [
            forward(backbone, partial(inputs.turned, code=code), rows, device)
            for code in range(self.views)
        ]
        self.features = torch.stack(parts)  # (views, rows, width)

    def train(self, rows: Rows, epoch: int, view: int = 0) -> Tensor:
        """Features of the view that augmentation draws for (seed, epoch, row), (n, width)."""
        draws = uniform(self.seed, epoch, rows, view, 1)[:, 0].astype(np.float32)
        return self.features[(draws * self.views).astype(np.int64), self.place[rows]]

    def plain(self, rows: Rows) -> Tensor:
        """Features without augmentation, (n, width)."""
        return self.features[0, self.place[rows]]


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
) -> Outcome:
    """Train, choose the epoch by select accuracy, predict the select and report roles.

    features_of: the role whose second-last layer is kept, and at which epochs.
    """
    device.place(model)
    labels = torch.from_numpy(np.array(data.labels)).long().to(device.device)
    train, select, shown = data.rows("train"), data.rows("select"), data.rows(features_of[0])
    batches: Batches = inputs
    body: nn.Module = model.backbone
    if model.backbone.frozen and finite_views(recipe.augment):
        everything = np.arange(len(data.images))
        batches = FrozenFeatures(inputs, model.backbone, everything, device)
        body = nn.Identity()
    correct: list[Tensor] = []

    def loss_of(rows: Rows, epoch: int) -> Tensor:
        with device.autocast():
            logits = model.head(body(batches.train(rows, epoch))).float()
        truth = labels[rows]
        correct.append((logits.argmax(1) == truth).sum())
        return F.cross_entropy(logits, truth)

    history, features = History(), dict[str, Tensor]()
    for row in train_epochs(model, recipe, train, inputs.seed, where, loss_of):
        seen = len(correct) * recipe.batch_size
        row["train_accuracy"] = int(torch.stack(correct).sum()) / seen
        correct.clear()
        with evaluating(model):
            logits = forward(lambda x: model.head(body(x)), batches.plain, select, device)
            row["select_loss"] = float(F.cross_entropy(logits, labels[select]))
            row["select_accuracy"] = float((logits.argmax(1) == labels[select]).float().mean())
            if row["epoch"] in features_of[1]:
                found = forward(lambda x: model.second_last(body(x)), batches.plain, shown, device)
                features[f"epoch_{row['epoch']:04d}"] = found.cpu()
        history.rows.append(row)
        history.choose(model, row["select_accuracy"])
        report(where, row)
    model.load_state_dict(history.best_state)
    features |= {"label": labels[shown].cpu(), "row": torch.from_numpy(shown)}
    with evaluating(model):
        predictions = _predict(lambda x: model.head(body(x)), batches, data, device)
    return Outcome(history.best_state, history.rows, predictions, features)


def _predict(
    network: Callable[[Tensor], Tensor], batches: Batches, data: PreparedSet, device: Device
) -> pd.DataFrame:
    tables = []
    for role in ("select", "report"):
        rows = data.rows(role)
        shares = forward(network, batches.plain, rows, device).softmax(1).cpu()
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
) -> Tensor:
    """Run a network over `rows` in batches without gradients, (n, ...) float32."""
    parts = []
    with torch.no_grad(), device.autocast():
        for start in range(0, len(rows), BATCH):
            parts.append(network(batch_of(rows[start : start + BATCH])).float())
    return torch.cat(parts)
