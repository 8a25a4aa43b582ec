"""Splits: a group is in one of them, and their classes are as alike as a search can make them."""

from itertools import combinations

import numpy as np
import pytest

from reprise.datasets.prepared import SPLITS
from reprise.datasets.splits import (
    DIGITS,
    TRIES,
    class_counts,
    class_distance,
    describe_split,
    most_even_split,
    split_by_groups,
)
from reprise.errors import RepriseError


def random_images(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """1000 images: their groups, which differ in size and in what they show, and class counts."""
    rng = np.random.default_rng(seed)
    groups = (rng.random(1000) ** 2 * 60).astype(np.int64)
    usual = rng.integers(0, 3, 60)
    classes = np.where(rng.random(1000) < 0.7, usual[groups], rng.integers(0, 3, 1000))
    return groups, class_counts(classes.astype(np.uint8))[:, :3]


def test_a_group_is_in_one_split_and_shares_are_met() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 100, 4000)
    counts = class_counts(rng.integers(0, 3, 4000).astype(np.uint8))[:, :3]
    splits = split_by_groups(groups, counts, val=0.1, test=0.25, seed=0)
    assert all(len(set(splits[groups == group])) == 1 for group in range(100))
    for split, share in zip(SPLITS, (0.65, 0.1, 0.25), strict=True):
        assert abs((splits == split).mean() - share) < 0.03
    assert not np.array_equal(splits, split_by_groups(groups, counts, 0.1, 0.25, seed=1))


def test_the_numbers_of_groups_do_not_matter() -> None:
    groups, counts = random_images()
    splits = split_by_groups(groups, counts, 0.1, 0.2, 5)
    assert np.array_equal(splits, split_by_groups(groups * 7 - 300, counts, 0.1, 0.2, 5))


def test_a_class_of_few_groups_is_spread_over_the_splits() -> None:
    groups = np.arange(40).repeat(10)
    counts = np.zeros((400, 2), np.int64)
    counts[:, 0] = 1
    counts[:60] = [0, 1]  # six groups
    splits, _ = most_even_split(
        lambda seed: split_by_groups(groups, counts, 0.3, 0.3, seed), counts, 0
    )
    assert {split: int(counts[splits == split, 1].sum()) for split in SPLITS} == {
        "train": 20, "val": 20, "test": 20,
    }  # fmt: skip


def test_the_search_finds_the_most_even_split_and_the_lowest_seed_of_equal_ones() -> None:
    groups, counts = random_images()

    def split(seed: int) -> np.ndarray:
        return split_by_groups(groups, counts, 0.1, 0.2, seed // 2)  # two seeds are equal

    splits, seed = most_even_split(split, counts, first_seed=10)
    seeds = range(10, 10 + TRIES)
    distances = [class_distance(split(number), counts) for number in seeds]
    assert seed == seeds[int(np.argmin(distances))] and seed % 2 == 0
    assert np.array_equal(splits, split(seed))
    assert class_distance(splits, counts) < np.median(distances) / 2


def test_a_split_that_lacks_a_class_is_taken_only_if_every_seed_lacks_one() -> None:
    counts = np.array([[8, 0], [8, 0], [8, 0], [9, 1], [1, 9], [1, 9]])
    even = np.array(["train", "train", "test", "val", "train", "test"])
    lacks = np.array(["train", "test", "val", "train", "train", "test"])
    # val lacks a class of which the other splits have little: a smaller distance
    rare = np.array([[80, 0], [80, 0], [80, 0], [40, 9], [79, 1], [79, 1]])
    assert class_distance(lacks, rare) < class_distance(even, rare)
    for counted in (counts, rare):
        _, seed = most_even_split(lambda seed: even if seed == 7 else lacks, counted, 0)
        assert seed == 7
    _, seed = most_even_split(lambda seed: lacks, rare, 3)
    assert seed == 3


def total_variation(splits: np.ndarray, counts: np.ndarray) -> float:
    """The distance by its definition: the largest difference in the share of any set of classes."""
    shares = [counts[splits == split].sum(axis=0) for split in SPLITS if split in splits]
    shares = [share / share.sum() for share in shares]
    classes = range(counts.shape[1])
    sets = [list(some) for size in classes for some in combinations(classes, size)]
    return max(
        abs(one[some].sum() - other[some].sum())
        for one, other in combinations(shares, 2)
        for some in sets
    )


def test_the_distance_is_that_of_its_definition() -> None:
    for seed in range(5):
        groups, counts = random_images(seed)
        splits = split_by_groups(groups, counts, 0.1, 0.2, seed)
        assert class_distance(splits, counts) == round(total_variation(splits, counts), DIGITS)
        splits[splits == "test"] = "left out"
        assert class_distance(splits, counts) == round(total_variation(splits, counts), DIGITS)


def test_label_maps_count_pixels() -> None:
    maps = np.array([[[0, 1], [1, 7]], [[2, 2], [2, 2]]], np.uint8)
    counts = class_counts(maps)
    assert counts.shape == (2, 256) and counts[0, [0, 1, 2, 7]].tolist() == [1, 2, 0, 1]
    assert counts[1, 2] == 4 and counts.sum() == 8


def test_a_split_is_described() -> None:
    splits = np.array(["train", "train", "val", "test", "test"])
    totals = np.array([[1, 1], [1, 0], [1, 1]])
    described = describe_split(splits, np.array(["a", "b", "c", "d", "d"]), totals, ["x", "y"])
    assert described == {
        "distance": 0.5,
        "groups": {"train": 2, "val": 1, "test": 1},
        "missing_classes": {"train": [], "val": ["y"], "test": []},
    }
    totals[1:] = 0
    one = describe_split(splits[:2], np.array([0, 1]), totals, ["x", "y"])
    assert one["distance"] is None and one["missing_classes"] == {"train": []}


def test_too_few_groups_are_refused() -> None:
    groups = np.array([0, 0, 1, 1])
    with pytest.raises(RepriseError, match="2 groups cannot fill three splits"):
        split_by_groups(groups, np.ones((4, 1), np.int64), 0.1, 0.2, 0)
