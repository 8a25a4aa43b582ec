"""One confusion matrix over a whole split, and the metrics that follow from it.

All counts are integers, so a sum over any batches in any order gives the same matrix. The metrics
are those of the whole split, never means over batches or images.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BLOCK = 2**20  # ids that are counted at once, chosen to fit in the CPU's cache
WIDTH = 2**10  # of the image whose histogram Pillow takes
Matrix = NDArray[np.int64]
Ids = NDArray[np.integer]
Item = TypeVar("Item", bound=np.generic)


class MeanIoU(NamedTuple):
    """A mean IoU (0..1), and how many of the scored classes it is the mean of."""

    value: float
    present: int
    classes: int

    def __str__(self) -> str:
        return f"{self.value:.4f}, mIoU over {self.present} of {self.classes} classes"


def confusion(truth: Ids, prediction: Ids, classes: int, ignore: int | None = None) -> Matrix:
    """Count pairs of true and predicted class: (classes, classes) int64, row = truth.

    `truth` holds ids 0..classes-1 or `ignore`, in any shape, `prediction` ids 0..classes-1 in the
    same shape. Pixels whose truth is `ignore` are not counted.

    Raises ValueError when shapes differ, or an id is outside 0..classes-1.
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
        counts += _count_pairs(t, p, classes)
    if ignore is not None and 0 <= ignore < classes:
        counts[ignore] = 0
    return counts


def center_crop(pixels: NDArray[Item], height: int, width: int) -> NDArray[Item]:
    """The center of an image or label map (H, W, ...), as a view; of all of it where sizes agree.

    Where a margin is odd, the smaller part is above or left. A network that was evaluated on the
    center of its images (`augment.crop_pixels`) has predictions of this size.

    Raises ValueError when it is smaller than the crop.
    """
    top, left = pixels.shape[0] - height, pixels.shape[1] - width
    if min(top, left) < 0:
        raise ValueError(f"{pixels.shape[:2]} is smaller than the crop {(height, width)}")
    return pixels[top // 2 : top // 2 + height, left // 2 : left // 2 + width]


def ignored_pixel_predictions(
    truth: Ids, prediction: Ids, classes: int, ignore: int | None
) -> Matrix:
    """Pixels of each predicted class where the truth is `ignore`, (classes,) int64.

    `confusion` leaves them out; the course scripts count them (see metrics/courses.py).
    """
    predicted = prediction[truth == ignore] if ignore is not None else prediction[:0]
    counts: Matrix = np.bincount(predicted.ravel(), minlength=classes).astype(np.int64)
    return counts


def _outside(ids: Ids, classes: int) -> bool:
    return bool(ids.size and (ids.max() >= classes or (ids.dtype.kind == "i" and ids.min() < 0)))


def _count_pairs(t: Ids, p: Ids, classes: int) -> Matrix:
    """How often each pair of ids occurs at the same position, (classes, classes)."""
    if classes**2 > 256 or t.dtype != np.uint8 or p.dtype != np.uint8:
        wide = np.bincount(t.astype(np.int64) * classes + p, minlength=classes**2)
        return wide.reshape(classes, classes)
    keys = t * np.uint8(classes) + p
    # Pillow counts the four channels of a pixel in four tables at once, faster than np.bincount
    rows = len(keys) // (4 * WIDTH)
    in_image = rows * 4 * WIDTH
    counts = np.bincount(keys[in_image:], minlength=256)
    if rows:
        image = Image.frombuffer("RGBA", (WIDTH, rows), keys[:in_image], "raw", "RGBA", 0, 1)
        counts = counts + np.reshape(image.histogram(), (4, 256)).sum(axis=0)
    table: Matrix = counts[: classes**2].reshape(classes, classes)
    return table


def iou(matrices: NDArray[np.number]) -> NDArray[np.float64]:
    """Intersection over union of each class, 0..1; NaN for a class absent from both.

    n_ii / (t_i + sum_j n_ji - n_ii), as in Long et al. 2015 (arXiv 1411.4038), section 5. From
    (..., classes, classes), one matrix or many, to (..., classes).
    """
    both = np.diagonal(matrices, axis1=-2, axis2=-1)
    union = matrices.sum(axis=-1) + matrices.sum(axis=-2) - both
    values: NDArray[np.float64] = np.full(both.shape, np.nan)
    np.divide(both, union, out=values, where=union > 0)
    return values


def mean_iou(
    matrix: Matrix,
    class_ids: Sequence[int] | None = None,
    absent: Literal["skip", "nan"] = "skip",
) -> MeanIoU:
    """Mean of the IoU over some classes (all when None); an ignored id is left out here.

    A class that is neither in the truth nor predicted is excluded from the mean ("skip"), or makes
    it NaN ("nan", as in the DLCV script).
    """
    values = iou(matrix) if class_ids is None else iou(matrix)[list(class_ids)]
    present = int((~np.isnan(values)).sum())
    if present == 0 or (absent == "nan" and present < len(values)):
        return MeanIoU(float("nan"), present, len(values))
    return MeanIoU(float(np.nanmean(values)), present, len(values))


def mean_ious(matrices: NDArray[np.number], class_ids: list[int]) -> NDArray[np.float64]:
    """`mean_iou` (absent classes skipped; 0 where all are) of many matrices, as in `iou`."""
    values = iou(matrices).take(class_ids, axis=-1)
    means: NDArray[np.float64] = np.ma.masked_invalid(values).mean(axis=-1).filled(0)
    return means


def pixel_accuracy(matrix: Matrix) -> float:
    """Share of the counted pixels (or images) on the diagonal, 0..1; NaN for an empty matrix."""
    total = int(matrix.sum())
    return int(np.trace(matrix)) / total if total else float("nan")
