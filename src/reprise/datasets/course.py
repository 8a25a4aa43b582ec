"""Images as a course hands them out: registered by `make data`, verified, decoded and split."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reprise.atomic_io import check_file, sha256
from reprise.csv_io import check_rows, read_csv
from reprise.datasets import classes
from reprise.datasets.course_splits import course_splits, regroup_places
from reprise.datasets.known import HOMEWORKS, known_archive
from reprise.datasets.label_maps import check_same_size, read_mask
from reprise.datasets.layouts import LAYOUTS, list_folder
from reprise.datasets.listing import Item, Listing
from reprise.datasets.neighbors import Borders
from reprise.datasets.prepared import MAX_MAP_IDS, SPLITS, Bytes
from reprise.datasets.rows import LazyRows
from reprise.datasets.tables import RAW
from reprise.datasets.writer import Dataset
from reprise.errors import RepriseError
from reprise.images import RESAMPLING, read_rgb, resized
from reprise.params.datasets import CourseDataset

LICENCE = "as the course hands it out; not to be passed on"
SOURCES = {
    "dlcv_50": "DLCV HW1, 50 classes of 32 x 32 images",
    "office_home": "Office-Home, 65 classes, the course's split (DLCV HW1 and HW4)",
    "mini_imagenet": "mini-ImageNet, 84 x 84, the course's 38,400 images (DLCV HW1 and HW4)",
    "deepglobe": "satellite tiles of 512 x 512 with DeepGlobe's classes (DLCV HW1)",
    "celeba_makeup": "CelebA, heavy make-up or none (CS6550 HW4)",
    "camvid": "CamVid, 11 classes (CS6550 HW4)",
    "camvid_segnet": "CamVid, 11 classes, train, val and test of the SegNet tutorial",
}


def prepare(recipe: CourseDataset, raw: Path = RAW) -> Dataset:
    """The dataset of a registered folder, or of synthetic data where the recipe asks for it.

    Raises RepriseError when the folder is not registered, is not the one whose sha256 the recipe
    has, or a file has changed since.
    """
    if recipe.synthetic_per_class:
        from reprise.datasets.synthetic import prepare_synthetic

        return prepare_synthetic(recipe, recipe.synthetic_per_class)
    name = recipe.registered_as
    table, folder = raw / f"{name}.csv", raw / name
    if not (os.path.lexists(table) and folder.is_dir()):
        raise RepriseError(
            f"{folder}: not registered; run `make data FROM=<folder>` with "
            f"{LAYOUTS[recipe.layout].archive}"
        )
    if recipe.sha256 and sha256(table) != recipe.sha256:
        raise RepriseError(
            f"{table}: its sha256 is {sha256(table)}, but params.yaml has {recipe.sha256}; "
            "register the folder with that sha256, or update params.yaml"
        )
    listing, columns = list_folder(folder, recipe.layout), ["file", "sha256"]
    registered = read_csv(table, columns, text_columns=columns)
    check_rows(table, registered, "file", registered["file"].duplicated(), "has two rows")
    digests = registered.set_index("file")["sha256"]
    verified = {}
    for path in listing.files:
        check_file(path, "restore it")
        verified[path] = sha256(path)
        if verified[path] != digests.get(path.relative_to(folder).as_posix()):
            raise RepriseError(
                f"{path}: changed since it was registered; restore it, or run `make data` again"
            )
    dataset = load(listing, recipe)
    if archive := known_archive(recipe.layout, listing, verified):
        dataset.details.update(verified=True, archive=archive, homeworks=HOMEWORKS[archive])
    return dataset


def load(listing: Listing, recipe: CourseDataset) -> Dataset:
    """The dataset of a listing, decoded as it is written: see `CourseDataset` for its splits.

    Raises RepriseError for the first fault of the folder; when it is written, for an image that
    cannot be decoded or has another size than the first.
    """
    layout, faults = LAYOUTS[recipe.layout], listing.faults
    if faults:
        more = f" (and {len(faults) - 1} more; `make data` lists them)" if len(faults) > 1 else ""
        raise RepriseError(faults[0] + more)
    items = sorted(listing.items, key=lambda item: (SPLITS.index(item.split), item.name))
    if not items:
        raise RepriseError(f"{listing.root}: no images here; unpack the archive again")
    images, borders = _images(items, recipe)
    labels, described = _labels(items, listing.root, recipe)
    test = "test" if layout.has_test else "val"  # of the folder
    ids = [item.name if item.split == test else f"{item.split}_{item.name}" for item in items]
    return Dataset(
        images=images,
        labels=labels,
        splits=course_splits(items, labels, recipe),
        columns={"file": [str(item.image.relative_to(listing.root)) for item in items]},
        kind=layout.kind,
        source=SOURCES[recipe.layout],
        licence=LICENCE,
        note="",
        ids=ids,
        unlabelled=all(item.label is None for item in items),
        required_splits=SPLITS if "val" in layout.published else ("train", "val"),
        split={"seed": recipe.seed},
        scaling="cut" if layout.kind == "segmentation" and recipe.size is None else "resized",
        details=_scaling(recipe),
        regroup=regroup_places(items, ids, recipe, borders),
        **described,
    )


def _scaling(recipe: CourseDataset) -> dict[str, Any]:
    """Values of the recipe, other than the defaults, that prediction must repeat."""
    values = {"resize": recipe.resize, "interpolation": recipe.interpolation}
    defaults = ("cover", "bilinear")
    return {key: v for (key, v), d in zip(values.items(), defaults, strict=True) if v != d}


def _images(items: Sequence[Item], recipe: CourseDataset) -> tuple[LazyRows, Borders | None]:
    """The images, and the borders of tiles as far as these have been read."""
    borders = Borders(len(items)) if recipe.layout == "deepglobe" else None

    def read(row: int) -> Bytes:
        item = items[row]
        if borders is None:
            return read_rgb(item.image, recipe.size, recipe.resize, recipe.interpolation)
        image = read_rgb(item.image, None)
        borders.add(row, image)
        resample = RESAMPLING[recipe.interpolation]
        return np.asarray(resized(Image.fromarray(image), recipe.size, recipe.resize, resample))

    return _same_size(items, read), borders


def _same_size(items: Sequence[Item], read: Callable[[int], Bytes]) -> LazyRows:
    """One array of all items. A row whose size is not the first one's is a RepriseError."""
    shape = read(0).shape

    def checked(row: int) -> Bytes:
        pixels = read(row)
        if pixels.shape != shape:
            raise RepriseError(
                f"{items[row].location}: {pixels.shape[0]} x {pixels.shape[1]} (height, width), "
                f"others are {shape[0]} x {shape[1]}; set `size` in params.yaml, datasets"
            )
        return pixels

    return LazyRows((len(items), *shape), checked)


def _labels(
    items: Sequence[Item], root: Path, recipe: CourseDataset
) -> tuple[Bytes | LazyRows, dict[str, Any]]:
    """Class ids or label maps, and the dataset's classes, ignored id and merged classes."""
    if LAYOUTS[recipe.layout].kind == "classification":
        return _class_ids(items, root)

    def read(row: int) -> Bytes:
        mask = Path(str(items[row].label))
        check_same_size(items[row].image, mask)
        return read_mask(mask, recipe.layout, recipe.size, recipe.resize)

    maps = classes.DEEPGLOBE_MAPS if recipe.layout == "deepglobe" else classes.CAMVID_MAPS
    return _same_size(items, read), maps


def _class_ids(items: Sequence[Item], root: Path) -> tuple[Bytes, dict[str, Any]]:
    names, problems = class_names(items, root)
    if problems:
        raise RepriseError(problems[0])
    if not names:
        return np.zeros(len(items), np.uint8), {"classes": [{"id": 0, "name": "unlabelled"}]}
    ids = {name: number for number, name in enumerate(names)}
    entries = [{"id": number, "name": name} for name, number in ids.items()]
    return np.array([ids[str(item.label)] for item in items], np.uint8), {"classes": entries}


def class_names(items: Sequence[Item], root: Path) -> tuple[list[str], list[str]]:
    """The classes in the order of their ids, and what is wrong with them.

    Numbers keep their value, words are sorted; there are none where no image has a label.
    """
    names = sorted({str(item.label) for item in items if item.label is not None})
    if not names:
        return [], []
    if len(names) > MAX_MAP_IDS:
        return names, [f"{root}: {len(names)} classes; at most {MAX_MAP_IDS} are supported"]
    same = {name.lower(): name for name in names}
    problems = [
        f"{root}: classes '{name}' and '{same[name.lower()]}' differ only in case; use one name"
        for name in names
        if same[name.lower()] != name
    ]
    if all(name.isdecimal() for name in names):
        names = [str(number) for number in range(max(map(int, names)) + 1)]
    trained = {item.label for item in items if item.split == "train"}
    problems += [
        f"{root}: class '{name}' has no image in the train split; add some"
        for name in names
        if name not in trained
    ]
    return names, problems
