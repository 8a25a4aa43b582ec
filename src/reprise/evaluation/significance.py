"""Tests of one pair, and of several pairs at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest


def mcnemar(first_only: int, second_only: int) -> float:
    """Exact p of McNemar's test (1947, Psychometrika 12:153): two networks, the same images.

    Only the images count that one network got right and the other wrong; were both equally good,
    each would be a fair coin. The images must be different ones: the answers of several seeds must
    not be pooled, for an image that is asked three times is still one image. So the test is of two
    trained networks, and says nothing of what other seeds would have given.

    Args:
        first_only: images that the first alone got right.
        second_only: images that the second alone got right.

    Returns:
        The two-sided p, 1 where the two never differ.
    """
    differ = first_only + second_only
    return float(binomtest(first_only, differ, 0.5).pvalue) if differ else 1.0


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """Adjusted p-values (Holm 1979, Scandinavian Journal of Statistics 6:65), in the order given.

    A pair whose adjusted p is below 0.05 is shown with at most a 5 % risk that any of the pairs is
    shown wrongly.
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted
