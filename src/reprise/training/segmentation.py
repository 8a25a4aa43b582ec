"""Training of a segmentation network, with the epoch chosen by select mIoU."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.data.inputs import Inputs, Rows
from reprise.data.store import PreparedSet
from reprise.evaluation.confusion import confusion, mean_iou, pixel_accuracy
from reprise.params import SegmentRecipe
from reprise.training.checkpoint import Checkpoint
from reprise.training.classification import forward
from reprise.training.loop import Job, Progress, Row, Tensors, train
from reprise.training.losses import loss_of
from reprise.training.runtime import Device, evaluating

Masks = dict[str, NDArray[np.uint8]]  # label maps (H, W) by file name without its ending


@dataclass(frozen=True)
class Outcome:
    """What a training job leaves: all that is written to its folder."""

    state: dict[str, Tensor]
    history: list[Row]
    predictions: Masks
    masks: Masks
    shown_epochs: dict[str, int]


@dataclass(frozen=True)
class Truth:
    """Label maps (n, H, W) uint8 of a set, how many classes they have, and the id to ignore."""

    maps: NDArray[np.uint8]
    classes: int
    ignore: int


def truth_of(data: PreparedSet, merge: int | None) -> Truth:
    """The set's label maps; with `merge` mapped to its merged classes, in memory alone."""
    ignore = 255 if data.info["ignore"] is None else int(data.info["ignore"])
    maps = np.array(data.labels)
    if merge is None:
        return Truth(maps, len(data.classes), ignore)
    merged = data.info["merged"][str(merge)]
    table = np.full(256, ignore, np.uint8)
    table[: len(merged["map"])] = merged["map"]
    return Truth(table[maps], len(merged["classes"]), ignore)


def train_segmenter(
    model: nn.Module, data: PreparedSet, truth: Truth, inputs: Inputs, recipe: SegmentRecipe,
    device: Device, where: str, images: dict[str, int], checkpoint: Checkpoint,
) -> Outcome:  # fmt: skip
    """Train; keep the masks of `images` (id to row) at the first, middle and last epoch."""
    device.place(model)
    warn_of_empty_classes(data, truth)
    labels = torch.from_numpy(truth.maps).to(device.device)
    size = truth.maps.shape[1:]
    select = data.rows("select")
    loss = loss_of(
        recipe.loss, truth.maps, data.rows("train"), truth.classes, truth.ignore, device.device
    )
    shown = recipe.moments

    def network(batch: Tensor) -> Tensor:
        return logits_at(model, batch, size)

    def values_of(rows: Rows, epoch: int) -> Tensors:
        images, wanted = inputs.train_with_labels(rows, epoch, labels)
        with device.autocast():
            logits = network(images)
        return {"loss": loss(logits, wanted)}

    def answers(rows: Rows) -> NDArray[np.uint8]:
        return _answers(model, network, inputs, rows, device)

    def measure(row: Row, progress: Progress) -> None:
        matrix = confusion(truth.maps[select], answers(select), truth.classes, truth.ignore)
        row["select_miou"] = mean_iou(matrix).value
        row["select_pixel_accuracy"] = pixel_accuracy(matrix)
        for moment in [name for name, epoch in shown.items() if epoch == row["epoch"]]:
            for name, mask in zip(images, answers(np.array(list(images.values()))), strict=True):
                progress.kept[f"{name}_{moment}"] = torch.from_numpy(mask)
        progress.choose(row, model, row["select_miou"])

    train_rows, scaler = data.rows("train"), device.scaler()
    job = Job(model, recipe, train_rows, inputs.seed, where, values_of, measure, scaler=scaler)
    progress = train(job, checkpoint)
    model.load_state_dict(progress.best_state)
    rows = np.concatenate([select, data.rows("report")])
    names = data.index["id"].iloc[rows]
    predictions = dict(zip(names, answers(rows), strict=True))
    masks = {name: mask.numpy() for name, mask in progress.kept.items()}
    return Outcome(progress.best_state, progress.rows, predictions, masks, shown)


def logits_at(model: nn.Module, batch: Tensor, size: Sequence[int]) -> Tensor:
    """A network's logits, (n, classes, *size) float32, brought to `size` where they are not."""
    logits: Tensor = model(batch).float()
    if logits.shape[-2:] != tuple(size):
        logits = F.interpolate(logits, tuple(size), mode="bilinear", align_corners=False)
    return logits


def warn_of_empty_classes(data: PreparedSet, truth: Truth) -> None:
    """Say which classes no pixel of the train role has: they cannot be learnt."""
    seen = np.bincount(truth.maps[data.rows("train")].ravel(), minlength=256)
    for number in np.flatnonzero(seen[: truth.classes] == 0):
        logging.warning("%s: class %d has no pixel of the role train", data.folder, number)


def _answers(
    model: nn.Module,
    network: Callable[[Tensor], Tensor],
    inputs: Inputs,
    rows: Rows,
    device: Device,
) -> NDArray[np.uint8]:
    """Predicted label maps of `rows`, (n, H, W)."""
    with evaluating(model):
        maps = forward(
            lambda x: network(x).argmax(dim=1), inputs.plain, rows, device, inputs.at_once
        )
    return maps.cpu().numpy().astype(np.uint8)
