"""One confusion matrix over a whole set, and the metrics that are read off it.

All counts are integers, so a sum over any batches in any order gives the same matrix, and the
metrics below are those of the whole set, never means over batches or images.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BLOCK = 2**20  # ids that are counted at once: they stay in the processor's cache
WIDTH = 2**10  # of the picture that Pillow counts
Matrix = NDArray[np.int64]
Ids = NDArray[np.integer]
Absent = Literal["skip", "zero", "nan"]


class MeanIoU(NamedTuple):
    """A mean IoU (0..1) and how many of the declared classes it is the mean of."""

    value: float
    counted: int
    declared: int

    def __str__(self) -> str:
        return f"{self.value:.4f}, mIoU over {self.counted} of {self.declared} classes"


def confusion(
    truth: Ids,
    prediction: Ids,
    classes: int,
    ignore: int | None = None,
) -> Matrix:
    """Count pairs of classes.

    Args:
        truth: class ids, any shape, 0..classes-1 or `ignore`.
        prediction: class ids 0..classes-1, the same shape.
        classes: number of ids.
        ignore: where the truth is this id, the pixel does not count.

    Returns:
        (classes, classes) int64; row = truth, column = prediction.

    Raises:
        ValueError: shapes differ, or an id is outside 0..classes-1.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape}, prediction is {prediction.shape}")
    counts = np.zeros((classes, classes), np.int64)
    for start in range(0, truth.size, BLOCK):
        t, p = (ids.reshape(-1)[start : start + BLOCK] for ids in (truth, prediction))
        if _outside(t, classes) or _outside(p, classes):
            if ignore is not None:
                t, p = t[t != ignore], p[t != ignore]
            for name, ids in (("truth", t), ("prediction", p)):
                if _outside(ids, classes):
                    worst = ids.min() if ids.min() < 0 else ids.max()
                    raise ValueError(f"{name} holds id {worst}; the classes are 0 to {classes - 1}")
        counts += _pairs(t, p, classes)
    if ignore is not None and 0 <= ignore < classes:
        counts[ignore] = 0
    return counts


def void_answers(truth: Ids, prediction: Ids, classes: int, ignore: int | None) -> Matrix:
    """What is answered where the truth is `ignore`: (classes,) int64, pixels of each class.

    This project does not count them; both courses' own metrics do (see evaluation/course.py).
    """
    answers = prediction[truth == ignore] if ignore is not None else prediction[:0]
    counts: Matrix = np.bincount(answers.ravel(), minlength=classes).astype(np.int64)
    return counts


def _outside(ids: Ids, classes: int) -> bool:
    return bool(ids.size and (ids.max() >= classes or (ids.dtype.kind == "i" and ids.min() < 0)))


def _pairs(t: Ids, p: Ids, classes: int) -> Matrix:
    """How often each pair of ids stands at the same place, (classes, classes)."""
    if classes**2 > 256 or t.dtype != np.uint8 or p.dtype != np.uint8:
        wide = np.bincount(t.astype(np.int64) * classes + p, minlength=classes**2)
        return wide.reshape(classes, classes)
    keys = t * np.uint8(classes) + p
    # Pillow counts the four bytes of a pixel in four tables at once, numpy one number after another
    rows = len(keys) // (4 * WIDTH)
    counted = rows * 4 * WIDTH
    found = np.bincount(keys[counted:], minlength=256)
    if rows:
        image = Image.frombuffer("RGBA", (WIDTH, rows), keys[:counted], "raw", "RGBA", 0, 1)
        found = found + np.reshape(image.histogram(), (4, 256)).sum(axis=0)
    table: Matrix = found[: classes**2].reshape(classes, classes)
    return table


def iou(matrix: Matrix) -> NDArray[np.float64]:
    """Intersection over union of each class, (classes,) in 0..1; NaN for a class absent from both.

    n_ii / (t_i + sum_j n_ji - n_ii), as in Long et al. 2015 (arXiv 1411.4038), section 5.
    """
    both = np.diag(matrix).astype(np.float64)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - both
    found: NDArray[np.float64] = np.full(len(both), np.nan)
    np.divide(both, union, out=found, where=union > 0)
    return found


def mean_iou(
    matrix: Matrix, declared: Sequence[int] | None = None, absent: Absent = "skip"
) -> MeanIoU:
    """Mean of the IoU over the declared classes.

    Args:
        matrix: from `confusion`.
        declared: ids to average; all of them when None. An ignored id is left out here.
        absent: a declared class that is neither in the truth nor predicted is left out ("skip"),
            counts 0 ("zero"), or makes the mean NaN ("nan", the course's own script).
    """
    chosen = iou(matrix) if declared is None else iou(matrix)[list(declared)]
    known = int((~np.isnan(chosen)).sum())
    if absent == "zero":
        return MeanIoU(float(np.nan_to_num(chosen).mean()), len(chosen), len(chosen))
    if known == 0 or (absent == "nan" and known < len(chosen)):
        return MeanIoU(float("nan"), known, len(chosen))
    return MeanIoU(float(np.nanmean(chosen)), known, len(chosen))


def pixel_accuracy(matrix: Matrix) -> float:
    """Share of the counted pixels (or images) on the diagonal, 0..1; NaN when nothing counted."""
    total = int(matrix.sum())
    return int(np.trace(matrix)) / total if total else float("nan")
