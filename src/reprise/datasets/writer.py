"""What a source of images produces, and how it is split and written as a prepared dataset."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.atomic_io import atomic_file, write_csv, write_json
from reprise.datasets.prepared import SPLITS, Bytes, Kind
from reprise.errors import RepriseError

FOLDS = 20  # splits are multiples of 1/20 of the groups


@dataclass(frozen=True)
class Dataset:
    """Images with labels and splits, ready to be written.

    images: (n, H, W, 3) uint8; labels: (n,) class ids or (n, H, W) label maps, uint8;
    splits: (n,) of train, val, test; columns: further columns of the index; classes, merged: as
    dataset.json lists them; ids: of the images, by default their row numbers; unlabelled: the
    labels are placeholders, all 0; required_splits: those that must have images.
    """

    images: Bytes
    labels: Bytes
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


def split_by_groups(
    groups: NDArray[np.int64], classes: NDArray[np.int64], val: float, test: float, seed: int
) -> NDArray[np.str_]:
    """A split for each image: a group (a place, a person) is in one split, classes are balanced.

    groups, classes: (n,) ids; val, test: shares of the groups, rounded to a twentieth; seed: of the
    shuffle. Raises RepriseError when there are fewer than three groups.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second to import

    count = min(FOLDS, len(np.unique(groups)))
    if count < len(SPLITS):
        raise RepriseError(f"{count} groups cannot fill three splits; use smaller blocks")
    folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    test_folds, val_folds = max(1, round(test * count)), max(1, round(val * count))
    fold_of = np.empty(len(groups), np.int64)
    with warnings.catch_warnings():
        # a class with fewer images than folds is balanced as far as possible
        warnings.simplefilter("ignore")
        for fold, (_, rows) in enumerate(folds.split(groups, classes, groups)):
            fold_of[rows] = fold
    return np.select(
        [fold_of < test_folds, fold_of < test_folds + val_folds], ["test", "val"], "train"
    )


def write_dataset(folder: Path, name: str, dataset: Dataset) -> None:
    """Write images.npy, labels.npy, index.csv, and dataset.json last.

    Raises RepriseError for a label outside the classes, a label map whose size is not that of its
    image, or a required split without images.
    """
    ids = dataset.ids or [f"{row:04d}" for row in range(len(dataset.images))]
    _check(folder, dataset, ids)
    index = pd.DataFrame({"id": ids, "split": dataset.splits})
    if dataset.kind == "classification":
        index["label"] = dataset.labels
    in_split = {split: dataset.splits == split for split in SPLITS}
    # of images, or of the pixels of label maps
    labels = {split: _histogram(dataset.labels[rows]) for split, rows in in_split.items()}
    mean, std = _channel_statistics(dataset.images[in_split["train"]])
    described = ("kind", "classes", "ignore", "merged", "source", "licence", "note")
    info = {key: getattr(dataset, key) for key in described} | {
        "name": name,
        "counts": {
            split: {entry["name"]: int(counts[entry["id"]]) for entry in dataset.classes}
            for split, counts in labels.items()
        },
        "images": {split: int(rows.sum()) for split, rows in in_split.items()},
        "height": dataset.images.shape[1],
        "width": dataset.images.shape[2],
        "mean": mean,
        "std": std,
    }
    if dataset.unlabelled:
        info["unlabelled"] = True
    for array in ("images", "labels"):
        with atomic_file(folder / f"{array}.npy") as path, path.open("wb") as stream:
            np.save(stream, getattr(dataset, array), allow_pickle=False)
    write_csv(folder / "index.csv", index.assign(**dataset.columns), float_format="%.3f")
    write_json(folder / "dataset.json", info)


def _check(folder: Path, dataset: Dataset, ids: list[str]) -> None:
    if dataset.kind == "segmentation" and dataset.images.shape[:3] != dataset.labels.shape:
        raise RepriseError(
            f"{folder}: images are {dataset.images.shape[1:3]} and masks "
            f"{dataset.labels.shape[1:]} (height, width); they must have the same size"
        )
    allowed = {entry["id"] for entry in dataset.classes} | {dataset.ignore}
    for image_id, labels in zip(ids, dataset.labels, strict=True):
        unknown = set(np.unique(labels).tolist()) - allowed
        if unknown:
            raise RepriseError(
                f"{folder}: image {image_id} has label {min(unknown)}, which is outside "
                f"the {len(dataset.classes)} classes; correct the label or declare the class"
            )
    for split in dataset.required_splits:
        if split not in dataset.splits:
            advice = "raise its share in params.yaml, datasets"
            raise RepriseError(f"{folder}: the {split} split has no images; {advice}")


def _channel_statistics(images: Bytes) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel in 0..1, 6 digits."""
    values, means, stds = np.arange(256), [], []
    for channel in range(3):
        histogram = _histogram(images[..., channel])
        mean = np.average(values, weights=histogram)
        std = np.sqrt(np.average((values - mean) ** 2, weights=histogram))
        means.append(round(float(mean) / 255, 6))
        stds.append(round(float(std) / 255, 6))
    return means, stds


def _histogram(values: Bytes) -> NDArray[np.int64]:
    """Histogram of byte values, (256,), without a wider copy of the whole array."""
    chunks = np.array_split(values, max(1, values.size // 2**24))
    counts = [np.bincount(chunk.ravel(), minlength=256) for chunk in chunks]
    histogram: NDArray[np.int64] = np.sum(counts, axis=0)
    return histogram
