"""The intervals, tests and forecasts, against the literature and SciPy."""

import math
from itertools import combinations, pairwise, product

import numpy as np
import pytest
from scipy import stats

from reprise.evaluation.statistics import (
    Estimate,
    SeedScores,
    group_sums,
    holm,
    holm_levels,
    sign_flip,
    wilson,
)


def estimate(table: np.ndarray, groups: np.ndarray | None = None) -> Estimate:
    """Of (seeds, images), a value of each seed and image; by default images are the groups."""
    images = table.shape[1]
    groups = np.arange(images) if groups is None else groups
    numbers = np.unique(groups)
    left_out = np.array([table[:, groups != number].mean(axis=1) for number in numbers])
    return SeedScores(table.mean(axis=1), left_out, images).estimate()


def test_wilsons_interval_is_that_of_the_literature() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263 and 0 of 20, method 3
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


def test_mcnemars_exact_p_is_that_of_the_literature() -> None:
    # Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13:91, table 1 and the
    # exact conditional test: airway hyper-responsiveness in 21 children, 1 and 7 discordant
    assert sign_flip(np.array([1] + [-1] * 7 + [0] * 13)) == pytest.approx(0.070, abs=5e-4)


@pytest.mark.parametrize(("one", "other"), [(0, 0), (0, 5), (3, 3), (12, 30), (400, 371)])
def test_where_images_are_groups_the_sign_flip_is_mcnemars_test(one: int, other: int) -> None:
    fair = stats.binomtest(one, one + other).pvalue if one + other else 1.0
    differences = np.repeat([1, -1, 0], [one, other, 7])
    assert sign_flip(differences) == sign_flip(-differences) == pytest.approx(fair)


@pytest.mark.parametrize("seed", range(4))
def test_the_sign_flip_counts_every_flip_of_every_group(seed: int) -> None:
    differences = np.random.default_rng(seed).integers(-4, 6, 10)
    signs = np.array(list(product([1, -1], repeat=10)))
    totals = np.abs(signs @ differences)
    assert sign_flip(differences) == pytest.approx((totals >= abs(differences.sum())).mean())


def test_one_group_alone_never_shows_a_difference() -> None:
    assert sign_flip(np.array([50])) == 1.0
    assert sign_flip(np.array([50, 0, 0])) == 1.0


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


def test_holms_levels_are_those_at_which_the_adjusted_p_is_decided() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm_levels(p) == pytest.approx([1 - 0.05 / 3, 0.95, 0.975, 1 - 0.05 / 4])


def test_sums_over_groups_are_exact_and_in_the_order_of_the_ids() -> None:
    columns = np.array([[1, 10], [2, 20], [3, 30], [4, 40]])
    assert group_sums(columns, np.array([7, 2, 7, 2])).tolist() == [[6, 60], [4, 40]]


def test_the_jackknife_of_single_images_is_the_standard_error_of_the_mean() -> None:
    # An Introduction to the Bootstrap (Efron and Tibshirani 1993), table 2.1, seven treated mice
    treated = np.array([94.0, 197, 16, 38, 99, 141, 23])
    found = estimate(treated[None])
    assert found.groups_se == pytest.approx(stats.sem(treated)) == pytest.approx(25.24, abs=0.01)
    ends = stats.t.interval(0.95, 6, treated.mean(), stats.sem(treated))
    assert (found.groups_low, found.groups_high) == pytest.approx(ends)


def test_equal_images_of_a_group_count_once() -> None:
    right = np.random.default_rng(3).random(12) < 0.6
    single = estimate(right[None].astype(float))
    tenfold = estimate(np.repeat(right, 10)[None].astype(float), np.repeat(np.arange(12), 10))
    assert tenfold.groups_se == pytest.approx(single.groups_se)
    assert (tenfold.images, tenfold.groups) == (120, 12)


def test_one_group_gives_no_interval() -> None:
    found = SeedScores(np.ones(3), np.full((1, 3), np.nan), 5).estimate()
    assert math.isnan(found.groups_low) and math.isnan(found.ci_low) and math.isnan(found.p())


def test_one_seed_gives_no_interval_over_seeds() -> None:
    found = estimate((np.random.default_rng(8).random((1, 50)) < 0.7).astype(float))
    assert math.isnan(found.seeds_sd) and math.isnan(found.ci_low) and math.isnan(found.ci_high)
    assert found.groups_low < found.value < found.groups_high
    assert found.seeds_needed() is None


def test_seeds_that_agree_add_nothing_and_seeds_that_differ_widen() -> None:
    one = (np.random.default_rng(9).random(200) < 0.7).astype(float)
    same = estimate(np.array([one] * 3))
    assert same.seeds_sd == 0
    assert (same.ci_low, same.ci_high) == pytest.approx((same.groups_low, same.groups_high))
    far = one.copy()
    far[:60] = 0
    spread = estimate(np.array([one, one, far]))
    assert spread.ci_high - spread.ci_low > 1.5 * (same.ci_high - same.ci_low)


def test_seeds_alone_give_students_test_as_scipy_has_it() -> None:
    values = np.array([0.031, -0.004, 0.052, 0.018])
    found = SeedScores(values, np.tile(values, (50, 1)), 100).estimate()
    theirs = stats.ttest_1samp(values, 0)
    assert found.groups_se == pytest.approx(0)
    assert found.p() == pytest.approx(theirs.pvalue)
    assert (found.ci_low, found.ci_high) == pytest.approx(theirs.confidence_interval(0.95))


def test_images_alone_give_students_test_as_scipy_has_it() -> None:
    values = np.random.default_rng(11).normal(0.1, 1, 80)
    assert estimate(values[None]).p() == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_both_sources_give_satterthwaites_degrees_of_freedom_as_scipys_welch_test_has_them() -> (
    None
):
    # the variance of a sum of two means is that of their difference: Welch's test of two samples
    rng = np.random.default_rng(12)
    images, seeds = rng.normal(0.4, 1, 30), rng.normal(0, 0.3, 4)
    value = float(images.mean() - seeds.mean())
    found = of_variances(value, float(stats.sem(images)), float(seeds.std(ddof=1)), 30, 4)
    theirs = stats.ttest_ind(images, seeds, equal_var=False)
    assert found.p() == pytest.approx(theirs.pvalue)
    half = (theirs.confidence_interval(0.95).high - theirs.confidence_interval(0.95).low) / 2
    assert found.half_width(4) == pytest.approx(half)


def of_variances(
    value: float, groups_se: float, seeds_sd: float, groups: int = 100, seeds: int = 3
) -> Estimate:
    return Estimate(value, groups, groups, seeds, groups_se, 0, 0, seeds_sd, 0, 0)


@pytest.mark.parametrize("level", [0.95, 0.995])
def test_the_seeds_needed_are_the_fewest_that_give_the_power(level: float) -> None:
    found = of_variances(0.03, 0.005, 0.02)
    seeds = found.seeds_needed(level) or 0
    assert seeds > 3
    rng = np.random.default_rng(1)

    def power(seeds: int) -> float:
        """By simulation: groups normal, seeds normal with 3 of them known now."""
        draws = 20_000
        means = rng.normal(0.03, math.sqrt(0.005**2 + 0.02**2 / seeds), draws)
        return float((np.abs(means) > found.half_width(seeds, level)).mean())

    assert power(seeds) >= 0.79 and power(seeds - 1) < 0.82


def test_a_forecast_is_never_less_than_what_is_there_and_no_number_of_seeds_adds_groups() -> None:
    assert of_variances(0.03, 0.02, 0.005).seeds_needed() is None
    assert of_variances(0.03, 0.001, 0.0001).seeds_needed() == 4
    assert (of_variances(0.03, 0.005, 0.03).seeds_needed(0.995) or 0) > (
        of_variances(0.03, 0.005, 0.03).seeds_needed(0.95) or 0
    )


def test_a_difference_of_zero_is_never_detectable() -> None:
    assert of_variances(0.0, 0.02, 0.01).seeds_needed() is None
    assert of_variances(0.0, 0.0, 0.0).p() == 1.0
