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
    roles: (n,) of train, select, report; columns: further columns of the index; names: ids of the
    images, their numbers when None; unlabelled: the labels are all 0 and mean nothing; wanted:
    the roles that must have images.
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
    names: list[str] | None = None
    unlabelled: bool = False
    wanted: tuple[str, ...] = ROLES


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

    @property
    def unlabelled(self) -> bool:
        """Whether the labels mean nothing."""
        return bool(self.info.get("unlabelled", False))

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
    index = pd.DataFrame({"id": _ids(prepared), "role": prepared.roles})
    if prepared.task == "classification":
        index["label"] = prepared.labels
    for column, values in prepared.columns.items():
        index[column] = values
    mean, std = _moments(prepared.images[prepared.roles == "train"])
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
        "mean": mean,
        "std": std,
        "source": prepared.source,
        "licence": prepared.licence,
        "note": prepared.note,
    }
    if prepared.unlabelled:
        info["unlabelled"] = True
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
    for row, one in enumerate(prepared.labels):
        odd = set(np.unique(one).tolist()) - known
        if odd:
            raise RepriseError(
                f"{folder}: image {_ids(prepared)[row]} has label {min(odd)}, which is outside the "
                f"{len(prepared.classes)} classes; correct the label or declare the class"
            )
    for role in prepared.wanted:
        if not (prepared.roles == role).any():
            raise RepriseError(
                f"{folder}: no image has the role '{role}'; raise its share in prepare.recipes"
            )


def _ids(prepared: Prepared) -> list[str]:
    return prepared.names or [f"{row:04d}" for row in range(len(prepared.images))]


def _counts(prepared: Prepared) -> dict[str, dict[str, int]]:
    """Images (or pixels, for label maps) of each class in each role."""
    counts = {}
    for role in ROLES:
        found = _histogram(prepared.labels[prepared.roles == role])
        counts[role] = {entry["name"]: int(found[entry["id"]]) for entry in prepared.classes}
    return counts


def _moments(images: Bytes) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel in 0..1, 6 digits."""
    values = np.arange(256)
    mean, std = [], []
    for channel in range(3):
        found = _histogram(images[..., channel])
        middle = (found * values).sum() / found.sum()
        mean.append(round(float(middle) / 255, 6))
        spread = np.sqrt((found * (values - middle) ** 2).sum() / found.sum())
        std.append(round(float(spread) / 255, 6))
    return mean, std


def _histogram(values: Bytes) -> NDArray[np.int64]:
    """How often each byte stands in `values`, (256,), without a wider copy of them all."""
    parts = np.array_split(values, max(1, values.size // 2**24))
    found: NDArray[np.int64] = np.zeros(256, np.int64)
    for part in parts:
        found += np.bincount(part.ravel(), minlength=256)
    return found
