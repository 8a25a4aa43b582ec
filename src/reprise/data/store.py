"""A prepared set: uint8 arrays opened as memory maps, an index and a description."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from reprise.data.roles import ROLES
from reprise.errors import RepriseError
from reprise.files import read_json, write_array, write_csv, write_json

Bytes = NDArray[np.uint8]
Task = Literal["classification", "segmentation"]
Image.MAX_IMAGE_PIXELS = 200_000_000  # the climate map has 84 million


@dataclass(frozen=True)
class Prepared:
    """What a source hands over to be written.

    images: (n, H, W, 3) uint8; labels: (n,) class ids or (n, H, W) label maps, uint8;
    roles: (n,) of train, select, report; columns: further columns of the index.
    """

    images: Bytes
    labels: Bytes
    roles: NDArray[np.str_]
    columns: dict[str, list[Any]]
    task: Task
    classes: list[dict[str, Any]]
    source: str
    licence: str
    note: str
    ignore: int | None = None
    merged: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PreparedSet:
    """A prepared set as it is read: arrays are memory maps, `info` is dataset.json."""

    folder: Path
    images: Bytes
    labels: Bytes
    index: pd.DataFrame
    info: dict[str, Any]

    @property
    def classes(self) -> list[str]:
        """Class names by id."""
        return [entry["name"] for entry in self.info["classes"]]

    def rows(self, role: str) -> NDArray[np.int64]:
        """Rows of one role, ascending. Raises RepriseError when there is none."""
        found = np.flatnonzero((self.index["role"] == role).to_numpy())
        if not len(found):
            raise RepriseError(
                f"{self.folder / 'index.csv'}: no image has the role '{role}'; "
                "raise its share in params.yaml, prepare.recipes"
            )
        return found


def decode(
    path: Path,
    mode: str,
    size: tuple[int, int],
    resample: Image.Resampling = Image.Resampling.BILINEAR,
) -> Bytes:
    """Pixels of an image file, (H, W[, 3]) uint8, resized to (width, height) where it differs.

    Raises RepriseError when the file does not decode.
    """
    try:
        with Image.open(path) as image:
            image.load()
            resized = image if image.size == size else image.resize(size, resample)
            return np.asarray(resized.convert(mode), np.uint8)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise RepriseError(f"{path}: does not decode as an image ({error}); replace it") from None


def write_set(folder: Path, name: str, prepared: Prepared) -> None:
    """Write a set: images.npy, labels.npy, index.csv, and dataset.json last.

    Raises RepriseError for a label outside the classes, a label map of another size than its
    image, or a role without images.
    """
    _check(folder, prepared)
    count = len(prepared.images)
    index = pd.DataFrame({"id": [f"{row:04d}" for row in range(count)], "role": prepared.roles})
    if prepared.task == "classification":
        index["label"] = prepared.labels
    for column, values in prepared.columns.items():
        index[column] = values
    train = prepared.images[prepared.roles == "train"].reshape(-1, 3)
    info = {
        "name": name,
        "task": prepared.task,
        "classes": prepared.classes,
        "ignore": prepared.ignore,
        "merged": prepared.merged,
        "counts": _counts(prepared),
        "images": {role: int((prepared.roles == role).sum()) for role in ROLES},
        "height": prepared.images.shape[1],
        "width": prepared.images.shape[2],
        "mean": [round(float(v) / 255, 6) for v in train.mean(axis=0)],
        "std": [round(float(v) / 255, 6) for v in train.std(axis=0)],
        "source": prepared.source,
        "licence": prepared.licence,
        "note": prepared.note,
    }
    write_array(folder / "images.npy", prepared.images)
    write_array(folder / "labels.npy", prepared.labels)
    write_csv(folder / "index.csv", index, float_format="%.3f")
    write_json(folder / "dataset.json", info)


def open_set(folder: Path, task: Task) -> PreparedSet:
    """Open a prepared set for a task.

    Raises RepriseError when a file is missing or damaged, or the set is for another task.
    """
    info = read_json(folder / "dataset.json")
    if info["task"] != task:
        raise RepriseError(
            f"{folder}: a set for {info['task']}, not for {task}; change `data` in params.yaml"
        )
    try:
        index = pd.read_csv(folder / "index.csv", dtype={"id": str})
        images = np.load(folder / "images.npy", mmap_mode="r")
        labels = np.load(folder / "labels.npy", mmap_mode="r")
    except (OSError, ValueError) as error:
        raise RepriseError(f"{folder}: {error}; delete the folder and prepare it again") from None
    if not len(index) == len(images) == len(labels):
        raise RepriseError(
            f"{folder}: {len(images)} images, {len(labels)} labels, {len(index)} rows of index; "
            "delete the folder and prepare it again"
        )
    return PreparedSet(folder, images, labels, index, info)


def _check(folder: Path, prepared: Prepared) -> None:
    if prepared.task == "segmentation" and prepared.images.shape[:3] != prepared.labels.shape:
        raise RepriseError(
            f"{folder}: images are {prepared.images.shape[1:3]} and masks "
            f"{prepared.labels.shape[1:]} (height, width); they must be of one size"
        )
    known = {entry["id"] for entry in prepared.classes} | {prepared.ignore}
    for label in np.unique(prepared.labels):
        if int(label) not in known:
            row = int(np.argwhere(prepared.labels == label)[0][0])
            raise RepriseError(
                f"{folder}: image {row:04d} has label {label}, which is outside the "
                f"{len(prepared.classes)} classes; correct the label or declare the class"
            )
    for role in ROLES:
        if not (prepared.roles == role).any():
            raise RepriseError(
                f"{folder}: no image has the role '{role}'; raise its share in prepare.recipes"
            )


def _counts(prepared: Prepared) -> dict[str, dict[str, int]]:
    """Images (or pixels, for label maps) of each class in each role."""
    counts = {}
    for role in ROLES:
        found = np.bincount(prepared.labels[prepared.roles == role].ravel(), minlength=256)
        counts[role] = {entry["name"]: int(found[entry["id"]]) for entry in prepared.classes}
    return counts
