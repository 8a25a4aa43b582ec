"""Training of a segmentation network; the epoch is chosen by validation mIoU."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.atomic_io import atomic_folder, write_json
from reprise.datasets.batches import Rows
from reprise.datasets.prepared import PreparedDataset
from reprise.metrics.confusion import confusion, mean_iou, pixel_accuracy
from reprise.models.weights import write_tensors
from reprise.params.segment import SegmentRecipe
from reprise.training.checkpoint import Checkpoint
from reprise.training.job import JobContext
from reprise.training.loop import Progress, Row, Tensors, TrainingJob, train, write_history
from reprise.training.losses import loss_of
from reprise.training.runtime import eval_mode

Masks = dict[str, NDArray[np.uint8]]  # label maps (H, W) by file name without its ending


@dataclass(frozen=True)
class SegmentationResult:
    """Everything a training job writes to its output folder."""

    state: Tensors
    history: list[Row]
    predictions: Masks
    masks: Masks
    shown_epochs: dict[str, int]


@dataclass(frozen=True)
class Targets:
    """Label maps (n, H, W) uint8 of a dataset, the number of classes, and the id to ignore."""

    maps: NDArray[np.uint8]
    n_classes: int
    ignore: int


def load_targets(data: PreparedDataset, merge_classes: int | None) -> Targets:
    """The label maps of a dataset, mapped to its merged classes with `merge_classes`."""
    classes, table = data.merged(merge_classes)
    ignore = 255 if classes.ignore is None else classes.ignore
    return Targets(table[data.labels], len(classes.names), ignore)


def train_segmenter(
    model: nn.Module,
    context: JobContext[SegmentRecipe],
    checkpoint: Checkpoint,
    targets: Targets,
    images: Mapping[str, int],
) -> SegmentationResult:
    """Train, choose the epoch by validation mIoU, predict the val and test splits.

    model: images (n, 3, H, W) -> logits (n, n_classes, ...). images: id -> row of those whose masks
    are kept at the first, middle and last epoch. Raises RepriseError as `train` does.
    """
    data, device, recipe = context.data, context.device, context.recipe
    device.to_device(model)
    warn_of_empty_classes(data, targets)
    labels = torch.from_numpy(targets.maps).to(device.device)
    size = targets.maps.shape[1:]
    train_rows, val_rows = data.require_rows("train"), data.require_rows("val")
    classes = targets.n_classes, targets.ignore
    loss = loss_of(recipe.loss, targets.maps, train_rows, *classes, device.device)
    shown = recipe.shown_epochs

    def training_step(rows: Rows, epoch: int) -> Tensors:
        batch, target = context.batches.train_batch_with_labels(rows, epoch, labels)
        with device.autocast():
            logits = resize_logits(model, batch, size)
        return {"loss": loss(logits, target)}

    def predict(rows: Rows) -> NDArray[np.uint8]:
        def classes(batch: Tensor) -> Tensor:
            return resize_logits(model, batch, size).argmax(dim=1)

        with eval_mode(model):
            maps = context.predict(classes, rows)
        return maps.cpu().numpy().astype(np.uint8)

    def validation_step(row: Row, progress: Progress) -> None:
        ids, ignore = targets.n_classes, targets.ignore
        matrix = confusion(targets.maps[val_rows], predict(val_rows), ids, ignore)
        row["val_miou"] = mean_iou(matrix).value
        row["val_pixel_accuracy"] = pixel_accuracy(matrix)
        for stage in [name for name, epoch in shown.items() if images and epoch == row["epoch"]]:
            masks = predict(np.array(list(images.values())))
            for name, mask in zip(images, masks, strict=True):
                progress.kept[f"{name}_{stage}"] = torch.from_numpy(mask)
        progress.update_best(row, model, row["val_miou"])

    progress = train(TrainingJob(model, context, training_step, validation_step), checkpoint)
    model.load_state_dict(progress.best_state)
    rows = np.concatenate([val_rows, data.require_rows("test")])
    predictions = dict(zip(data.index["id"].iloc[rows], predict(rows), strict=True))
    masks = {name: mask.numpy() for name, mask in progress.kept.items()}
    return SegmentationResult(progress.best_state, progress.rows, predictions, masks, shown)


def resize_logits(model: nn.Module, images: Tensor, size: Sequence[int]) -> Tensor:
    """A network's logits, (n, classes, *size) float32, interpolated if they have another size."""
    logits: Tensor = model(images).float()
    if logits.shape[-2:] != tuple(size):
        logits = F.interpolate(logits, tuple(size), mode="bilinear", align_corners=False)
    return logits


def warn_of_empty_classes(data: PreparedDataset, targets: Targets) -> None:
    """Warn of classes without a pixel in the train split, which cannot be learnt."""
    counts = np.bincount(targets.maps[data.rows("train")].ravel(), minlength=256)
    for number in np.flatnonzero(counts[: targets.n_classes] == 0):
        logging.warning("%s: class %d has no pixel in the train split", data.folder, number)


def write_segmenter(folder: Path, result: SegmentationResult) -> None:
    """Write model, history, and label maps as PNG."""
    write_tensors(folder / "model.safetensors", result.state)
    write_masks(folder / "predictions", result.predictions)
    write_masks(folder / "masks", result.masks, result.shown_epochs)
    write_history(folder / "history.csv", result.history)


def write_masks(folder: Path, masks: Masks, epochs: dict[str, int] | None = None) -> None:
    """Replace a folder by label maps, as gray PNG files of class ids, and epochs.json."""
    with atomic_folder(folder) as temporary:
        for name, mask in masks.items():
            Image.fromarray(mask).save(temporary / f"{name}.png")
        if epochs is not None:
            write_json(temporary / "epochs.json", epochs)
