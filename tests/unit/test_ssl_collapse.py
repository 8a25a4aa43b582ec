"""A collapsed network is told from one that learns, by the outputs alone."""

import math

import pytest
import torch

from reprise.training.ssl.collapse import collapse_statistics, collapsed


def test_statistics_are_those_of_the_sphere_at_best_and_zero_when_all_are_equal() -> None:
    random = torch.randn(2000, 64, generator=torch.Generator().manual_seed(0))
    std, rank = collapse_statistics(random)
    assert std == pytest.approx(1 / 8, rel=0.05) and rank > 60
    assert not collapsed(std, rank, 64)
    std, rank = collapse_statistics(torch.ones(100, 64))
    assert std < 1e-6 and rank == pytest.approx(1)
    assert collapsed(std, rank, 64)


def test_projections_in_one_spot_with_full_rank_have_collapsed() -> None:
    generator = torch.Generator().manual_seed(0)
    std, rank = collapse_statistics(1 + 0.1 * torch.randn(500, 64, generator=generator))
    assert rank > 50 and collapsed(std, rank, 64)


def test_two_opposite_projections_have_collapsed_though_their_std_is_large() -> None:
    generator = torch.Generator().manual_seed(0)
    signs = torch.randn(500, 1, generator=generator).sign()
    noise = torch.randn(500, 64, generator=generator)
    std, rank = collapse_statistics(signs * torch.ones(64) + 0.01 * noise)
    assert std * 8 > 0.9 and collapsed(std, rank, 64)
    assert not collapsed(*collapse_statistics(noise[:, :2]), 2)
    std, rank = collapse_statistics(noise)  # every projection in a place of its own
    assert not collapsed(std, rank, 64)


def test_three_kinds_of_images_kept_apart_have_not_collapsed() -> None:
    generator = torch.Generator().manual_seed(0)
    kinds = torch.randn(3, 16, generator=generator)[torch.arange(300) % 3]
    std, rank = collapse_statistics(kinds + 0.05 * torch.randn(300, 16, generator=generator))
    assert rank < 4 and not collapsed(std, rank, 16)


def test_few_directions_have_collapsed_and_some_more_have_not() -> None:
    for directions, expected in ((1, True), (2, True), (6, False), (60, False)):
        generator = torch.Generator().manual_seed(0)
        places = torch.randn(500, directions, generator=generator)
        std, rank = collapse_statistics(places @ torch.randn(directions, 128, generator=generator))
        assert rank <= directions + 1e-4 and collapsed(std, rank, 128) == expected


def test_projections_that_are_not_finite_have_collapsed() -> None:
    for value in (math.nan, math.inf):
        std, rank = collapse_statistics(torch.tensor([[1.0, value], [1.0, 2.0]]))
        assert math.isnan(std) and math.isnan(rank)
        assert collapsed(std, rank, 2)
