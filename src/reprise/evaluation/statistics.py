"""Confidence intervals and tests, with images and seeds as sources of variance.

Other images and other seeds would each have given another score. The standard error over images is
the bootstrap's, the standard deviation over seeds that of the seeds that were run. The variance of
the mean over seeds is taken as their sum,

    se(images)^2 + sd(seeds)^2 / seeds,

which counts the interaction of the two twice and so errs on the wide side (as does drawing images
and seeds again, the pigeonhole bootstrap of Owen 2007, Annals of Applied Statistics 1:386). With
few seeds their sd is itself uncertain, so the interval is Student's t with the degrees of freedom
of Satterthwaite 1946 (Biometrics Bulletin 2:110).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan, nan, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit
from scipy.stats import binomtest

Floats = NDArray[np.float64]
LEVEL = 0.95
POWER = 0.8
MAX_SEEDS = 1_000
N_RESAMPLES = 10_000
SEED = 0
BLOCK = 500  # resamples that are counted at once, to limit memory


def wilson(correct: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Both ends (0..1) of Wilson's interval of the share correct/n (Wilson 1927, JASA 22:209).

    `correct`, 0..n, is the number of successes in `n` independent trials; a mean over seeds need
    not be whole. `level` is the confidence level, 0..1.
    """
    if not 0 <= correct <= n or n < 1:
        raise ValueError(f"not a proportion: {correct} of {n}")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = correct / n
    center = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (center - half) / scale), min(1.0, (center + half) / scale)


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact p of McNemar's test (1947, Psychometrika 12:153): two networks on the same images.

    Only images that exactly one network got right count; if both were equally good, each would be a
    fair coin flip. The images must be independent, so the predictions of several seeds must not be
    pooled. The test is of two trained networks and says nothing about other seeds.

    `only_a` and `only_b` are the numbers of images that only the first, only the second network got
    right. The p is two-sided, and 1 where the two never differ.
    """
    discordant = only_a + only_b
    return float(binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0


def holm(p: Sequence[float]) -> Floats:
    """Adjusted p-values (Holm 1979, Scandinavian Journal of Statistics 6:65), in the order given.

    If every comparison with an adjusted p below 0.05 is called significant, the risk that any of
    them is so by chance is at most 5 %.
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted


def resampled_sums(
    columns: NDArray[np.integer], resamples: int = N_RESAMPLES, seed: int = SEED
) -> Floats:
    """Sums over images drawn with replacement, as many as there are (Efron 1979, Ann. Stat. 7:1).

    From `columns` (images, m), whole numbers, to (resamples, m) float64. The sums are exact, so
    their bytes do not depend on the order of additions. The same seed, resamples and number of
    images give the same draws: all networks on the same images are scored on the same resamples.
    """
    images = len(columns)
    exact = columns.astype(np.float64)
    rng = np.random.default_rng(seed)
    sums = np.empty((resamples, columns.shape[1]))
    for start in range(0, resamples, BLOCK):
        rows = min(BLOCK, resamples - start)
        drawn = rng.integers(0, images, (rows, images))
        drawn += images * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images)
        sums[start : start + rows] = counts.astype(np.float64) @ exact
    return sums


@dataclass(frozen=True)
class Estimate:
    """The mean over seeds of a score or a difference, with both sources of variance.

    With one seed `seeds_sd`, `ci_low` and `ci_high` are NaN: nothing is known about other seeds.
    `images_low` and `images_high` are the interval for these trained networks on other images.
    """

    value: float
    images: int
    seeds: int
    images_se: float
    images_low: float
    images_high: float
    seeds_sd: float
    ci_low: float
    ci_high: float

    def se(self, seeds: int) -> float:
        """The standard error of the mean over this many seeds."""
        return sqrt(self.images_se**2 + self._seeds_variance(seeds))

    def dof(self, seeds: int) -> float:
        """Degrees of freedom of that standard error."""
        of_images, of_seeds = self.images_se**2, self._seeds_variance(seeds)
        if of_seeds == 0 or seeds < 2:
            return self.images - 1.0
        terms = of_images**2 / (self.images - 1) + of_seeds**2 / (seeds - 1)
        return (of_images + of_seeds) ** 2 / terms

    def p(self) -> float:
        """Two-sided p of a value of 0, over images and, with more than one seed, seeds."""
        error = self.se(self.seeds)
        if error == 0:  # all images agree; its probability under fair coin flips
            return 1.0 if self.value == 0 else 0.5 ** (self.images - 1)
        return float(2 * stdtr(self.dof(self.seeds), -abs(self.value) / error))

    def detectable(self, seeds: int) -> bool:
        """Whether this many seeds would make a true difference of this size significant.

        With probability POWER, at the level LEVEL, if both sources vary as they do here.
        """
        if self.value == 0:
            return False
        dof = self.dof(seeds)
        quantiles = stdtrit(dof, 0.5 + LEVEL / 2) + stdtrit(dof, POWER)
        return bool(quantiles * self.se(seeds) <= abs(self.value))

    def seeds_needed(self) -> int | None:
        """The seeds that would be enough on the same images; None above MAX_SEEDS or unknown."""
        if isnan(self.seeds_sd) or not self.detectable(MAX_SEEDS):
            return None
        return 2 + bisect_left(range(2, MAX_SEEDS), True, key=self.detectable)

    def _seeds_variance(self, seeds: int) -> float:
        return 0.0 if isnan(self.seeds_sd) else self.seeds_sd**2 / seeds


@dataclass(frozen=True, eq=False)
class SeedScores:
    """A metric of a run, or the difference of two runs, for every seed.

    `values` (seeds,) on all images, `resamples` (resamples, seeds) on each resample of them. All
    runs on the same images have the same resamples, so their differences are paired.
    """

    values: Floats
    resamples: Floats
    images: int

    def __sub__(self, other: "SeedScores") -> "SeedScores":
        """The paired difference. Raises ValueError when seeds, resamples or images differ."""
        if self.resamples.shape != other.resamples.shape or self.images != other.images:
            raise ValueError("only scores of the same seeds on the same images can be compared")
        differences = self.values - other.values, self.resamples - other.resamples
        return SeedScores(*differences, self.images)

    def estimate(self) -> Estimate:
        """The mean over seeds with its standard errors and 95 % confidence intervals."""
        over_images = self.resamples.mean(axis=1)
        low, high = np.quantile(over_images, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
        seeds = len(self.values)
        result = Estimate(
            value=float(self.values.mean()),
            images=self.images,
            seeds=seeds,
            images_se=float(over_images.std(ddof=1)),
            images_low=float(low),
            images_high=float(high),
            seeds_sd=float(self.values.std(ddof=1)) if seeds > 1 else nan,
            ci_low=nan,
            ci_high=nan,
        )
        if seeds == 1:
            return result
        half = float(stdtrit(result.dof(seeds), 0.5 + LEVEL / 2)) * result.se(seeds)
        return replace(result, ci_low=result.value - half, ci_high=result.value + half)
