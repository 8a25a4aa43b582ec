"""Intervals hold the true score of simulated data as often as they say; `make coverage` has all."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from support import simulation  # noqa: E402

from bench.coverage import (  # noqa: E402
    ACCURACY_SETS,
    MIOU_SETS,
    Count,
    accuracies,
    all_effects,
    mious,
)

LEAST = 0.93  # share of the intervals that must hold the truth
WIDEST = 1.3  # of the width of an interval that knows the variance, as a mean over the statistics
DRAWS = 200


def not_below(share: float, least: float, draws: int) -> bool:
    """Whether a share of draws is at least `least`, but for three standard errors."""
    return share > least - 3 * math.sqrt(least * (1 - least) / draws)


@pytest.mark.parametrize(
    "draws", [DRAWS, pytest.param(2000, marks=pytest.mark.exhaustive)], ids=["short", "long"]
)
@pytest.mark.parametrize(
    ("name", "effects"),
    [
        *((name, title) for name in ACCURACY_SETS for title in ("moderate", "groups differ more")),
        ("newworld", "measured"),  # the images on which the chains were measured
    ],
)
def test_accuracies_and_differences_are_held_and_nothing_is_found_in_nothing(
    name: str, effects: str, draws: int
) -> None:
    groups = simulation.test_groups(name)
    score, old_score, gap, old_gap, families = accuracies(groups, all_effects()[effects], draws)
    assert not_below(score.coverage, LEAST, draws) and not_below(gap.coverage, LEAST, draws)
    assert np.mean([score.width_to_oracle, gap.width_to_oracle]) < WIDEST + 2 / math.sqrt(draws)
    assert not_below(1 - families, 0.95, draws)
    # images that count as independent, and one pretraining for all seeds, are too narrow
    assert old_score.coverage < LEAST and old_gap.coverage < gap.coverage


@pytest.mark.parametrize("name", MIOU_SETS)
def test_differences_of_miou_are_held(name: str) -> None:
    counts = mious(simulation.class_pixels(name), DRAWS)
    assert not_below(counts["difference"].coverage, LEAST, DRAWS)


def test_a_count_knows_an_interval_that_is_too_narrow() -> None:
    from reprise.evaluation.statistics import Estimate

    count = Count(0.0)
    for value in np.random.default_rng(0).normal(0, 1, 500):
        count.add(Estimate(value, 9, 9, 3, 0.1, 0, 0, 0.1, value - 0.98, value + 0.98))
    assert count.coverage == pytest.approx(0.67, abs=0.05)
    assert count.width_to_oracle == pytest.approx(0.5, abs=0.05)
