"""Splits cut by group, with the classes shared out as evenly as a search can make them."""

import hashlib
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprise.datasets.prepared import SPLITS, Bytes
from reprise.datasets.rng import permutation
from reprise.errors import RepriseError

FOLDS = 20  # splits are multiples of 1/20 of the data
TRIES = 500  # seeds that are compared; 2000 would lower the distances of the embedded data by 0.012
DIGITS = 6  # of a distance, so that a last bit cannot choose another split

Names = NDArray[np.str_]
Counts = NDArray[np.int64]


def most_even_split(
    split: Callable[[int], Names], counts: Counts, first_seed: int
) -> tuple[Names, int]:
    """The split, and its seed, whose classes differ least between train, val and test.

    Of TRIES seeds, the one whose splits lack the fewest classes, then with the least
    `class_distance`, then the lowest. No score is looked at, only labels and groups.

    split: the name of the split of each image for a seed, (n,); an image in none of SPLITS is left
    out. counts: (n, classes), how often each class occurs in each image (pixels, or 1 for the
    image's own class). first_seed: the first one that is tried.
    """

    def rank(seed: int) -> tuple[int, float, int]:
        splits = split(seed)
        missing = sum(int(np.sum(total == 0)) for total in _totals(splits, counts))
        return missing, class_distance(splits, counts), seed

    best = min(range(first_seed, first_seed + TRIES), key=rank)
    return split(best), best


def class_counts(labels: Bytes) -> Counts:
    """How often each id is in each image, (n, 256), of class ids (n,) or label maps (n, H, W)."""
    return np.stack([np.bincount(image.ravel(), minlength=256) for image in labels])


def class_distance(splits: Names, counts: Counts) -> float:
    """The largest total variation distance between the class shares of any two splits, 0 to 1.

    splits: (n,) names; counts: (n, classes). Splits without labels are left out; NaN when fewer
    than two have some.
    """
    totals = [total for total in _totals(splits, counts) if total.any()]
    if len(totals) < 2:
        return float("nan")
    shares = [total / total.sum() for total in totals]
    distances = [np.abs(one - other).sum() / 2 for one, other in combinations(shares, 2)]
    return round(float(max(distances)), DIGITS)


def split_by_groups(
    groups: NDArray[np.int64], counts: Counts, val: float, test: float, seed: int
) -> Names:
    """A split for each image, (n,): a group (a place, a person) is in one split.

    The groups are put into folds of similar size and classes in an order drawn by the seed: each
    one into the fold that has least of what the group has. This balances folds as scikit-learn's
    StratifiedGroupKFold does, but takes pixels of label maps too, and a hundredth of its time.

    groups: (n,) numbers; counts: (n, classes); val, test: shares of the data, rounded to a
    twentieth. Raises RepriseError when there are fewer than three groups.
    """
    numbers, group_of = np.unique(groups, return_inverse=True)
    folds = min(FOLDS, len(numbers))
    if folds < len(SPLITS):
        raise RepriseError(f"{folds} groups cannot fill three splits; use smaller blocks")
    sizes = _group_sizes(group_of, counts)
    filled = np.zeros((folds, sizes.shape[1]), np.int64)
    fold_of = np.empty(len(numbers), np.int64)
    for group in permutation(seed, 0, len(numbers)):
        fold_of[group] = (filled @ sizes[group]).argmin()
        filled[fold_of[group]] += sizes[group]
    test_folds, val_folds = max(1, round(test * folds)), max(1, round(val * folds))
    split_of = np.repeat(["test", "val", "train"], [test_folds, val_folds, folds])[:folds]
    names: Names = split_of[fold_of][group_of]
    return names


def _group_sizes(group_of: NDArray[np.intp], counts: Counts) -> Counts:
    """Each group's share of the images and of each class, in millionths, (groups, 1 + classes).

    Whole numbers, so that every machine adds up the same.
    """
    columns = np.column_stack([np.ones(len(counts), np.int64), counts])
    sizes = np.zeros((group_of.max() + 1, columns.shape[1]), np.int64)
    np.add.at(sizes, group_of, columns)
    shares: Counts = sizes * 10**6 // np.maximum(sizes.sum(axis=0), 1)
    return shares


def describe_split(
    splits: Names, groups: NDArray[Any], totals: Counts, classes: list[str]
) -> dict[str, Any]:
    """What dataset.json says of a split: distance, groups of each split, classes that it lacks.

    splits, groups: (n,); totals: of the classes in each of SPLITS, (3, classes); classes: their
    names.
    """
    distance = class_distance(np.array(SPLITS), totals)
    return {
        "distance": None if np.isnan(distance) else distance,
        "groups": {split: len(np.unique(groups[splits == split])) for split in SPLITS},
        "missing_classes": {
            split: [name for name, total in zip(classes, of_split, strict=True) if not total]
            for split, of_split in zip(SPLITS, totals, strict=True)
            if split in splits
        },
    }


def _totals(splits: Names, counts: Counts) -> list[Counts]:
    """How often each class occurs in each split, (classes,) for each of SPLITS."""
    return [counts[splits == split].sum(axis=0) for split in SPLITS]


def cut_by_group(
    groups: Sequence[str], candidates: NDArray[np.bool_], share: float, seed: int
) -> NDArray[np.int64]:
    """Rows of whole groups, about `share` of the candidates.

    groups: of each image; candidates: (n,), whole groups. A group is taken, in the order of a hash
    of the seed and its name, if it brings the number of images nearer to the share; the smallest
    one is taken if no group is small enough.
    """
    rows: dict[str, list[int]] = {}
    for row in np.flatnonzero(candidates).tolist():
        rows.setdefault(groups[row], []).append(row)
    target, taken = round(share * np.count_nonzero(candidates)), list[int]()
    for name in sorted(rows, key=lambda name: hash_rank(name, seed)):
        if abs(len(taken) + len(rows[name]) - target) < abs(len(taken) - target):
            taken += rows[name]
    if target and not taken and len(rows) > 1:
        taken = min(rows.values(), key=len)
    return np.array(sorted(taken), np.int64)


def hash_rank(name: str, seed: int) -> bytes:
    """A place in an order that is drawn by the seed."""
    return hashlib.sha256(f"{seed} {name}".encode()).digest()
