"""A random draw is a function of its address alone."""

import numpy as np

from reprise.datasets.rng import _mix, permutation, uniform


def test_numbers_are_mixed_as_splitmix64_does() -> None:
    # the first numbers of the public reference implementation for the seed 1234567
    reference = [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
    ]  # fmt: skip
    states = np.uint64(1234567) + np.arange(4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert _mix(states).tolist() == reference


def test_what_is_drawn_today_is_drawn_tomorrow() -> None:
    rows = np.array([0, 1, 4_000_000_000])
    recorded = [0.36018357521055466, 0.23073523559503362, 0.08932597086689542]
    assert uniform(7, 3, rows, 1, 1)[:, 0].tolist() == recorded


def test_a_draw_does_not_depend_on_what_else_is_drawn() -> None:
    together = uniform(3, 5, np.arange(100), 1, 8)
    alone = np.concatenate([uniform(3, 5, np.array([row]), 1, 8) for row in range(100)])
    assert np.array_equal(together, alone)
    assert np.array_equal(uniform(3, 5, np.arange(100), 1, 3), together[:, :3])


def test_every_field_of_the_address_matters() -> None:
    rows = np.arange(50)
    draws = [
        uniform(seed, epoch, rows, view, 1)
        for seed, epoch, view in ((0, 1, 0), (1, 0, 0), (0, 0, 1), (0, 0, 0), (1, 1, 0))
    ]
    for i, first in enumerate(draws):
        for second in draws[:i]:
            assert not np.isclose(first, second).any()


def test_draws_are_uniform_and_uncorrelated() -> None:
    draws = uniform(0, 1, np.arange(20_000), 0, 4)
    assert draws.min() >= 0 and draws.max() < 1
    assert np.abs(draws.mean(axis=0) - 0.5).max() < 0.01
    assert np.abs(draws.var(axis=0) - 1 / 12).max() < 0.003
    assert np.abs(np.corrcoef(draws.T) - np.eye(4)).max() < 0.03


def test_a_permutation_has_every_number_and_changes_with_the_epoch() -> None:
    first, second = permutation(0, 1, 300), permutation(0, 2, 300)
    assert sorted(first) == list(range(300))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, permutation(0, 1, 300))
