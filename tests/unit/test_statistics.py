"""Promises of the intervals, the tests and the forecasts, against the literature and SciPy."""

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy import stats

from reprise.evaluation.confusion import confusion, mean_iou
from reprise.evaluation.intervals import wilson
from reprise.evaluation.resampling import (
    Measured,
    mean_ious,
    measure_accuracy,
    measure_miou,
    resampled_sums,
)
from reprise.evaluation.significance import holm, mcnemar
from reprise.evaluation.uncertainty import Estimate, estimate, least


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
    n, least_ = one + other, min(one, other)
    tail = sum(math.comb(n, k) for k in range(least_ + 1)) / 2**n
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
    means = resampled_sums(treated, draws=100_000)[:, 0] / 7
    assert means.std() == pytest.approx(23.36, rel=0.01)
    assert means.mean() == pytest.approx(86.86, rel=0.01)


def test_a_paired_difference_has_scipys_interval() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.random((2, 300)) < np.array([[0.7], [0.6]])
    found = measure_accuracy({("a",): one[None], ("b",): other[None]})
    ours = estimate(found["a",] - found["b",])
    theirs = stats.bootstrap(
        (one.astype(float), other.astype(float)),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=True, method="percentile", n_resamples=10_000, rng=2,
    )  # fmt: skip
    assert ours.value == pytest.approx(one.mean() - other.mean())
    assert ours.se_images == pytest.approx(theirs.standard_error, rel=0.03)
    assert (ours.low_images, ours.high_images) == pytest.approx(
        theirs.confidence_interval, abs=0.005
    )


def test_the_same_resamples_are_drawn_for_every_run_and_each_time() -> None:
    right = np.random.default_rng(3).random((2, 40)) < 0.5
    alone = measure_accuracy({("a",): right})
    beside = measure_accuracy({("b",): ~right, ("a",): right})
    assert np.array_equal(alone["a",].draws, beside["a",].draws)
    assert beside["a",].draws + beside["b",].draws == pytest.approx(1)


def test_only_runs_of_the_same_images_and_seeds_are_compared() -> None:
    one = Measured(np.zeros(2), np.zeros((5, 2)), 10)
    for other in (Measured(np.zeros(1), np.zeros((5, 1)), 10), Measured(one.values, one.draws, 9)):
        with pytest.raises(ValueError, match="same seeds on the same images"):
            one - other


def matrices(images: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, (images, 6, 6))
    guess = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 4, truth.shape))
    return np.array([confusion(t, p, 4, ignore=3) for t, p in zip(truth, guess, strict=True)])


def test_a_miou_of_a_resample_is_that_of_its_summed_matrix() -> None:
    own = matrices(20, 4)
    drawn = np.random.default_rng(5).integers(0, 20, (30, 20))
    sums = own[drawn].sum(axis=1)
    sums[0, 2], sums[0, :, 2] = 0, 0  # a class that is not there
    for declared in ([0, 1, 2], [0, 2]):
        one_by_one = [mean_iou(matrix, declared).value for matrix in sums]
        assert mean_ious(sums, declared) == pytest.approx(one_by_one)


def test_a_mious_interval_is_scipys() -> None:
    own = matrices(60, 6)
    found = estimate(measure_miou({("a",): own[None]}, [0, 1, 2])["a",])
    theirs = stats.bootstrap(
        (np.arange(60),),
        lambda rows, axis: mean_ious(own[rows].sum(axis=-4 + 1), [0, 1, 2]),
        method="percentile", n_resamples=4000, rng=7,
    )  # fmt: skip
    assert found.value == mean_iou(own.sum(axis=0), [0, 1, 2]).value
    assert (found.low_images, found.high_images) == pytest.approx(
        theirs.confidence_interval, abs=0.003
    )


def test_one_seed_gives_no_interval_over_seeds() -> None:
    right = np.random.default_rng(8).random((1, 50)) < 0.7
    found = estimate(measure_accuracy({("a",): right})["a",])
    assert math.isnan(found.sd_seeds) and math.isnan(found.low) and math.isnan(found.high)
    assert found.low_images < found.value < found.high_images
    assert found.seeds_needed() is None


def test_seeds_that_agree_add_nothing_and_seeds_that_differ_widen() -> None:
    one = np.random.default_rng(9).random(200) < 0.7
    same = estimate(measure_accuracy({("a",): np.array([one] * 3)})["a",])
    assert same.sd_seeds == 0
    assert same.high - same.low == pytest.approx(same.high_images - same.low_images, rel=0.05)
    far = one.copy()
    far[:60] = False
    spread = estimate(measure_accuracy({("a",): np.array([one, one, far])})["a",])
    assert spread.high - spread.low > 1.5 * (same.high - same.low)


def crossed(rng: np.random.Generator, seeds: int, sd_seeds: float) -> Measured:
    """A difference of two settings whose truth is 0: images, seeds and their noise vary."""
    images, draws = 200, 400
    level = rng.normal(0, 1, images) * 0.5
    table = level + rng.normal(0, sd_seeds, (seeds, 1)) + rng.normal(0, 0.3, (seeds, images))
    drawn = rng.integers(0, images, (draws, images))
    return Measured(table.mean(axis=1), table[:, drawn].mean(axis=2).T, images)


@pytest.mark.parametrize("sd_seeds", [0.0, 0.05, 0.2])
def test_the_interval_over_both_covers_the_truth_as_often_as_it_says(sd_seeds: float) -> None:
    rng = np.random.default_rng(10)
    trials = 400
    inside = 0
    for _ in range(trials):
        found = estimate(crossed(rng, 3, sd_seeds))
        inside += found.low <= 0 <= found.high
    # within three binomial standard errors; three seeds tell too little where seeds are all
    promised = 0.95 if sd_seeds < 0.1 else 0.92
    assert inside / trials > promised - 3 * math.sqrt(promised * (1 - promised) / trials)


def test_seeds_alone_give_students_test_as_scipy_has_it() -> None:
    values = np.array([0.031, -0.004, 0.052, 0.018])
    found = estimate(Measured(values, np.tile(values, (50, 1)), 100))
    theirs = stats.ttest_1samp(values, 0)
    assert found.se_images == pytest.approx(0)
    assert found.p() == pytest.approx(theirs.pvalue)
    assert (found.low, found.high) == pytest.approx(theirs.confidence_interval(0.95))


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
    assert found.freedom(30, 4) == pytest.approx(theirs.df)
    assert found.p() == pytest.approx(theirs.pvalue)


def difference(value: float, se_images: float, sd_seeds: float, seeds: int = 3) -> Estimate:
    return Estimate(value, 100, seeds, se_images, 0, 0, sd_seeds, 0, 0)


def test_the_images_needed_are_those_of_the_paired_t_test() -> None:
    # Cohen's formula by scipy's noncentral t: d = 0.3, power 0.8, two-sided 0.05 -> 90 pairs
    found = difference(0.3, 1 / math.sqrt(100), math.nan, seeds=1)
    assert found.images_needed() == pytest.approx(90, abs=1)
    n = found.images_needed() or 0
    limit = stats.t.ppf(0.975, n - 1)
    assert stats.nct.sf(limit, n - 1, 0.3 * math.sqrt(n)) == pytest.approx(0.8, abs=0.01)


def test_no_number_of_seeds_settles_what_the_images_leave_open() -> None:
    found = difference(0.03, 0.02, 0.005)
    assert found.seeds_needed() is None
    assert (found.images_needed() or 0) > 100
    times = found.times_needed() or 0
    assert found.shows(100 * times, 3 * times) and not found.shows(
        100 * (times - 1), 3 * (times - 1)
    )
    shown = difference(0.03, 0.005, 0.02)
    seeds = shown.seeds_needed() or 0
    assert seeds > 3 and shown.shows(100, seeds) and not shown.shows(100, seeds - 1)


def test_a_difference_of_nothing_needs_no_end_of_images() -> None:
    assert difference(0.0, 0.02, 0.01).images_needed() is None
    assert difference(0.0, 0.0, 0.0).p() == 1.0


def test_the_least_number_is_found() -> None:
    assert least(lambda n: n >= 37, 2, 1000) == 37
    assert least(lambda n: True, 2, 1000) == 2
    assert least(lambda n: False, 2, 1000) is None
