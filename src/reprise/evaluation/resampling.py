"""Scores on images drawn again with replacement (Efron 1979, Annals of Statistics 7:1).

Every run that is scored on the same images is scored on the same resamples of them, so the
difference of two runs is a paired one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprise.evaluation.confusion import mean_iou

DRAWS = 10_000
SEED = 0
BLOCK = 500  # resamples that are counted at once, for the sake of memory

Floats = NDArray[np.float64]
Key = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Measured:
    """A score, or a difference of two scores, of every seed.

    `values` (seeds,) is measured on all images, `draws` (draws, seeds) on each resample of them.
    """

    values: Floats
    draws: Floats
    images: int

    def __sub__(self, other: "Measured") -> "Measured":
        """The paired difference. Raises ValueError when seeds, draws or images differ."""
        if self.draws.shape != other.draws.shape or self.images != other.images:
            raise ValueError("only scores of the same seeds on the same images can be compared")
        return Measured(self.values - other.values, self.draws - other.draws, self.images)


def resampled_sums(values: NDArray[Any], draws: int = DRAWS, seed: int = SEED) -> Floats:
    """Sum rows that are drawn with replacement, as many as there are.

    Args:
        values: (images, columns) whole numbers. The sums are then exact, so their bytes do not
            depend on how a processor orders additions.
        draws: how many resamples.
        seed: the same seed, draws and number of images give the same resamples.

    Returns:
        (draws, columns) float64.
    """
    images = len(values)
    exact = values.astype(np.float64)
    rng = np.random.default_rng(seed)
    sums = np.empty((draws, values.shape[1]))
    for start in range(0, draws, BLOCK):
        rows = min(BLOCK, draws - start)
        drawn = rng.integers(0, images, (rows, images))
        drawn += images * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images)
        sums[start : start + rows] = counts.astype(np.float64) @ exact
    return sums


def measure_accuracy(right: Mapping[Key, NDArray[np.bool_]]) -> dict[Key, Measured]:
    """The accuracies (0..1) of several runs on the same images.

    Args:
        right: run -> (seeds, images): which images each seed's network got right; a run may have
            fewer seeds than another.
    """
    if not right:
        return {}
    every = list(right.values())
    images = every[0].shape[1]
    sums = resampled_sums(np.concatenate(every).T)
    own = np.split(sums, np.cumsum([len(answers) for answers in every])[:-1], axis=1)
    return {
        key: Measured(answers.mean(axis=1), draws / images, images)
        for (key, answers), draws in zip(right.items(), own, strict=True)
    }


def measure_miou(
    matrices: Mapping[Key, NDArray[np.int64]], declared: list[int]
) -> dict[Key, Measured]:
    """The mIoU (0..1) of several runs with the same classes on the same images.

    Args:
        matrices: run -> (seeds, images, classes, classes), a confusion matrix of each image.
        declared: the ids that count; a class that is in neither truth nor prediction of a resample
            is left out of its mean, as in the table.
    """
    made = {}
    for key, own in matrices.items():
        seeds, images, classes, _ = own.shape
        columns = own.transpose(1, 0, 2, 3).reshape(images, -1)
        sums = resampled_sums(columns).reshape(-1, seeds, classes, classes)
        whole = [mean_iou(matrix, declared).value for matrix in own.sum(axis=1)]
        made[key] = Measured(np.array(whole), mean_ious(sums, declared), images)
    return made


def mean_ious(matrices: NDArray[Any], declared: list[int]) -> Floats:
    """`mean_iou` of many confusion matrices, (..., classes, classes), at once: (...) in 0..1."""
    both = np.diagonal(matrices, axis1=-2, axis2=-1)
    union = matrices.sum(axis=-1) + matrices.sum(axis=-2) - both
    both, union = both[..., declared], union[..., declared]
    found: Floats = np.divide(both, union, out=np.zeros(union.shape), where=union > 0)
    return np.asarray(found.sum(axis=-1) / np.maximum((union > 0).sum(axis=-1), 1), np.float64)
