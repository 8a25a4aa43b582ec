"""A prepared dataset as every stage reads it: memory-mapped arrays, an index and a description."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from reprise.atomic_io import check_file, read_json
from reprise.csv_io import check_numbers, check_rows, read_csv
from reprise.errors import RepriseError
from reprise.params.base import validate

Bytes = NDArray[np.uint8]
Labels = NDArray[Any]  # uint8 or uint16
Kind = Literal["classification", "segmentation"]
Scaling = Literal["cut", "resized"]
SPLITS = ("train", "val", "test")
IMAGES = {"one": "image", "many": "images"}  # the word for a group where each image is its own
MAX_CLASSES = 65_535  # ids of images are uint8 or uint16
MAX_MAP_IDS = 256  # of label maps, which are uint8
AGAIN = "prepare the dataset again"
Byte = Annotated[int, Field(ge=0, lt=MAX_MAP_IDS)]
ClassId = Annotated[int, Field(ge=0, lt=MAX_CLASSES)]
Side = Annotated[int, Field(gt=0, lt=2**16)]
Mean = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Std = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Strict(BaseModel):
    """What dataset.json says; other keys are ignored."""

    model_config = ConfigDict(strict=True)


class ClassEntry(Strict):
    """A class of a dataset."""

    id: ClassId
    name: Annotated[str, Field(min_length=1)]
    color: Annotated[list[Byte], Field(min_length=3, max_length=3)] = [0, 0, 0]  # not null


Entries = Annotated[list[ClassEntry], Field(min_length=1, max_length=MAX_CLASSES)]


class Merged(Strict):
    """Classes that others are merged into; `map` has the new id of each old one."""

    classes: Entries
    map: Annotated[list[Byte], Field(max_length=MAX_MAP_IDS)]


class Description(Strict):
    """The content of dataset.json, as far as it is read."""

    name: str
    kind: Kind
    classes: Entries
    ignore: Byte | None
    height: Side
    width: Side
    mean: Annotated[list[Mean], Field(min_length=3, max_length=3)]
    std: Annotated[list[Std], Field(min_length=3, max_length=3)]
    merged: dict[str, Merged] = {}
    group: dict[Literal["one", "many"], str] = {}
    scaling: Scaling = "resized"
    unlabelled: bool = False
    source: str = ""
    licence: str = ""
    note: str = ""
    images: dict[Literal["train", "val", "test"], int] = {}
    split: dict[str, Any] = {}


@dataclass(frozen=True)
class Classes:
    """The classes of a dataset: entry i of `names` and of `colors` belongs to class id i.

    colors: (red, green, blue) in 0..255; empty when the dataset has none. ignore: the id of
    unlabelled pixels, or None; it may or may not be one of the named ids.
    """

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    ignore: int | None

    @property
    def ids(self) -> list[int]:
        """The ids that are scored, ascending; the ignored id is not one of them."""
        return [i for i in range(len(self.names)) if i != self.ignore]


@dataclass(frozen=True)
class PreparedDataset:
    """A prepared dataset; row i of `index` describes row i of the arrays. `info` is dataset.json.

    height, width: of the images, in pixels. mean, std: of each channel over the train images, in
    0..1. The arrays are opened, and checked against the index, when they are first used.
    """

    folder: Path
    name: str
    kind: str
    classes: Classes
    index: pd.DataFrame
    info: dict[str, Any]
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @cached_property
    def images(self) -> Bytes:
        """(n, H, W, 3) uint8, memory-mapped. Raises RepriseError for a missing or damaged file."""
        shape = (len(self.index), self.height, self.width, 3)
        return _memory_map(self.folder / "images.npy", shape)

    @cached_property
    def labels(self) -> Labels:
        """Class ids (n,), uint16 beyond 256 classes, or label maps (n, H, W); as `images`."""
        path, shape = self.folder / "labels.npy", (len(self.index), self.height, self.width)
        dtype = np.uint16 if len(self.classes.names) > MAX_MAP_IDS else np.uint8
        labels = _memory_map(path, shape if self.kind == "segmentation" else shape[:1], dtype)
        largest = max(len(self.classes.names) - 1, self.classes.ignore or 0)
        if labels.max(initial=0) > largest:
            image = self.index["id"].iloc[np.argmax(labels) // labels[0].size]
            raise RepriseError(f"{path}: image '{image}': truth holds id {labels.max()}; {AGAIN}")
        return labels

    @property
    def unlabelled(self) -> bool:
        """Whether the labels are placeholders (all 0)."""
        return bool(self.info.get("unlabelled"))

    @property
    def scaling(self) -> Scaling:
        """How the images came to their size: cut at the scale of their source, or resized.

        Datasets that were written before this was recorded are read as resized.
        """
        scaling: Scaling = self.info.get("scaling", "resized")
        return scaling

    @property
    def group_words(self) -> Mapping[str, str]:
        """The word for a group: `one` (such as block) and `many` (blocks)."""
        words: Mapping[str, str] = self.info.get("group", {"one": "group", "many": "groups"})
        return words if "group" in self.index else IMAGES

    def groups(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The group of each of these rows: (len(rows),) int64, equal numbers for one group.

        A group holds the images that belong together, such as those of one place or one person.
        The numbers count the groups of the whole index in the order of their first rows.
        """
        return self._group_numbers[rows]

    @cached_property
    def _group_numbers(self) -> NDArray[np.int64]:
        column = "group" if "group" in self.index else "id"
        return np.asarray(pd.factorize(self.index[column])[0], np.int64)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of a split, ascending; empty when it has no image."""
        return np.flatnonzero((self.index["split"] == split).to_numpy())

    def require_rows(self, split: str) -> NDArray[np.int64]:
        """Rows of a split, ascending. Raises RepriseError when it has no image."""
        rows = self.rows(split)
        if not len(rows):
            raise RepriseError(
                f"{self.folder / 'index.csv'}: the {split} split has no images; raise its share in "
                f"params.yaml, datasets.{self.name}"
            )
        return rows

    def row(self, image_id: str) -> int:
        """Row of an image. Raises RepriseError for an unknown id."""
        rows = np.flatnonzero((self.index["id"] == image_id).to_numpy())
        if not len(rows):
            path, ids = self.folder / "index.csv", ", ".join(self.index["id"].iloc[:5])
            raise RepriseError(f"{path}: no image '{image_id}'; use one of its ids: {ids}, ...")
        return int(rows[0])

    def with_images(self, images: Bytes) -> "PreparedDataset":
        """The same description with other images, (n, H, W, 3) uint8, such as those to predict."""
        other = replace(self)
        other.__dict__["images"] = images  # where cached_property looks first
        return other

    def merged(self, classes: int | None) -> tuple[Classes, Bytes]:
        """The classes merged into `classes` (None: as they are), and the table old id -> new id.

        The table is (256,) uint8. The ignored id keeps its value unless the map of dataset.json
        gives it a class, as CS6550 does with void. With merged classes every id that the map does
        not cover becomes the ignored id, or 255 without one. RepriseError if there is no such map.
        """
        if classes is None:
            return self.classes, np.arange(256, dtype=np.uint8)
        key = f"{self.folder / 'dataset.json'}: merged.{classes}"
        merged = self.info.get("merged", {}).get(str(classes))
        if merged is None:
            raise RepriseError(f"{key}: missing; remove `merge_classes` from the recipe")
        ignore = self.classes.ignore
        table: Bytes = np.full(256, 255 if ignore is None else ignore, np.uint8)
        table[: len(merged["map"])] = merged["map"]
        return _classes(merged["classes"], ignore, key), table


def read_prepared(folder: Path, kind: Kind | None = None) -> PreparedDataset:
    """Read the description and the index of a prepared dataset, the arrays when they are used.

    Where the index has no column `group`, each image is its own group. Raises RepriseError for a
    missing or damaged file, another kind, or a group in two splits.
    """
    info = read_description(folder)
    if kind and info["kind"] != kind:
        raise RepriseError(
            f"{folder}: a dataset for {info['kind']}, not for {kind}; change `data` in params.yaml"
        )
    classes = _classes(info["classes"], info["ignore"], f"{folder / 'dataset.json'}: classes")
    path = folder / "index.csv"
    index = read_csv(path, ["id", "split"], ["group"])
    wrong = ~index["split"].isin(SPLITS)
    check_rows(path, index, "split", wrong, f"use one of {', '.join(SPLITS)}")
    check_ids(path, index)
    if "label" in index:
        check_numbers(path, index, "label", 0, len(classes.names) - 1, integer=True)
    check_groups(path, index)
    return PreparedDataset(
        folder, info["name"], info["kind"], classes, index, info, info["height"], info["width"],
        tuple(info["mean"]), tuple(info["std"]),
    )  # fmt: skip


def read_description(folder: Path) -> dict[str, Any]:
    """The content of the dataset.json of a folder; RepriseError if a value is missing or wrong."""
    info: dict[str, Any] = read_json(path := folder / "dataset.json")
    try:
        validate(Description, info, str(path))
    except RepriseError as error:
        raise RepriseError(f"{error}; {AGAIN}") from None
    return info


def check_ids(path: Path, index: pd.DataFrame) -> None:
    """Raise RepriseError for the first id that is double, or is not a file name without ending.

    index: the content of the file at `path`, with a column id.
    """
    unusable = ~index["id"].str.fullmatch(r"[^/\0]+").fillna(False).astype(bool)
    check_rows(path, index, "id", unusable, "empty or not a file name; rename the image")
    check_rows(path, index, "id", index["id"].duplicated(), "two images have it; rename one")


def check_groups(path: Path, index: pd.DataFrame) -> None:
    """Raise RepriseError for the first image without a group, or whose group is in two splits.

    index: the content of the file at `path`, with columns split and perhaps group.
    """
    if "group" not in index:
        logging.info("%s: no column 'group': each image counts as its own group", path)
        return
    check_rows(path, index, "group", index["group"] == "", "empty; name what the image belongs to")
    first = index.groupby("group")["split"].transform("first")
    in_two = (first != index["split"]).to_numpy()
    if in_two.any():
        row = in_two.argmax()
        splits = f"{first.iloc[row]} and {index['split'].iloc[row]}"
        reason = f"in the splits {splits}; a group must be in one split"
        check_rows(path, index, "group", in_two, reason)


def _classes(entries: list[Mapping[str, Any]], ignore: int | None, key: str) -> Classes:
    if [entry["id"] for entry in entries] != list(range(len(entries))):
        raise RepriseError(f"{key}: the ids must be 0 to {len(entries) - 1}, in order")
    colors = [tuple(entry["color"]) for entry in entries if "color" in entry]
    return Classes(tuple(entry["name"] for entry in entries), tuple(colors), ignore)


def _memory_map(path: Path, shape: tuple[int, ...], dtype: type = np.uint8) -> Labels:
    check_file(path, "prepare the dataset first")
    expected_dtype = np.dtype(dtype)
    try:
        array: Labels = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # NumPy decides what a damaged file raises
        fault = f"not a readable array ({error})"
    else:
        if (array.dtype, array.shape) == (expected_dtype, shape):
            return array
        expected = f"{' x '.join(map(str, shape))} {expected_dtype}"
        fault = f"{' x '.join(map(str, array.shape))} {array.dtype}, expected {expected}"
    raise RepriseError(f"{path}: {fault}; {AGAIN}")
