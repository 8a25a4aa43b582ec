"""Pretraining a backbone: BYOL without labels, or supervised."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.data.inputs import Inputs, Rows
from reprise.data.store import PreparedSet
from reprise.models.backbone import Backbone
from reprise.params import ByolPretraining, SupervisedPretraining
from reprise.training.byol import Byol, spread
from reprise.training.classification import forward
from reprise.training.knn import knn_accuracy
from reprise.training.loop import History, Row, report, train_epochs
from reprise.training.runtime import Device, evaluating


@dataclass
class Neighbours:
    """kNN accuracy of a backbone: the train role answers for the select role."""

    data: PreparedSet
    inputs: Inputs
    device: Device
    neighbours: int

    def __call__(self, backbone: Backbone) -> float:
        labels = torch.from_numpy(np.array(self.data.labels)).long()
        train, select = self.data.rows("train"), self.data.rows("select")
        with evaluating(backbone):
            known, asked = (
                forward(backbone, self.inputs.plain, rows, self.device).cpu()
                for rows in (train, select)
            )
        return knn_accuracy(known, labels[train], asked, labels[select], self.neighbours)


def pretrain_byol(
    backbone: Backbone, data: PreparedSet, inputs: Inputs, recipe: ByolPretraining,
    device: Device, where: str,
) -> tuple[dict[str, Tensor], list[Row]]:  # fmt: skip
    """Train with BYOL; the backbone of the last epoch, and the history from epoch 0 on.

    The loss chooses no epoch: it is low for a collapsed network too.
    """
    model = Byol(backbone, recipe.hidden, recipe.projection, recipe.tau)
    device.place(model)
    neighbours = Neighbours(data, inputs, device, recipe.neighbours)
    select = data.rows("select")

    def loss_of(rows: Rows, epoch: int) -> Tensor:
        with device.autocast():
            loss: Tensor = model(inputs.train(rows, epoch, 0), inputs.train(rows, epoch, 1))
        return loss

    def measured(row: Row) -> Row:
        with evaluating(model):
            row["std"], row["effective_rank"] = spread(
                forward(model.online, inputs.plain, select, device)
            )
        row["knn_accuracy"] = neighbours(backbone)
        report(where, row)
        return row

    rows = [measured({"epoch": 0, "step": 0, "tau": recipe.tau})]
    epochs = train_epochs(
        model, recipe, data.rows("train"), recipe.seed, where, loss_of, model.update_target
    )
    rows += [measured(row | {"tau": model.tau}) for row in epochs]
    return backbone.net.state_dict(), rows


def pretrain_supervised(
    backbone: Backbone, data: PreparedSet, inputs: Inputs, recipe: SupervisedPretraining,
    device: Device, where: str,
) -> tuple[dict[str, Tensor], list[Row]]:  # fmt: skip
    """Train on the labels; the backbone of the epoch chosen on select, and the history."""
    last = nn.Linear(backbone.width, len(data.classes))
    model = nn.Sequential(backbone, last)
    device.place(model)
    labels = torch.from_numpy(np.array(data.labels)).long().to(device.device)
    neighbours = Neighbours(data, inputs, device, recipe.neighbours)
    select = data.rows("select")

    def loss_of(rows: Rows, epoch: int) -> Tensor:
        with device.autocast():
            logits = model(inputs.train(rows, epoch)).float()
        return F.cross_entropy(logits, labels[rows])

    def measured(row: Row) -> Row:
        with evaluating(model):
            answers = forward(model, inputs.plain, select, device).argmax(dim=1)
        row["select_accuracy"] = float((answers == labels[select]).float().mean())
        row["knn_accuracy"] = neighbours(backbone)
        return row

    def epochs() -> Iterator[Row]:
        yield {"epoch": 0, "step": 0}
        yield from train_epochs(model, recipe, data.rows("train"), recipe.seed, where, loss_of)

    history = History()
    for row in epochs():
        history.rows.append(measured(row))
        history.choose(backbone.net, history.rows[-1]["select_accuracy"])
        report(where, row)
    return history.best_state, history.rows
