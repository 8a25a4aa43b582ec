"""Training of a segmentation network; the epoch is chosen by validation mIoU."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.atomic_io import atomic_folder, write_json
from reprise.datasets.batches import Rows
from reprise.datasets.prepared import PreparedDataset
from reprise.errors import RepriseError
from reprise.metrics.confusion import (
    center_crop,
    confusion,
    ignored_pixel_predictions,
    mean_iou,
    pixel_accuracy,
)
from reprise.metrics.courses import with_ignored_row
from reprise.models.weights import write_tensors
from reprise.params.segment import SegmentRecipe
from reprise.training.checkpoint import Checkpoint
from reprise.training.job import JobContext
from reprise.training.loop import Progress, Row, Tensors, TrainingJob, train, write_history
from reprise.training.runtime import Device, eval_mode

CPU = torch.device("cpu")
Loss = Callable[[Tensor, Tensor], Tensor]  # logits (n, C, H, W), ids (n, H, W) int64 -> a number
Masks = dict[str, NDArray[np.uint8]]  # label maps (H, W) by file name without its ending


@dataclass(frozen=True)
class SegmentationResult:
    """Everything a training job writes to its output folder.

    test_matrices: of the test split at the shown epochs, if the recipe asks for them.
    """

    state: Tensors
    history: list[Row]
    predictions: Masks
    masks: Masks
    shown_epochs: dict[str, int]
    test_matrices: dict[str, list[list[int]]]


@dataclass(frozen=True)
class Targets:
    """Label maps (n, H, W) uint8 of a dataset, the number of classes, and the id to ignore."""

    maps: NDArray[np.uint8]
    n_classes: int
    ignore: int

    def center(self, rows: Rows, size: Sequence[int]) -> NDArray[np.uint8]:
        """The center of the maps of `rows`, (n, *size); whole maps where they have this size."""
        return np.stack([center_crop(self.maps[row], *size) for row in rows])

    def full_matrix(self, rows: Rows, predictions: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Pixels by true and predicted class, (n_classes + 1, n_classes + 1), int64.

        The last row is of ignored pixels, whose predictions the DLCV course's script counts (see
        `with_ignored_row` in metrics/courses.py).
        """
        truth = self.center(rows, predictions.shape[1:])
        known = truth, predictions, self.n_classes, self.ignore
        return with_ignored_row(confusion(*known), ignored_pixel_predictions(*known))


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
    are kept at the first, middle and last epoch. Raises RepriseError as `train` does, and if the
    train or val split has no labelled pixel.
    """
    data, device, recipe = context.data, context.device, context.recipe
    device.to_device(model)
    require_labelled_pixels(data, targets)
    warn_of_empty_classes(data, targets)
    labels = torch.from_numpy(targets.maps).to(device.device)
    size = context.batches.crop_size or targets.maps.shape[1:]
    train_rows, val_rows, test_rows = map(data.require_rows, ("train", "val", "test"))
    loss = loss_of(recipe.loss, targets, train_rows, device.device)
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
        matrix = confusion(
            targets.center(val_rows, size), predict(val_rows), targets.n_classes, targets.ignore
        )
        row["val_miou"] = mean_iou(matrix).value
        row["val_pixel_accuracy"] = pixel_accuracy(matrix)
        for stage in [name for name, epoch in shown.items() if images and epoch == row["epoch"]]:
            masks = predict(np.array(list(images.values())))
            for name, mask in zip(images, masks, strict=True):
                progress.kept[f"{name}_{stage}"] = torch.from_numpy(mask)
        if recipe.score_shown_epochs and row["epoch"] in shown.values():
            matrix = targets.full_matrix(test_rows, predict(test_rows))
            progress.predictions[int(row["epoch"])] = torch.from_numpy(matrix)
        progress.update_best(row, model, row["val_miou"])

    progress = train(TrainingJob(model, context, training_step, validation_step), checkpoint)
    model.load_state_dict(progress.best_state)
    rows = np.concatenate([val_rows, test_rows])
    predictions = dict(zip(data.index["id"].iloc[rows], predict(rows), strict=True))
    masks = {name: mask.numpy() for name, mask in progress.kept.items()}
    matrices = _by_name(shown, progress.predictions)
    outcome = progress.rows, predictions, masks, shown, matrices
    return SegmentationResult(progress.best_state, *outcome)


def _by_name(shown: dict[str, int], kept: dict[int, Tensor]) -> dict[str, list[list[int]]]:
    """The matrices that were kept, by the names of their epochs."""
    return {name: kept[epoch].tolist() for name, epoch in shown.items() if epoch in kept}


def resize_logits(model: nn.Module, images: Tensor, size: Sequence[int]) -> Tensor:
    """A network's logits, (n, classes, *size) float32, interpolated if they have another size."""
    logits: Tensor = model(images).float()
    if logits.shape[-2:] != tuple(size):
        logits = F.interpolate(logits, tuple(size), mode="bilinear", align_corners=False)
    return logits


def require_labelled_pixels(data: PreparedDataset, targets: Targets) -> None:
    """Raise RepriseError if all pixels of the train or val split are ignored.

    Then nothing could be learnt, or no epoch has a score.
    """
    for split in ("train", "val"):
        if (targets.maps[data.require_rows(split)] == targets.ignore).all():
            raise RepriseError(
                f"{data.folder}: all pixels of the {split} split have the ignored id "
                f"{targets.ignore}; add labelled images to it, or choose another split"
            )


def warn_of_empty_classes(data: PreparedDataset, targets: Targets) -> None:
    """Warn of classes without a pixel in the train split, which cannot be learnt."""
    counts = np.bincount(targets.maps[data.rows("train")].ravel(), minlength=256)
    for number in np.flatnonzero(counts[: targets.n_classes] == 0):
        logging.warning("%s: class %d has no pixel in the train split", data.folder, number)


def loss_of(name: str, targets: Targets, train: Rows, device: torch.device = CPU) -> Loss:
    """The loss that a recipe names.

    - cross_entropy: the mean over the pixels that are not ignored
    - weighted_cross_entropy: each pixel weighs 1 / share of its class in the train split, and the
      sum is divided by that of the weights, as CrossEntropyLoss(weight) does; a class without a
      pixel weighs 0
    - bce: binary cross-entropy of each class with its one-hot map, the mean over all; an ignored
      pixel is 0 in every map (CS6550's starter)

    train: the rows of the train split; device: of the logits. No loss waits for a GPU.
    """
    classes, ignore = targets.n_classes, targets.ignore
    if name == "bce":
        return lambda logits, target: bce(logits, target, classes)
    if name == "weighted_cross_entropy":
        weights = inverse_shares((targets.maps[row] for row in train), classes).to(device)
        return lambda logits, target: weighted_cross_entropy(logits, target, ignore, weights)
    return lambda logits, target: cross_entropy(logits, target, ignore)


def cross_entropy(logits: Tensor, target: Tensor, ignore: int) -> Tensor:
    """Cross-entropy, the mean over the pixels that are not ignored."""
    # the mean by hand: on a GPU, that of F.cross_entropy is not deterministic for label maps
    losses = F.cross_entropy(logits, target, ignore_index=ignore, reduction="none")
    return losses.sum() / (target != ignore).sum().clamp(min=1)


def weighted_cross_entropy(logits: Tensor, target: Tensor, ignore: int, weights: Tensor) -> Tensor:
    """The same with a weight for each class, (classes,)."""
    losses = F.cross_entropy(logits, target, weights, ignore_index=ignore, reduction="none")
    counted = target != ignore
    pixel_weights = weights[target.where(counted, 0)]
    # a mask as index waits for a GPU, which has to count; the zeros that replace it would change
    # the rounding of the sum, and with it the weights trained on CPU
    on_cpu = target.device.type == "cpu"
    included = pixel_weights[counted] if on_cpu else pixel_weights.where(counted, 0)
    return losses.sum() / included.sum().clamp(min=1e-12)


def bce(logits: Tensor, target: Tensor, classes: int) -> Tensor:
    """Binary cross-entropy with one-hot maps; an id outside the classes is in none of them."""
    ids = torch.arange(classes, device=target.device)[None, :, None, None]
    return F.binary_cross_entropy_with_logits(logits, (target[:, None] == ids).float())


def inverse_shares(maps: Iterable[NDArray[np.uint8]], classes: int) -> Tensor:
    """1 / share of each class among the pixels of all classes, (classes,) float32."""
    counts = sum(np.bincount(labels.ravel(), minlength=256)[:classes] for labels in maps)
    shares = np.asarray(counts) / max(1, int(np.sum(counts)))
    inverse = np.divide(1, shares, out=np.zeros(classes), where=shares > 0)
    return torch.from_numpy(inverse).float()


def write_segmenter(folder: Path, result: SegmentationResult, device: Device) -> None:
    """Write model, history, and label maps as PNG."""
    write_tensors(folder / "model.safetensors", result.state)
    write_masks(folder / "predictions", result.predictions)
    files: dict[str, Any] = {"epochs": result.shown_epochs}
    if result.test_matrices:
        files["test_confusion"] = result.test_matrices
    write_masks(folder / "masks", result.masks, files)
    write_history(folder / "history.csv", result.history, device)


def write_masks(folder: Path, masks: Masks, files: Mapping[str, Any] | None = None) -> None:
    """Replace a folder by label maps, as gray PNG files of class ids, and JSON files by name."""
    with atomic_folder(folder) as temporary:
        for name, mask in masks.items():
            Image.fromarray(mask).save(temporary / f"{name}.png")
        for name, content in (files or {}).items():
            write_json(temporary / f"{name}.json", content)
