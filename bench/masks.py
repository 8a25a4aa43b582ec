"""Confusion matrix and mIoU of 257 label maps of 512 x 512, the number of the course's val split.

Seven ids, the last one unknown: regions of 32 x 32 pixels, 30 % of the predicted pixels redrawn.
Every side starts from uint8 arrays in memory and ends with the mIoU over the six classes; the
row first checks that all agree. One thread.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from bench.measure import Comparison, Measured, Side, interleave
from bench.timing import seconds_of
from reprise.metrics.confusion import confusion, mean_iou

CLASSES, UNKNOWN = 6, 6
Masks = NDArray[np.uint8]


def random_masks(count: int) -> tuple[Masks, Masks]:
    """Truth and prediction, (count, 512, 512); the prediction is never unknown."""
    generator = np.random.default_rng(0)
    regions = generator.integers(0, CLASSES + 1, (count, 16, 16), dtype=np.uint8)
    truth = np.repeat(np.repeat(regions, 32, axis=1), 32, axis=2)
    redrawn = (generator.random(truth.shape, np.float32) < 0.3) | (truth == UNKNOWN)
    drawn = generator.integers(0, CLASSES, truth.shape, dtype=np.uint8)
    return truth, np.where(redrawn, drawn, truth)


def ours(truth: Masks, prediction: Masks, ignore: int | None = UNKNOWN) -> float:
    """Reprise: one integer matrix over the set; None counts predictions on unknown pixels."""
    matrix = confusion(truth, prediction, CLASSES + 1, ignore)
    return mean_iou(matrix, range(CLASSES)).value


def torchmetrics(truth: Masks, prediction: Masks, validate: bool = True) -> float:
    """JaccardIndex, updated mask by mask, which is faster than with the whole set at once."""
    from torchmetrics import JaccardIndex

    metric = JaccardIndex(
        task="multiclass", num_classes=CLASSES + 1, ignore_index=UNKNOWN, validate_args=validate
    )
    for predicted, true in zip(prediction, truth, strict=True):
        metric.update(torch.from_numpy(predicted)[None], torch.from_numpy(true)[None])
    return float(metric.compute())


def course(truth: Masks, prediction: Masks) -> float:
    """For each class, three sums over the whole set, which its readers hold as float64."""
    labels, predicted = truth.astype(np.float64), prediction.astype(np.float64)
    total = 0.0
    for number in range(CLASSES):
        predicted_pixels = np.sum(predicted == number)
        true_pixels = np.sum(labels == number)
        both = np.sum((predicted == number) * (labels == number))
        total += both / (predicted_pixels + true_pixels - both) / CLASSES
    return float(total)


def row(name: str, quick: bool) -> Measured:
    """Ours, JaccardIndex with and without its checks, and the loop over classes."""
    torch.set_num_threads(1)
    truth, prediction = random_masks(20 if quick else 257)
    expected = ours(truth, prediction)
    failures = [
        f"{which} gives {value}, Reprise {mine}"
        for which, value, mine in (
            ("JaccardIndex", torchmetrics(truth, prediction), expected),
            ("the course's loop", course(truth, prediction), ours(truth, prediction, None)),
        )
        if abs(value - mine) > 1e-5
    ]
    sides = {
        "ours": Side(
            "Reprise: `confusion` and `mean_iou` on the uint8 arrays, without unknown pixels",
            seconds_of(lambda: ours(truth, prediction)),
        ),
        "torchmetrics": Side(
            "JaccardIndex of torchmetrics, updated mask by mask, without unknown pixels",
            seconds_of(lambda: torchmetrics(truth, prediction)),
        ),
        "unchecked": Side(
            "the same with validate_args=False",
            seconds_of(lambda: torchmetrics(truth, prediction, False)),
        ),
        "course": Side(
            "a loop over the six classes with three sums each on float64 arrays, the conversion "
            "included, as the course's script holds them",
            seconds_of(lambda: course(truth, prediction)),
        ),
    }
    interleave(sides, 1 if quick else 5)
    comparisons = [
        Comparison("torchmetrics JaccardIndex", "ours", "torchmetrics", 10),
        Comparison("torchmetrics JaccardIndex without its checks", "ours", "unchecked"),
        Comparison("the course's loop over classes", "ours", "course", 30),
    ]
    notes = ["One thread; every side gives the same mIoU, which the row checks first."]
    title = f"Confusion matrix and mIoU of {len(truth)} masks, 512 x 512"
    return Measured(title, "s", sides, comparisons, notes, failures=failures)
