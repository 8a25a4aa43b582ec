"""Datasets are split by group, and written complete or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.small_datasets import small_dataset

from reprise.atomic_io import read_json
from reprise.datasets.rows import LazyRows
from reprise.datasets.writer import Dataset, write_dataset
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
    assert lines[:2] == ["id,split,group,label,lat", "0000,train,0000,0,0.500"]
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
        (
            {"groups": list("aabbcc")},
            "index.csv: row 3: group 'a': in the splits train and val; a group must be in one",
        ),
        ({"groups": ["a", "", "b", "c", "d", "e"]}, "index.csv: row 3: group '': empty; name"),
    ],
)
def test_a_wrong_dataset_is_refused_and_nothing_is_written(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(RepriseError, match=message):
        write_dataset(tmp_path / "out", "small", replace(small(), **change))
    assert not (tmp_path / "out").exists()


def test_the_split_is_described_and_what_it_lacks_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    places = {"one": "place", "many": "places"}
    dataset = replace(
        small(), labels=np.array([0, 0, 0, 1, 0, 1], np.uint8), groups=list("xyzxyw"),
        group=places, scaling="cut", split={"seed": 7, "least_gap_pixels": 3},
    )  # fmt: skip
    write_dataset(tmp_path, "small", dataset)
    info = read_json(tmp_path / "dataset.json")
    assert info["group"] == places and info["scaling"] == "cut"
    assert info["split"] == {
        "seed": 7,
        "least_gap_pixels": 3,
        "distance": 0.5,
        "groups": {"train": 1, "val": 1, "test": 2},
        "missing_classes": {"train": [], "val": ["b"], "test": []},
    }
    assert caplog.messages == ["small: the val split lacks: b"]
    groups = [line.split(",")[2] for line in (tmp_path / "index.csv").read_text().splitlines()]
    assert groups == ["group", *"xyzxyw"]


def test_without_groups_each_image_is_its_own(tmp_path: Path) -> None:
    write_dataset(tmp_path, "small", small())
    info = read_json(tmp_path / "dataset.json")
    assert info["group"] == {"one": "image", "many": "images"} and info["scaling"] == "resized"
    assert info["split"]["groups"] == info["images"]


def test_arrays_are_those_of_numpy_also_when_they_are_read_row_by_row(tmp_path: Path) -> None:
    dataset = small()
    arrays = {"images": np.asarray(dataset.images), "labels": np.asarray(dataset.labels)}
    rows = {name: LazyRows(array.shape, array.__getitem__) for name, array in arrays.items()}
    write_dataset(tmp_path / "lazy", "small", replace(dataset, images=rows["images"]))
    write_dataset(tmp_path / "array", "small", dataset)
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
        for folder in ("lazy", "array"):
            expected = (tmp_path / f"{name}.npy").read_bytes()
            assert (tmp_path / folder / f"{name}.npy").read_bytes() == expected
    both = [read_json(tmp_path / folder / "dataset.json") for folder in ("lazy", "array")]
    assert both[0] == both[1]


def test_what_fails_while_it_is_read_leaves_no_file(tmp_path: Path) -> None:
    def read(row: int) -> np.ndarray:
        if row == 4:
            raise RepriseError("e.png: cannot be decoded")
        return np.zeros((4, 4, 3), np.uint8)

    with pytest.raises(RepriseError, match="e.png"):
        write_dataset(
            tmp_path / "out", "small", replace(small(), images=LazyRows((6, 4, 4, 3), read))
        )
    assert not (tmp_path / "out").exists()


def test_groups_may_follow_from_the_images(tmp_path: Path) -> None:
    def regroup(dataset: Dataset) -> Dataset:
        return replace(dataset, groups=list("abcdef"), details={"touching": "are alike"})

    write_dataset(tmp_path, "small", replace(small(), regroup=regroup))
    assert read_json(tmp_path / "dataset.json")["touching"] == "are alike"
    lines = (tmp_path / "index.csv").read_text().splitlines()
    assert [line.split(",")[2] for line in lines[1:]] == list("abcdef")
