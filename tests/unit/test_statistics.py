"""The intervals, tests and forecasts, against the literature and SciPy."""

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy import stats

from reprise.evaluation.statistics import (
    Estimate,
    SeedScores,
    holm,
    mcnemar,
    resampled_sums,
    wilson,
)


def accuracy_estimate(correct: np.ndarray) -> Estimate:
    """Of (seeds, images), which images each seed's network got right."""
    images = correct.shape[1]
    return SeedScores(correct.mean(axis=1), resampled_sums(correct.T) / images, images).estimate()


def test_wilsons_interval_is_that_of_the_literature() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263 and 0 of 20, method 3
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


def test_mcnemars_exact_p_is_that_of_the_literature() -> None:
    # Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13:91, table 1 and the
    # exact conditional test: airway hyper-responsiveness in 21 children, 1 and 7 discordant
    assert mcnemar(1, 7) == pytest.approx(0.070, abs=5e-4)


@pytest.mark.parametrize(("one", "other"), [(0, 0), (0, 5), (3, 3), (12, 30), (400, 371)])
def test_mcnemars_test_is_a_fair_coin_and_has_no_order(one: int, other: int) -> None:
    fair = stats.binomtest(one, one + other).pvalue if one + other else 1.0
    assert mcnemar(one, other) == mcnemar(other, one) == pytest.approx(fair)


@pytest.mark.parametrize(("one", "other"), [(1, 0), (2, 9), (17, 4), (60, 41)])
def test_mcnemars_exact_p_is_twice_the_tail_of_the_coins(one: int, other: int) -> None:
    # twice the smaller tail of a fair coin, in whole numbers
    n, fewer = one + other, min(one, other)
    tail = sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n
    assert mcnemar(one, other) == pytest.approx(min(1.0, 2 * tail), rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 29, 148, 458])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilsons_interval_is_scipys(n: int, level: float) -> None:
    for correct in {0, 1, n // 3, n - 1, n}:
        theirs = stats.binomtest(correct, n).proportion_ci(level, method="wilson")
        assert wilson(correct, n, level) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_holm_adjusts_the_worked_example_as_printed() -> None:
    # Wikipedia, "Holm-Bonferroni method", example: of 0.01, 0.04, 0.03, 0.005 at level 0.05 the
    # first and the fourth are rejected
    adjusted = holm([0.01, 0.04, 0.03, 0.005])
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_bonferronis_test_of_every_set_of_hypotheses(seed: int) -> None:
    # Marcus, Peritz and Gabriel 1976, Biometrika 63:655: closed testing. A hypothesis is rejected
    # when Bonferroni rejects each set of hypotheses that it belongs to, so its adjusted p is the
    # largest of theirs; of Bonferroni's tests that is Holm's
    p = np.random.default_rng(seed).random(6) ** 3
    sets = [s for size in range(1, 7) for s in combinations(range(6), size)]
    closed = [max(min(1, len(s) * p[list(s)].min()) for s in sets if i in s) for i in range(6)]
    assert holm(p.tolist()) == pytest.approx(closed)


def test_holm_is_between_no_correction_and_bonferronis() -> None:
    p = np.random.default_rng(0).random(10)
    adjusted = holm(p.tolist())
    assert (adjusted >= p).all() and (adjusted <= np.minimum(1, 10 * p)).all()
    assert all(one <= two for one, two in pairwise(adjusted[np.argsort(p)]))
    assert holm([0.2]).tolist() == [0.2] and holm([]).size == 0


def test_the_bootstrap_gives_the_standard_errors_of_efron_and_tibshirani() -> None:
    # An Introduction to the Bootstrap (1993), table 2.1, the seven treated mice: the standard
    # error of the mean tends to 23.36 as the number of resamples grows
    treated = np.array([94, 197, 16, 38, 99, 141, 23])[:, None]
    means = resampled_sums(treated, resamples=100_000)[:, 0] / 7
    assert means.std() == pytest.approx(23.36, rel=0.01)
    assert means.mean() == pytest.approx(86.86, rel=0.01)


def test_one_seed_gives_no_interval_over_seeds() -> None:
    right = np.random.default_rng(8).random((1, 50)) < 0.7
    found = accuracy_estimate(right)
    assert math.isnan(found.seeds_sd) and math.isnan(found.ci_low) and math.isnan(found.ci_high)
    assert found.images_low < found.value < found.images_high
    assert found.seeds_needed() is None


def test_seeds_that_agree_add_nothing_and_seeds_that_differ_widen() -> None:
    one = np.random.default_rng(9).random(200) < 0.7
    same = accuracy_estimate(np.array([one] * 3))
    assert same.seeds_sd == 0
    assert same.ci_high - same.ci_low == pytest.approx(same.images_high - same.images_low, rel=0.05)
    far = one.copy()
    far[:60] = False
    spread = accuracy_estimate(np.array([one, one, far]))
    assert spread.ci_high - spread.ci_low > 1.5 * (same.ci_high - same.ci_low)


def crossed(rng: np.random.Generator, seeds: int, sd_seeds: float) -> Estimate:
    """A difference of two runs whose true value is 0: images, seeds and their noise vary."""
    images, draws = 200, 400
    level = rng.normal(0, 1, images) * 0.5
    table = level + rng.normal(0, sd_seeds, (seeds, 1)) + rng.normal(0, 0.3, (seeds, images))
    drawn = rng.integers(0, images, (draws, images))
    return SeedScores(table.mean(axis=1), table[:, drawn].mean(axis=2).T, images).estimate()


@pytest.mark.parametrize("sd_seeds", [0.0, 0.05, 0.2])
def test_the_interval_over_both_covers_the_truth_as_often_as_it_says(sd_seeds: float) -> None:
    rng = np.random.default_rng(10)
    trials = 400
    inside = 0
    for _ in range(trials):
        found = crossed(rng, 3, sd_seeds)
        inside += found.ci_low <= 0 <= found.ci_high
    # within three binomial standard errors; three seeds tell too little where seeds are all
    promised = 0.95 if sd_seeds < 0.1 else 0.92
    assert inside / trials > promised - 3 * math.sqrt(promised * (1 - promised) / trials)


def test_seeds_alone_give_students_test_as_scipy_has_it() -> None:
    values = np.array([0.031, -0.004, 0.052, 0.018])
    found = SeedScores(values, np.tile(values, (50, 1)), 100).estimate()
    theirs = stats.ttest_1samp(values, 0)
    assert found.images_se == pytest.approx(0)
    assert found.p() == pytest.approx(theirs.pvalue)
    assert (found.ci_low, found.ci_high) == pytest.approx(theirs.confidence_interval(0.95))


def test_images_alone_give_students_test_as_scipy_has_it() -> None:
    values = np.random.default_rng(11).normal(0.1, 1, 80)
    found = Estimate(float(values.mean()), 80, 1, float(stats.sem(values)), 0, 0, math.nan, 0, 0)
    assert found.p() == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_both_sources_give_satterthwaites_degrees_of_freedom_as_scipys_welch_test_has_them() -> (
    None
):
    # the variance of a sum of two means is that of their difference: Welch's test of two samples
    rng = np.random.default_rng(12)
    images, seeds = rng.normal(0.4, 1, 30), rng.normal(0, 0.3, 4)
    found = Estimate(
        float(images.mean() - seeds.mean()), 30, 4, float(stats.sem(images)), 0, 0,
        float(seeds.std(ddof=1)), 0, 0,
    )  # fmt: skip
    theirs = stats.ttest_ind(images, seeds, equal_var=False)
    assert found.dof(4) == pytest.approx(theirs.df)
    assert found.p() == pytest.approx(theirs.pvalue)


def difference(value: float, images_se: float, seeds_sd: float, images: int = 100) -> Estimate:
    return Estimate(value, images, 3, images_se, 0, 0, seeds_sd, 0, 0)


def test_the_power_is_that_of_the_paired_t_test() -> None:
    # Cohen's formula by scipy's noncentral t: d = 0.3, power 0.8, two-sided 0.05 -> 90 images
    def of_images(n: int) -> bool:
        return difference(0.3, 1 / math.sqrt(n), math.nan, n).detectable(1)

    n = next(n for n in range(2, 1000) if of_images(n))
    assert n == pytest.approx(90, abs=1)
    limit = stats.t.ppf(0.975, n - 1)
    assert stats.nct.sf(limit, n - 1, 0.3 * math.sqrt(n)) == pytest.approx(0.8, abs=0.01)


def test_no_number_of_seeds_is_enough_where_the_images_are_too_few() -> None:
    assert difference(0.03, 0.02, 0.005).seeds_needed() is None
    clear = difference(0.03, 0.005, 0.02)
    seeds = clear.seeds_needed() or 0
    assert seeds > 3 and clear.detectable(seeds) and not clear.detectable(seeds - 1)
    assert difference(0.03, 0.001, 0.0001).seeds_needed() == 2


def test_a_difference_of_zero_is_never_detectable() -> None:
    assert difference(0.0, 0.02, 0.01).seeds_needed() is None
    assert difference(0.0, 0.0, 0.0).p() == 1.0
