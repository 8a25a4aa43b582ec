"""The splits of a user's images: those that folders or a csv file name, the others cut by group."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reprise.datasets.image_files import ImageFile
from reprise.datasets.prepared import SPLITS
from reprise.datasets.splits import cut_by_group, hash_rank, split_by_groups
from reprise.errors import RepriseError
from reprise.params.datasets import ImagesDataset

Names = NDArray[np.str_]
MAX_COUNTS = 20_000_000  # images times classes, of groups that are balanced by class: 160 MB


def group_names(items: Sequence[ImageFile]) -> list[str]:
    """The group of each image: the one that is named, or its own id."""
    return [item.group or item.id for item in items]


def image_splits(
    items: Sequence[ImageFile], recipe: ImagesDataset, classes: Sequence[str]
) -> Names:
    """The split of each image, (n,).

    A split that no folder or csv file names is cut from the images of train, or from all: a share
    of each class by a hash of seed and name, which does not depend on other images. Where groups
    have several images, whole groups are cut (see `split_by_groups`, `cut_by_group`).

    classes: in the order of their ids; empty for label maps. Raises RepriseError if train has none.
    """
    shares = {"test": recipe.test, "val": recipe.val}
    if recipe.kind == "unlabelled":
        shares["test"] = 0  # nothing would be scored on it
    named = {item.split for item in items} - {""}
    splits = np.array([item.split or "train" for item in items], "<U5")
    groups = group_names(items)
    missing = [name for name, share in shares.items() if share and name not in named]
    if len(set(groups)) == len(groups):
        strata = [item.label for item in items]
        _cut_by_class(splits, [item.id for item in items], strata, missing, shares, recipe.seed)
    elif not named and len(missing) == 2:
        ids = {name: number for number, name in enumerate(classes)}
        counts = np.zeros((len(items), len(ids)), np.int64)
        if counts.size <= MAX_COUNTS and ids:
            counts[np.arange(len(items)), [ids[item.label] for item in items]] = 1
        else:
            counts = np.zeros((len(items), 0), np.int64)
        numbers = np.unique(groups, return_inverse=True)[1].astype(np.int64)
        splits = split_by_groups(numbers, counts, recipe.val, recipe.test, recipe.seed)
    else:
        for name in missing:
            splits[cut_by_group(groups, splits == "train", shares[name], recipe.seed)] = name
    if "train" not in splits:
        raise RepriseError(
            f"{recipe.registered_as}: no image is left for train; lower val and test"
        )
    return splits


def _cut_by_class(
    splits: Names, ids: Sequence[str], strata: Sequence[str], missing: Sequence[str],
    shares: dict[str, float], seed: int,
) -> None:  # fmt: skip
    """Give images of train to the missing splits, in place; a class keeps at least one in train.

    A class of three images or more has at least one in each split.
    """
    rows_of: dict[str, list[int]] = {}
    for row in np.flatnonzero(splits == "train").tolist():
        rows_of.setdefault(strata[row], []).append(row)
    for rows in rows_of.values():
        ranked = sorted(rows, key=lambda row: hash_rank(ids[row], seed))
        left = len(rows)
        for name in missing:
            count = max(round(shares[name] * len(rows)), int(len(rows) >= len(SPLITS)))
            count = min(count, left - 1)
            splits[ranked[left - count : left]] = name
            left -= count
