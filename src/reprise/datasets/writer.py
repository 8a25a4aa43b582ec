"""What a source of images produces, and how it is written as a prepared dataset."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from reprise.atomic_io import atomic_file, write_csv, write_json, writing
from reprise.datasets.prepared import (
    IMAGES,
    MAX_MAP_IDS,
    SPLITS,
    Bytes,
    Kind,
    Labels,
    Scaling,
    check_groups,
    check_ids,
)
from reprise.datasets.rows import LazyRows, write_rows
from reprise.datasets.splits import Counts, describe_split
from reprise.errors import RepriseError

SHOWN = 50  # classes that are listed


@dataclass(frozen=True)
class Dataset:
    """Images with labels and splits, ready to be written.

    images: (n, H, W, 3) uint8; labels: (n,) class ids, uint8 or uint16, or (n, H, W) label maps,
    uint8; both may be decoded row by row as they are written;
    splits: (n,) of train, val, test; columns: further columns of the index; classes, merged: as
    dataset.json lists them; ids: of the images, by default their row numbers; unlabelled: the
    labels are placeholders, all 0; required_splits: those that must have images.

    groups: (n,) numbers or names of what the images show that makes them alike (a place, a
    person), by default each image's id; a group is in one split. group: the word for one, in the
    singular and the plural. scaling: "cut" where a pixel is one of the source, so that a larger
    picture is read in windows of this size; "resized" where whole pictures were scaled to it.
    split: the seed of the split, and least_gap_pixels between tiles of two splits. details: further
    keys of dataset.json. regroup: gives the dataset its groups and splits where they depend on what
    the images show; it is called when all images have been read.
    """

    images: Bytes | LazyRows
    labels: Labels | LazyRows
    splits: NDArray[np.str_]
    columns: dict[str, list[Any]]
    kind: Kind
    classes: list[dict[str, Any]]
    source: str
    licence: str
    note: str
    ignore: int | None = None
    merged: dict[str, Any] = field(default_factory=dict)
    ids: list[str] | None = None
    unlabelled: bool = False
    required_splits: tuple[str, ...] = SPLITS
    groups: NDArray[np.int64] | NDArray[np.str_] | list[str] | None = None
    group: Mapping[str, str] = field(default_factory=IMAGES.copy)
    scaling: Scaling = "resized"
    split: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    regroup: Callable[["Dataset"], "Dataset"] | None = None


def write_dataset(folder: Path, name: str, dataset: Dataset) -> None:
    """Write images.npy, labels.npy, index.csv, and dataset.json last; one image is in memory.

    Logs the classes that a split lacks. Raises RepriseError for a label outside the classes, a
    label map whose size is not that of its image, a group in two splits, or a required split
    without images; then nothing is written.
    """
    _check_sizes(folder, dataset)
    totals = Totals(dataset)
    with _folder(folder), ExitStack() as files:
        for array, use in (("images", totals.add_image), ("labels", totals.add_labels)):
            file = folder / f"{array}.npy"
            files.enter_context(writing(file))
            path = files.enter_context(atomic_file(file))
            with path.open("wb") as stream:
                write_rows(stream, getattr(dataset, array), use)
        if dataset.regroup:
            dataset = dataset.regroup(dataset)
        index, info = _describe(folder, name, dataset, totals)
    write_csv(folder / "index.csv", index.assign(**dataset.columns), float_format="%.3f")
    write_json(folder / "dataset.json", info)


class Totals:
    """How often each value of a channel and each id occur in the images of a dataset.

    They are counted for each split, so that memory does not grow with the images; for each image
    where the splits depend on what the images show.
    """

    def __init__(self, dataset: Dataset) -> None:
        count = len(dataset.images)
        self.slots: NDArray[np.int64] = np.arange(count)
        if dataset.regroup is None:  # a last slot for images in none of SPLITS
            self.slots = np.full(count, len(SPLITS))
            for number, split in enumerate(SPLITS):
                self.slots[dataset.splits == split] = number
        slots = len(SPLITS) + 1 if dataset.regroup is None else count
        labels = dataset.labels
        bits = labels.dtype.itemsize * 8 if isinstance(labels, np.ndarray) else 8
        self.histograms = np.zeros((slots, 3, 256), np.uint32 if dataset.regroup else np.int64)
        self.ids = np.zeros((slots, 2**bits), np.int64)
        self.known = np.zeros(2**bits, bool)
        self.known[[entry["id"] for entry in dataset.classes]] = True
        if dataset.ignore is not None:
            self.known[dataset.ignore] = True
        self.unknown: tuple[int, int] | None = None  # the first row with such a label, and it

    def add_image(self, row: int, image: Bytes) -> None:
        """Count the pixels of an image, (H, W, 3)."""
        counts = np.reshape(Image.fromarray(image).histogram(), (3, 256))
        self.histograms[self.slots[row]] += counts.astype(self.histograms.dtype)

    def add_labels(self, row: int, labels: Labels) -> None:
        """Count the label of an image, or those of its pixels."""
        if np.ndim(labels):
            counts = np.bincount(labels.ravel(), minlength=MAX_MAP_IDS)
            self.ids[self.slots[row]] += counts
            ids = np.flatnonzero(counts)
        else:
            ids = np.array([labels], np.int64)
            self.ids[self.slots[row], ids] += 1
        outside = ids[~self.known[ids]]
        if self.unknown is None and len(outside):
            self.unknown = row, int(outside[0])

    def of_split(self, rows: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Counts]:
        """Histograms (3, 256) and numbers of ids (ids,) of a split; rows: (n,), its images."""
        slots = np.unique(self.slots[rows])
        return self.histograms[slots].sum(axis=0, dtype=np.int64), self.ids[slots].sum(axis=0)


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """A folder for files; if they are not written, one that did not exist is removed again."""
    new = not path.exists()
    try:
        yield
    except BaseException:
        if new and path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        raise


def _describe(
    folder: Path, name: str, dataset: Dataset, totals: Totals
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The index and the content of dataset.json; RepriseError as `write_dataset`."""
    ids = dataset.ids or [f"{row:04d}" for row in range(len(dataset.images))]
    groups = np.asarray(ids if dataset.groups is None else dataset.groups)
    index = pd.DataFrame({"id": ids, "split": dataset.splits, "group": groups})
    _check(folder, dataset, index, totals.unknown)
    if dataset.kind == "classification":
        index["label"] = np.asarray(dataset.labels)
    in_split = {split: dataset.splits == split for split in SPLITS}
    of_splits = {split: totals.of_split(rows) for split, rows in in_split.items()}
    counts = {split: ids for split, (_, ids) in of_splits.items()}
    mean, std = _channel_statistics(of_splits["train"][0])
    if not min(std):
        raise RepriseError(
            f"{folder}: a color channel has one value in all train images, so it cannot be "
            "normalized; use other images"
        )
    described = ("kind", "classes", "ignore", "merged", "group", "scaling")
    info = {key: getattr(dataset, key) for key in (*described, "source", "licence", "note")} | {
        "name": name,
        # images of each class, or pixels of label maps
        "counts": {
            split: {entry["name"]: int(ids[entry["id"]]) for entry in dataset.classes}
            for split, ids in counts.items()
        },
        "images": {split: int(rows.sum()) for split, rows in in_split.items()},
        "split": _describe_split(name, dataset, groups, np.stack([*counts.values()])),
        "height": dataset.images.shape[1],
        "width": dataset.images.shape[2],
        "mean": mean,
        "std": std,
    }
    if dataset.unlabelled:
        info["unlabelled"] = True
    return index, info | dataset.details


def _describe_split(
    name: str, dataset: Dataset, groups: NDArray[Any], totals: Counts
) -> dict[str, Any]:
    """The key `split` of dataset.json; the classes that a split lacks are logged.

    totals: of the ids in each of SPLITS, (3, ids).
    """
    scored = [entry for entry in dataset.classes if entry["id"] != dataset.ignore]
    names, ids = [entry["name"] for entry in scored], [entry["id"] for entry in scored]
    described = describe_split(dataset.splits, groups, totals[:, ids], names)
    for split, missing in described["missing_classes"].items():
        if missing:
            more = len(missing) > SHOWN
            lacks = "; ".join(missing[:SHOWN]) + f" and {len(missing) - SHOWN} more" * more
            logging.warning("%s: the %s split lacks: %s", name, split, lacks)
    return dataset.split | described


def _check_sizes(folder: Path, dataset: Dataset) -> None:
    if dataset.kind == "segmentation" and dataset.images.shape[:3] != dataset.labels.shape:
        raise RepriseError(
            f"{folder}: images are {dataset.images.shape[1:3]} and masks "
            f"{dataset.labels.shape[1:]} (height, width); they must have the same size"
        )


def _check(
    folder: Path, dataset: Dataset, index: pd.DataFrame, unknown: tuple[int, int] | None
) -> None:
    if unknown:
        row, label = unknown
        raise RepriseError(
            f"{folder}: image {index['id'].iloc[row]} has label {label}, which is outside the "
            f"{len(dataset.classes)} classes; correct the label or declare the class"
        )
    for split in dataset.required_splits:
        if split not in dataset.splits:
            advice = "raise its share in params.yaml, datasets"
            raise RepriseError(f"{folder}: the {split} split has no images; {advice}")
    check_ids(folder / "index.csv", index)
    check_groups(folder / "index.csv", index)


def _channel_statistics(histograms: NDArray[np.int64]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel in 0..1, 6 digits, of histograms (3, 256)."""
    values, means, stds = np.arange(256), [], []
    for histogram in histograms:
        mean = np.average(values, weights=histogram)
        std = np.sqrt(np.average((values - mean) ** 2, weights=histogram))
        means.append(round(float(mean) / 255, 6))
        stds.append(round(float(std) / 255, 6))
    return means, stds
