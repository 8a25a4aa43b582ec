"""A user's own images, registered by `make data`: verified, decoded and split."""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from reprise.atomic_io import check_file, sha256
from reprise.csv_io import check_rows, read_csv
from reprise.datasets.image_files import ImageFile
from reprise.datasets.image_splits import group_names, image_splits
from reprise.datasets.legends import Decoder, class_colors, mask_values, open_mask
from reprise.datasets.prepared import IMAGES, MAX_MAP_IDS, SPLITS, Bytes, Labels
from reprise.datasets.progress import progress
from reprise.datasets.rows import LazyRows, threaded
from reprise.datasets.tables import RAW
from reprise.datasets.writer import Dataset
from reprise.errors import RepriseError
from reprise.images import check_crop, read_rgb, resized
from reprise.params.datasets import ImagesDataset

MEMORY = 64 * 2**20  # bytes of images that are decoded at a time
# of the list that `make data` writes: all are text
COLUMNS = ("file", "label", "mask", "split", "group", "sha256", "mask_sha256")


def prepare(recipe: ImagesDataset, raw: Path = RAW) -> Dataset:
    """The dataset of a registered folder; its images are read one by one as they are written.

    Raises RepriseError when the folder is not registered, is not the one whose sha256 the recipe
    has, or its list is damaged; when it is written, for a file that has changed since.
    """
    table, folder = raw / f"{recipe.registered_as}.csv", raw / recipe.registered_as
    if not (os.path.lexists(table) and folder.is_dir()):
        raise RepriseError(
            f"{folder}: not registered; run `make data NAME={recipe.registered_as} FROM=<folder>`"
        )
    if recipe.sha256 and sha256(table) != recipe.sha256:
        raise RepriseError(
            f"{table}: its sha256 is {sha256(table)}, but params.yaml has {recipe.sha256}; "
            "register the folder again"
        )
    rows = read_csv(table, COLUMNS, text_columns=COLUMNS)
    check_rows(table, rows, "file", rows["file"].duplicated(), "has two rows")
    return load(rows, folder, recipe)


def load(rows: pd.DataFrame, folder: Path, recipe: ImagesDataset) -> Dataset:
    """The dataset of a list of images; rows: with COLUMNS."""
    items = items_of(rows)
    classes = class_names(items)
    splits = image_splits(items, recipe, classes)
    order = sorted(range(len(items)), key=lambda row: (SPLITS.index(splits[row]), items[row].id))
    items, splits, rows = [items[row] for row in order], splits[order], rows.iloc[order]
    groups = group_names(items)
    single = len(set(groups)) == len(groups)
    labels, described = _labels(items, rows, folder, recipe, classes)
    cut = recipe.kind == "segmentation" and (recipe.size is None or recipe.resize == "crop")
    defaults = {"resize": "cover", "interpolation": "bilinear"}
    return Dataset(
        images=_images(items, rows, folder, recipe),
        labels=labels,
        splits=splits,
        columns={"file": [item.file for item in items]},
        kind="segmentation" if recipe.kind == "segmentation" else "classification",
        source=recipe.origin or f"your own images, registered as {recipe.registered_as}",
        licence=recipe.licence or "not stated",
        note="",
        ids=[item.id for item in items],
        unlabelled=recipe.kind == "unlabelled",
        required_splits=("train", "val") if recipe.kind == "unlabelled" else SPLITS,
        groups=groups,
        group=IMAGES if single else {"one": "group", "many": "groups"},
        split={"seed": recipe.seed},
        scaling="cut" if cut else "resized",
        details={k: v for k in defaults if (v := getattr(recipe, k)) != defaults[k]},
        **described,
    )


def items_of(rows: pd.DataFrame) -> list[ImageFile]:
    """The images of a list with COLUMNS, in its order."""
    names = ("file", "label", "mask", "split", "group")
    columns = [rows[name].tolist() for name in names]
    return [
        ImageFile(file, file, label, mask, split, group)
        for file, label, mask, split, group in zip(*columns, strict=True)
    ]


def class_names(items: Sequence[ImageFile]) -> list[str]:
    """The classes in the order of their ids: numbers by value, otherwise words by name."""
    names = {item.label for item in items if item.label}
    numbers = all(name.isdecimal() for name in names)
    return sorted(names, key=lambda name: (int(name) if numbers else 0, name))


def _images(
    items: Sequence[ImageFile], rows: pd.DataFrame, folder: Path, recipe: ImagesDataset
) -> LazyRows:
    digests = rows["sha256"].tolist()

    def read(row: int) -> Bytes:
        path = _verified(folder / items[row].file, digests[row])
        return read_rgb(path, recipe.size, recipe.resize, recipe.interpolation)

    return _of_one_size(items, read, f"{recipe.registered_as}: images prepared")


def _labels(
    items: Sequence[ImageFile], rows: pd.DataFrame, folder: Path, recipe: ImagesDataset,
    classes: Sequence[str],
) -> tuple[Labels | LazyRows, dict[str, Any]]:  # fmt: skip
    """Class ids or label maps, and the dataset's classes and ignored id."""
    if recipe.kind == "unlabelled":
        return np.zeros(len(items), np.uint8), {"classes": [{"id": 0, "name": "unlabelled"}]}
    if recipe.kind == "classification":
        ids = {name: number for number, name in enumerate(classes)}
        dtype = np.uint16 if len(ids) > MAX_MAP_IDS else np.uint8
        entries = [{"id": number, "name": name} for name, number in ids.items()]
        return np.array([ids[item.label] for item in items], dtype), {"classes": entries}
    decoder, digests = Decoder(recipe.legend, recipe.ignore), rows["mask_sha256"].tolist()

    def read(row: int) -> Bytes:
        path = _verified(folder / items[row].mask, digests[row])
        mask = open_mask(path, decoder.colors)
        if recipe.resize == "crop":
            check_crop(path, mask.size, recipe.size)
        mask = resized(mask, recipe.size, recipe.resize, Image.Resampling.NEAREST)
        return decoder.decode(mask_values(mask), path)

    colors = class_colors(recipe.legend, recipe.colors)
    names = zip(recipe.legend, colors, strict=True)
    described = [{"id": i, "name": name, "color": color} for i, (name, color) in enumerate(names)]
    maps = _of_one_size(items, read, f"{recipe.registered_as}: masks prepared")
    return maps, {"classes": described, "ignore": decoder.ignore}


def _verified(path: Path, digest: str) -> Path:
    check_file(path, "restore it, or run `make data` again")
    if sha256(path) != digest:
        raise RepriseError(
            f"{path}: changed since it was registered; restore it, or run `make data` again"
        )
    return path


def _of_one_size(items: Sequence[ImageFile], read: Callable[[int], Bytes], what: str) -> LazyRows:
    """One array of all images, with progress. Raises RepriseError for a size that differs."""
    shape = read(0).shape

    class Rows(LazyRows):
        def __iter__(self) -> Any:
            rows = max(1, min(64, MEMORY // max(1, math.prod(shape))))
            return progress(threaded(self.read, range(len(self)), rows), len(self), what)

    def checked(row: int) -> Bytes:
        pixels = read(row)
        if pixels.shape != shape:
            raise RepriseError(
                f"{items[row].file}: {pixels.shape[0]} x {pixels.shape[1]} (height, width), others "
                f"are {shape[0]} x {shape[1]}; set `size` in params.yaml, datasets"
            )
        return pixels

    return Rows((len(items), *shape), checked)
