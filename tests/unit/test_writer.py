"""Datasets are split by group, and written complete or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.small_datasets import small_dataset

from reprise.atomic_io import read_json
from reprise.datasets.prepared import SPLITS
from reprise.datasets.writer import Dataset, split_by_groups, write_dataset
from reprise.errors import RepriseError


def small() -> Dataset:
    """Six images of 4 x 4 in two classes."""
    images = np.arange(6 * 48, dtype=np.uint8).reshape(6, 4, 4, 3)
    labels = np.array([0, 1, 0, 1, 0, 1], np.uint8)
    return small_dataset(images, labels, 2, columns={"lat": [0.5] * 6})


def test_the_files_describe_the_dataset(tmp_path: Path) -> None:
    write_dataset(tmp_path, "small", small())
    names = ["dataset.json", "images.npy", "index.csv", "labels.npy"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    lines = (tmp_path / "index.csv").read_text().splitlines()
    assert lines[:3] == ["id,split,label,lat", "0000,train,0,0.500", "0001,val,1,0.500"]
    info = read_json(tmp_path / "dataset.json")
    assert info["images"] == {"train": 2, "val": 2, "test": 2}
    assert info["counts"]["test"] == {"a": 1, "b": 1}
    assert "unlabelled" not in info


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 1, 0, 1, 0, 7], np.uint8)}, "image 0005 has label 7"),
        (
            {"kind": "segmentation", "labels": np.zeros((6, 4, 5), np.uint8)},
            "must have the same size",
        ),
        ({"splits": np.array(["train"] * 6)}, "the val split has no images"),
    ],
)
def test_a_wrong_dataset_is_refused_and_nothing_is_written(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(RepriseError, match=message):
        write_dataset(tmp_path / "out", "small", replace(small(), **change))
    assert not (tmp_path / "out").exists()


def test_a_group_is_in_one_split_and_shares_are_met() -> None:
    rng = np.random.default_rng(0)
    groups, classes = rng.integers(0, 100, 4000), rng.integers(0, 3, 4000)
    splits = split_by_groups(groups, classes, val=0.1, test=0.25, seed=0)
    assert all(len(set(splits[groups == group])) == 1 for group in range(100))
    for split, share in zip(SPLITS, (0.65, 0.1, 0.25), strict=True):
        assert abs((splits == split).mean() - share) < 0.03
    assert not np.array_equal(splits, split_by_groups(groups, classes, 0.1, 0.25, seed=1))


def test_too_few_groups_are_refused() -> None:
    groups = np.array([0, 0, 1, 1])
    with pytest.raises(RepriseError, match="2 groups cannot fill three splits"):
        split_by_groups(groups, groups, 0.1, 0.2, 0)
