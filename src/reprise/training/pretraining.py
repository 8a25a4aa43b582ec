"""Pretraining a backbone: BYOL without labels, or supervised."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.data.inputs import Inputs, Rows
from reprise.data.store import PreparedSet
from reprise.errors import RepriseError
from reprise.models.backbone import Backbone
from reprise.params import ByolPretraining, SupervisedPretraining
from reprise.training.byol import Byol, collapsed, spread
from reprise.training.checkpoint import Checkpoint
from reprise.training.classification import every_class_trains, forward
from reprise.training.knn import knn_accuracy
from reprise.training.loop import Job, Progress, Row, Tensors, train
from reprise.training.runtime import Device, evaluating

# pixels of a view: two ResNet-18 steps of 32 x 32 took .7 to .9 of the time in one batch, two
# ResNet-50 steps of 128 x 128 took 1.1
TOGETHER = 64 * 64


@dataclass
class Neighbours:
    """kNN accuracy of a backbone: train answers for select; NaN without labels."""

    data: PreparedSet
    inputs: Inputs
    device: Device
    neighbours: int

    def __call__(self, backbone: Backbone) -> float:
        if self.data.unlabelled:
            return float("nan")
        labels = torch.from_numpy(np.array(self.data.labels)).long()
        train, select = self.data.rows("train"), self.data.rows("select")
        with evaluating(backbone):
            known, asked = (
                forward(backbone, self.inputs.plain, rows, self.device, self.inputs.at_once).cpu()
                for rows in (train, select)
            )
        return knn_accuracy(known, labels[train], asked, labels[select], self.neighbours)


def pretrain_byol(
    backbone: Backbone, data: PreparedSet, inputs: Inputs, recipe: ByolPretraining,
    device: Device, where: str, checkpoint: Checkpoint,
) -> tuple[Tensors, list[Row]]:  # fmt: skip
    """Train with BYOL; the backbone of the last epoch, and the history from epoch 0 on.

    The loss chooses no epoch: it is low for a collapsed network too.
    Raises RepriseError when the network collapses, unless the recipe allows it.
    """
    model = Byol(
        backbone, recipe.hidden, recipe.projection, recipe.tau,
        use_momentum=recipe.use_momentum, ema_buffers=recipe.ema_buffers,
        together=inputs.size[0] * inputs.size[1] <= TOGETHER,
    )  # fmt: skip
    device.place(model)
    neighbours = Neighbours(data, inputs, device, recipe.neighbours)
    select = data.rows("select")

    def values_of(rows: Rows, epoch: int) -> Tensors:
        with device.autocast():
            loss: Tensor = model(inputs.train(rows, epoch, 0), inputs.train(rows, epoch, 1))
        return {"loss": loss}

    def measure(row: Row, progress: Progress) -> None:
        row["tau"] = model.tau if row["epoch"] else recipe.tau
        with evaluating(model):
            projections = forward(model.online, inputs.plain, select, device, inputs.at_once)
        row["std"], row["effective_rank"] = spread(projections)
        row["knn_accuracy"] = neighbours(backbone)
        fallen = collapsed(row["std"], row["effective_rank"], recipe.projection)
        if row["epoch"] and fallen and not recipe.allow_collapse:
            raise RepriseError(
                f"{where}: collapsed in epoch {row['epoch']}: projections have std "
                f"{row['std']:.2g} and effective rank {row['effective_rank']:.1f} of "
                f"{recipe.projection}; lower learning_rate, or set allow_collapse: true"
            )

    rows = data.rows("train")
    job = Job(
        model, recipe, rows, recipe.seed, where, values_of, measure,
        after_step=model.update_target, measure_first=True, scaler=device.scaler(),
    )  # fmt: skip
    history = train(job, checkpoint).rows
    return backbone.net.state_dict(), history


def pretrain_supervised(
    backbone: Backbone, data: PreparedSet, inputs: Inputs, recipe: SupervisedPretraining,
    device: Device, where: str, checkpoint: Checkpoint,
) -> tuple[Tensors, list[Row]]:  # fmt: skip
    """Train on the labels; the backbone of the epoch chosen on select, and the history."""
    every_class_trains(data)
    model = nn.Sequential(backbone, nn.Linear(backbone.width, len(data.classes)))
    device.place(model)
    labels = torch.from_numpy(np.array(data.labels)).long().to(device.device)
    neighbours = Neighbours(data, inputs, device, recipe.neighbours)
    select = data.rows("select")

    def values_of(rows: Rows, epoch: int) -> Tensors:
        with device.autocast():
            logits = model(inputs.train(rows, epoch)).float()
        return {"loss": F.cross_entropy(logits, labels[device.move(rows)])}

    def measure(row: Row, progress: Progress) -> None:
        with evaluating(model):
            answers = forward(model, inputs.plain, select, device, inputs.at_once).argmax(dim=1)
        row["select_accuracy"] = float((answers == labels[select]).float().mean())
        row["knn_accuracy"] = neighbours(backbone)
        progress.choose(row, backbone.net, row["select_accuracy"])

    rows = data.rows("train")
    job = Job(
        model, recipe, rows, recipe.seed, where, values_of, measure, measure_first=True,
        scaler=device.scaler(),
    )  # fmt: skip
    progress = train(job, checkpoint)
    return progress.best_state, progress.rows


def take_over(
    backbone: Backbone, load: Callable[[], object], data: PreparedSet, inputs: Inputs,
    recipe: SupervisedPretraining, device: Device,
) -> tuple[Tensors, list[Row]]:  # fmt: skip
    """Someone else's backbone, which `load` puts in place: nothing is trained.

    The history has two rows of epoch 0: the random network, and the one that was loaded.
    """
    device.place(backbone)
    neighbours = Neighbours(data, inputs, device, recipe.neighbours)
    nothing = float("nan")
    rows: list[Row] = []
    for selected, step in enumerate((lambda: None, load)):
        step()
        row: Row = {"epoch": 0, "step": 0, "learning_rate": nothing, "train_loss": nothing}
        row |= {"select_accuracy": nothing, "knn_accuracy": neighbours(backbone)}
        rows.append(row | {"selected": selected})
    return backbone.net.state_dict(), rows
