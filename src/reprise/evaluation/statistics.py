"""Confidence intervals and tests, with groups of images and seeds as sources of variance.

Other images and other seeds would each have given another score. Images of one group (a block of
the globe, a person) are alike, so it is groups that are drawn. Their variance is that of the
jackknife that leaves out one group at a time,

    var(groups) = (k - 1) / k * sum over groups (score without the group - score)^2,

of k groups (Tukey 1958; the cluster-robust estimator CV3 of MacKinnon, Nielsen and Webb 2023,
Journal of Applied Econometrics 38:671). The variance of a mean over seeds is taken as the sum

    var(groups) + sd(seeds)^2 / seeds,

which counts the interaction of the two twice and so errs on the wide side. A seed is a whole chain:
where a run starts from a pretraining of its own seed, the standard deviation over seeds contains
that of the pretraining. The interval is Student's t with the degrees of freedom of Satterthwaite
1946 (Biometrics Bulletin 2:110). docs/coverage.md has its coverage on simulated data.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan, nan, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Floats = NDArray[np.float64]
LEVEL = 0.95
POWER = 0.8
MAX_SEEDS = 1_000


def wilson(correct: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of the proportion correct/n (Wilson 1927, JASA 22:209).

    Args:
        correct: number of successes, 0..n; a mean over seeds need not be whole.
        n: number of independent trials, at least 1.
        level: confidence level, 0..1.

    Returns:
        The lower and the upper end, both in 0..1.
    """
    if not 0 <= correct <= n or n < 1:
        raise ValueError(f"not a proportion: {correct} of {n}")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = correct / n
    center = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (center - half) / scale), min(1.0, (center + half) / scale)


def sign_flip(differences: NDArray[np.integer]) -> float:
    """Exact p of two networks on the same images, by flipping the signs of whole groups.

    If both were equally good, which one is called a would be a fair coin flip for each group. All
    2^k flips are counted, by convolving the distributions of the groups' differences. Where each
    image is a group this is McNemar's exact test (1947, Psychometrika 12:153). The test is of two
    trained networks and says nothing about other seeds.

    Args:
        differences: for each group, (k,): images that only a got right minus those that only b did.

    Returns:
        The two-sided p: the probability of a total at least as far from 0; 1 if no group differs.
    """
    sizes = np.abs(differences[differences != 0])
    probability = np.ones(1)  # of each total, from -reach to reach
    for size in sizes.tolist():
        padding = np.zeros(2 * size)
        one, other = np.append(probability, padding), np.append(padding, probability)
        probability = (one + other) / 2
    totals = np.arange(len(probability)) - len(probability) // 2
    return min(1.0, float(probability[np.abs(totals) >= abs(int(differences.sum()))].sum()))


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


def holm_levels(p: Sequence[float], level: float = LEVEL) -> Floats:
    """The level at which Holm's procedure tests each p, in the order given.

    The smallest of m is compared with (1 - level) / m, the next with (1 - level) / (m - 1), and so
    on; a level of 1 minus that is returned.
    """
    ranks = np.argsort(np.argsort(np.asarray(p, np.float64), kind="stable"), kind="stable")
    levels: Floats = 1 - (1 - level) / (len(ranks) - ranks)
    return levels


def group_sums(columns: NDArray[np.integer], groups: NDArray[np.int64]) -> Floats:
    """Sums of whole numbers (images, m) over each group, (k, m) float64, in the order of the ids.

    groups: (images,) ids. Sums of whole numbers are exact, so their bytes do not depend on the
    order of additions.
    """
    _, numbers = np.unique(groups, return_inverse=True)
    sums = np.zeros((numbers.max() + 1, columns.shape[1]))
    np.add.at(sums, numbers, columns)
    return sums


@dataclass(frozen=True)
class Estimate:
    """The mean over seeds of a score or a difference, with both sources of variance.

    `groups_low` and `groups_high` are the interval for these trained networks on other groups of
    images, NaN if there is one group. With one seed `seeds_sd`, `ci_low` and `ci_high` are NaN:
    nothing is known about other seeds.
    """

    value: float
    images: int
    groups: int
    seeds: int
    groups_se: float
    groups_low: float
    groups_high: float
    seeds_sd: float
    ci_low: float
    ci_high: float

    def p(self) -> float:
        """Two-sided p of a value of 0, over groups and, with more than one seed, seeds."""
        error = self._se(self.seeds)
        if error == 0:  # all groups agree; its probability under fair coin flips
            return 1.0 if self.value == 0 else 0.5 ** (self.groups - 1)
        return float(2 * stdtr(self._dof(self.seeds), -abs(self.value) / error))

    def half_width(self, seeds: int, level: float = LEVEL) -> float:
        """Half the width of the interval of a mean over this many seeds; 1: over groups alone."""
        return float(stdtrit(self._dof(seeds), 0.5 + level / 2)) * self._se(seeds)

    def seeds_needed(self, level: float = LEVEL) -> int | None:
        """The fewest seeds, more than there are, that would make this difference significant.

        With probability POWER, at this level, if it is the true one and both sources vary as they
        do here. None: more than MAX_SEEDS, or unknown.
        """
        if isnan(self.seeds_sd) or self.value == 0:
            return None
        for seeds in range(self.seeds + 1, MAX_SEEDS + 1):
            dof = self._dof(seeds)
            quantiles = stdtrit(dof, 0.5 + level / 2) + stdtrit(dof, POWER)
            if quantiles * self._se(seeds) <= abs(self.value):
                return seeds
        return None

    def _se(self, seeds: int) -> float:
        return sqrt(self.groups_se**2 + self._seeds_variance(seeds))

    def _dof(self, seeds: int) -> float:
        of_groups, of_seeds = self.groups_se**2, self._seeds_variance(seeds)
        if of_seeds == 0 or self.groups == 1:  # of one group nothing is known
            return self.groups - 1.0
        terms = of_groups**2 / (self.groups - 1) + of_seeds**2 / (seeds - 1)
        return (of_groups + of_seeds) ** 2 / terms

    def _seeds_variance(self, seeds: int) -> float:
        return 0.0 if seeds < 2 or isnan(self.seeds_sd) else self.seeds_sd**2 / seeds


@dataclass(frozen=True, eq=False)
class SeedScores:
    """A metric of a run, or the difference of two runs, for every seed.

    `values` (seeds,) on all images, `left_out` (groups, seeds) on all images but those of a group.
    All runs on the same images have the same groups, so their differences are paired.
    """

    values: Floats
    left_out: Floats
    images: int

    def __sub__(self, other: "SeedScores") -> "SeedScores":
        """The paired difference. Raises ValueError when seeds, groups or images differ."""
        if self.left_out.shape != other.left_out.shape or self.images != other.images:
            raise ValueError("only scores of the same seeds on the same images can be compared")
        differences = self.values - other.values, self.left_out - other.left_out
        return SeedScores(*differences, self.images)

    def estimate(self) -> Estimate:
        """The mean over seeds with its standard errors and 95 % confidence intervals."""
        groups, seeds = self.left_out.shape
        value = float(self.values.mean())
        deviations = self.left_out.mean(axis=1) - value
        result = Estimate(
            value=value,
            images=self.images,
            groups=groups,
            seeds=seeds,
            groups_se=sqrt((groups - 1) / groups * (deviations**2).sum()) if groups > 1 else nan,
            groups_low=nan,
            groups_high=nan,
            seeds_sd=float(self.values.std(ddof=1)) if seeds > 1 else nan,
            ci_low=nan,
            ci_high=nan,
        )
        half = result.half_width(1)
        half_of_both = result.half_width(seeds) if seeds > 1 else nan
        return replace(
            result,
            groups_low=value - half,
            groups_high=value + half,
            ci_low=value - half_of_both,
            ci_high=value + half_of_both,
        )
