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

from reprise.atomic_io import atomic_file, write_csv, write_json, writing
from reprise.datasets.prepared import IMAGES, SPLITS, Bytes, Kind, Scaling, check_groups, check_ids
from reprise.datasets.rows import LazyRows, write_rows
from reprise.datasets.splits import Counts, describe_split
from reprise.errors import RepriseError


@dataclass(frozen=True)
class Dataset:
    """Images with labels and splits, ready to be written.

    images: (n, H, W, 3) uint8; labels: (n,) class ids or (n, H, W) label maps, uint8; both may be
    decoded row by row as they are written;
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
    labels: Bytes | LazyRows
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
    count = len(dataset.images)
    _check_sizes(folder, dataset)
    histograms = np.zeros((count, 3, 256), np.uint32)
    counts = np.zeros((count, 256), np.int64)

    def look(row: int, image: Bytes) -> None:
        for channel in range(3):
            histograms[row, channel] = np.bincount(image[..., channel].ravel(), minlength=256)

    def look_at_labels(row: int, labels: Bytes) -> None:
        counts[row] = np.bincount(labels.ravel(), minlength=256)

    with _folder(folder), ExitStack() as files:
        for array, use in (("images", look), ("labels", look_at_labels)):
            file = folder / f"{array}.npy"
            files.enter_context(writing(file))
            path = files.enter_context(atomic_file(file))
            with path.open("wb") as stream:
                write_rows(stream, getattr(dataset, array), use)
        if dataset.regroup:
            dataset = dataset.regroup(dataset)
        index, info = _describe(folder, name, dataset, histograms, counts)
    write_csv(folder / "index.csv", index.assign(**dataset.columns), float_format="%.3f")
    write_json(folder / "dataset.json", info)


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
    folder: Path, name: str, dataset: Dataset, histograms: NDArray[np.uint32], counts: Counts
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The index and the content of dataset.json; RepriseError as `write_dataset`."""
    ids = dataset.ids or [f"{row:04d}" for row in range(len(dataset.images))]
    groups = np.asarray(ids if dataset.groups is None else dataset.groups)
    index = pd.DataFrame({"id": ids, "split": dataset.splits, "group": groups})
    _check(folder, dataset, index, counts)
    if dataset.kind == "classification":
        index["label"] = np.asarray(dataset.labels)
    in_split = {split: dataset.splits == split for split in SPLITS}
    mean, std = _channel_statistics(histograms[in_split["train"]].sum(axis=0, dtype=np.int64))
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
            split: {
                entry["name"]: int(counts[rows, entry["id"]].sum()) for entry in dataset.classes
            }
            for split, rows in in_split.items()
        },
        "images": {split: int(rows.sum()) for split, rows in in_split.items()},
        "split": _describe_split(name, dataset, groups, counts),
        "height": dataset.images.shape[1],
        "width": dataset.images.shape[2],
        "mean": mean,
        "std": std,
    }
    if dataset.unlabelled:
        info["unlabelled"] = True
    return index, info | dataset.details


def _describe_split(
    name: str, dataset: Dataset, groups: NDArray[Any], counts: Counts
) -> dict[str, Any]:
    """The key `split` of dataset.json; the classes that a split lacks are logged."""
    scored = [entry for entry in dataset.classes if entry["id"] != dataset.ignore]
    names, ids = [entry["name"] for entry in scored], [entry["id"] for entry in scored]
    described = describe_split(dataset.splits, groups, counts[:, ids], names)
    for split, missing in described["missing_classes"].items():
        if missing:
            logging.warning("%s: the %s split lacks: %s", name, split, "; ".join(missing))
    return dataset.split | described


def _check_sizes(folder: Path, dataset: Dataset) -> None:
    if dataset.kind == "segmentation" and dataset.images.shape[:3] != dataset.labels.shape:
        raise RepriseError(
            f"{folder}: images are {dataset.images.shape[1:3]} and masks "
            f"{dataset.labels.shape[1:]} (height, width); they must have the same size"
        )


def _check(folder: Path, dataset: Dataset, index: pd.DataFrame, counts: Counts) -> None:
    allowed = [entry["id"] for entry in dataset.classes]
    allowed += [] if dataset.ignore is None else [dataset.ignore]
    unknown = np.delete(np.arange(256), allowed)
    images, labels = np.nonzero(counts[:, unknown])
    if len(images):
        raise RepriseError(
            f"{folder}: image {index['id'].iloc[images[0]]} has label {unknown[labels[0]]}, which "
            f"is outside the {len(dataset.classes)} classes; correct the label or declare the class"
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
