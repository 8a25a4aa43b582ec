"""The splits of a course's images: its val split is our test, and our val is cut from its train."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reprise.datasets.layouts import LAYOUTS
from reprise.datasets.listing import Item
from reprise.datasets.neighbors import BLOCK, Borders, Groups, frame_groups, tile_groups
from reprise.datasets.prepared import Bytes
from reprise.datasets.rows import LazyRows
from reprise.datasets.splits import cut_by_group, hash_rank
from reprise.datasets.writer import Dataset
from reprise.params.datasets import CourseDataset

Names = NDArray[np.str_]


def course_splits(items: Sequence[Item], labels: Bytes | LazyRows, recipe: CourseDataset) -> Names:
    """The split of each image, where each is its own group.

    The course's val split is test; a share of each class of its train split becomes val. Where the
    folder has all three splits, they are kept. Images are ranked by a hash of the seed and their
    name, which does not depend on other images.
    """
    if LAYOUTS[recipe.layout].has_test:
        return np.array([item.split for item in items], "<U5")
    splits = np.array(["train" if item.split == "train" else "test" for item in items], "<U5")
    strata = labels if isinstance(labels, np.ndarray) else np.zeros(len(items), np.uint8)
    ranks = [hash_rank(item.name, recipe.seed) for item in items]
    for stratum in np.unique(strata):
        rows = np.flatnonzero((strata == stratum) & (splits == "train"))
        ranked = sorted(rows, key=lambda row: ranks[row])
        splits[ranked[: round(recipe.val * len(rows))]] = "val"
    return splits


def regroup_places(
    items: Sequence[Item], ids: Sequence[str], recipe: CourseDataset, borders: Borders | None
) -> Callable[[Dataset], Dataset] | None:
    """What gives a dataset its groups of images of one place, and cuts val by them.

    borders: of all images, once these have been read. None where nothing is known of places.
    """

    def regroup(dataset: Dataset) -> Dataset:
        in_train = np.array([item.split == "train" for item in items])
        if borders:
            groups = tile_groups(ids, ~in_train, borders)
        else:
            size = min(BLOCK, round(recipe.val * np.count_nonzero(in_train)) or BLOCK)
            groups = frame_groups([i.name for i in items], [i.split for i in items], ids, size)
        splits = dataset.splits
        if not LAYOUTS[recipe.layout].has_test:
            splits = np.where(in_train, "train", "test").astype("<U5")
            splits[cut_by_group(groups.names, in_train, recipe.val, recipe.seed)] = "val"
        return replace(
            dataset,
            splits=splits,
            groups=groups.names,
            group=groups.words,
            details=dataset.details | _touching(groups, splits),
        )

    return regroup if borders or recipe.layout.startswith("camvid") else None


def _touching(groups: Groups, splits: Names) -> dict[str, object]:
    """What dataset.json says of groups that touch train."""
    names, linked = np.array(groups.names), groups.linked(splits)
    return {"touching": groups.touching} | {
        f"{split}_groups_touching_train": len(np.unique(names[(splits == split) & linked]))
        for split in ("val", "test")
    }
