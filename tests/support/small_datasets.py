"""Small datasets to write, read and train on."""

from pathlib import Path
from typing import Any

import numpy as np

from reprise.datasets.prepared import Kind, PreparedDataset, read_prepared
from reprise.datasets.writer import Dataset, write_dataset

SPLITS = ("train", "val", "test")


def small_dataset(
    images: np.ndarray, labels: np.ndarray, classes: int, splits: list[str] | None = None,
    **more: Any,
) -> Dataset:  # fmt: skip
    """A dataset of these arrays with gray classes; images take turns in the splits by default."""
    values: dict[str, Any] = {
        "images": images,
        "labels": labels,
        "splits": np.array(splits) if splits else np.resize(SPLITS, len(images)),
        "columns": {},
        "kind": "classification" if labels.ndim == 1 else "segmentation",
        "classes": [{"id": i, "name": "abcdefgh"[i], "color": [i, i, i]} for i in range(classes)],
        "source": "a test",
        "licence": "none",
        "note": "",
    }
    return Dataset(**values | more)


def write_and_read(folder: Path, dataset: Dataset) -> PreparedDataset:
    """The dataset as it is read back; its name is that of the folder."""
    kind: Kind = dataset.kind
    write_dataset(folder, folder.name, dataset)
    return read_prepared(folder, kind)


def dark_and_bright(folder: Path) -> PreparedDataset:
    """Thirty images, dark ones of class a and bright ones of class b."""
    labels = np.arange(30) % 2
    noise = np.random.default_rng(0).integers(0, 90, (30, 16, 16, 3))
    images = (noise + 150 * labels[:, None, None, None]).astype(np.uint8)
    splits = ["train"] * 14 + ["val"] * 8 + ["test"] * 8
    dataset = small_dataset(images, labels.astype(np.uint8), 2, splits)
    return write_and_read(folder, dataset)
