"""Images as a course hands them out: registered by `make data`, verified, decoded and split.

Registering writes two things to data/raw/: a link NAME to the folder, and NAME.csv with the sha256
of each file that is read. The sha256 of that csv file, copied to params.yaml, identifies the data
of a run.
"""

import argparse
import hashlib
import logging
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from reprise.atomic_io import check_file, refuse_overwrite, sha256, write_csv, writing
from reprise.cli import run
from reprise.csv_io import check_rows, read_csv
from reprise.datasets import classes
from reprise.datasets.layouts import LAYOUTS, Item, Listing, list_folder, matching_folders
from reprise.datasets.prepared import MAX_CLASSES, SPLITS, Bytes
from reprise.datasets.writer import Dataset
from reprise.errors import RepriseError, one_line
from reprise.images import image_size, open_image, read_rgb, resize_and_crop
from reprise.params.base import NAME
from reprise.params.datasets import CourseDataset

RAW = Path("data/raw")
SHOWN = 20  # problems of a folder that are listed
LICENCE = "as the course hands it out; not to be passed on"
SOURCES = {
    "dlcv_50": "DLCV HW1, 50 classes of 32 x 32 images",
    "office_home": "Office-Home, 65 classes, the course's split (DLCV HW1 and HW4)",
    "mini_imagenet": "mini-ImageNet, 84 x 84, the course's 38,400 images (DLCV HW1 and HW4)",
    "deepglobe": "satellite tiles of 512 x 512 with DeepGlobe's classes (DLCV HW1)",
    "celeba_makeup": "CelebA, heavy make-up or none (CS6550 HW4)",
    "camvid": "CamVid, 11 classes (CS6550 HW4)",
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
            f"{folder}: not registered; run `make data NAME={name} PATH=<the course's folder>`"
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
    for path in listing.files:
        check_file(path, "restore it")
        if sha256(path) != digests.get(path.relative_to(folder).as_posix()):
            raise RepriseError(
                f"{path}: changed since it was registered; restore it, or run `make data` again"
            )
    return load(listing, recipe)


def load(listing: Listing, recipe: CourseDataset) -> Dataset:
    """The decoded dataset of a listing: the course's val split is test; val is cut from train.

    Raises RepriseError for the first fault of the folder.
    """
    layout, faults = LAYOUTS[recipe.layout], listing.faults
    if faults:
        more = f" (and {len(faults) - 1} more; `make data` lists them)" if len(faults) > 1 else ""
        raise RepriseError(faults[0] + more)
    items = sorted(listing.items, key=lambda item: (item.split != "train", item.name))
    if not items:
        raise RepriseError(f"{listing.root}: no images here; unpack the archive again")
    images = stack(items, lambda item: read_rgb(item.image, recipe.size))
    if layout.kind == "classification":
        labels, described = _class_ids(items, listing.root)
        strata = labels
    else:
        labels, described = _label_maps(items, recipe)
        strata = np.zeros(len(items), np.uint8)
    return Dataset(
        images=images,
        labels=labels,
        splits=_splits(items, strata, recipe.val, recipe.seed),
        columns={"file": [str(item.image.relative_to(listing.root)) for item in items]},
        kind=layout.kind,
        source=SOURCES[recipe.layout],
        licence=LICENCE,
        note="",
        ids=[f"train_{i.name}" if i.split == "train" else i.name for i in items],
        unlabelled=all(item.label is None for item in items),
        required_splits=SPLITS if "val" in layout.published else ("train", "val"),
        split={"seed": recipe.seed},
        scaling="cut" if layout.kind == "segmentation" and recipe.size is None else "resized",
        **described,
    )


def _splits(
    items: Sequence[Item], strata: NDArray[np.uint8], val: float, seed: int
) -> NDArray[np.str_]:
    """The course's val split is test; a share of each stratum of its train split becomes val.

    Images are ranked by a hash of the seed and their name, which does not depend on other images.
    """
    splits = np.array(["train" if item.split == "train" else "test" for item in items], "<U5")
    ranks = [hashlib.sha256(f"{seed} {item.name}".encode()).digest() for item in items]
    for stratum in np.unique(strata):
        rows = np.flatnonzero((strata == stratum) & (splits == "train"))
        ranked = sorted(rows, key=lambda row: ranks[row])
        splits[ranked[: round(val * len(rows))]] = "val"
    return splits


def stack(items: Sequence[Item], read: Callable[[Item], Bytes]) -> Bytes:
    """One array of all items. Raises RepriseError for an item whose size is not the first one's."""
    shape = read(items[0]).shape
    array = np.empty((len(items), *shape), np.uint8)
    for row, item in enumerate(items):
        pixels = read(item)
        if pixels.shape != shape:
            raise RepriseError(
                f"{item.location}: {pixels.shape[0]} x {pixels.shape[1]} (height, width), others "
                f"are {shape[0]} x {shape[1]}; set `size` in params.yaml, datasets"
            )
        array[row] = pixels
    return array


def _class_ids(items: Sequence[Item], root: Path) -> tuple[Bytes, dict[str, Any]]:
    """Class ids and the dataset's classes: numbers keep their value, words are sorted."""
    labels = [str(item.label) for item in items if item.label is not None]
    if not labels:
        return np.zeros(len(items), np.uint8), {"classes": [{"id": 0, "name": "unlabelled"}]}
    names = sorted(set(labels))
    if len(names) > MAX_CLASSES:
        raise RepriseError(f"{root}: {len(names)} classes; at most {MAX_CLASSES} are supported")
    if all(name.isdecimal() for name in names):
        names = [str(number) for number in range(max(map(int, names)) + 1)]
        labels = [str(int(label)) for label in labels]
    ids = {name: number for number, name in enumerate(names)}
    trained = {label for label, item in zip(labels, items, strict=True) if item.split == "train"}
    for name in names:
        if name not in trained:
            raise RepriseError(f"{root}: class '{name}' has no image in the train split; add some")
    entries = [{"id": number, "name": name} for name, number in ids.items()]
    return np.array([ids[label] for label in labels], np.uint8), {"classes": entries}


def _label_maps(items: Sequence[Item], recipe: CourseDataset) -> tuple[Bytes, dict[str, Any]]:
    """Label maps, and the dataset's classes, ignored id and merged classes."""
    for item in items:
        check_same_size(item.image, Path(str(item.label)))
    maps = stack(items, lambda item: read_mask(Path(str(item.label)), recipe.layout, recipe.size))
    return maps, classes.DEEPGLOBE_MAPS if recipe.layout == "deepglobe" else classes.CAMVID_MAPS


def read_mask(path: Path, layout: str, size: int | None) -> Bytes:
    """A label map as (H, W) uint8 class ids, scaled as `read_rgb` does, nearest neighbor.

    DeepGlobe's masks have colors, CamVid's have the ids as their values. Raises RepriseError for a
    file that cannot be decoded, has colors where ids are needed or none, or has an unknown id.
    """
    image = open_image(path)
    if layout == "deepglobe":
        if image.mode not in ("P", "RGB", "RGBA"):
            raise RepriseError(f"{path}: mode {image.mode}; a mask has colors, save it as RGB")
        colors = resize_and_crop(image.convert("RGB"), size, Image.Resampling.NEAREST)
        return classes.decode_mask(np.asarray(colors))
    if image.mode not in ("L", "P"):
        raise RepriseError(f"{path}: mode {image.mode}; a label map has ids, save it as grayscale")
    ids = np.asarray(resize_and_crop(image, size, Image.Resampling.NEAREST))
    if ids.max() > classes.CAMVID_VOID:
        raise RepriseError(f"{path}: has id {ids.max()}; the ids are 0 to {classes.CAMVID_VOID}")
    return ids


def check_same_size(image: Path, mask: Path) -> None:
    """Raise RepriseError when an image and its label map differ in size."""
    sizes = [image_size(path) for path in (image, mask)]
    if sizes[0] != sizes[1]:
        raise RepriseError(
            f"{mask}: {sizes[1]} (width, height), its image {sizes[0]}; the sizes must be equal"
        )


def register(name: str, folder: Path, raw: Path = RAW) -> str:
    """Check every layout at or below `folder`, then link it and write the csv file.

    The csv file has the file, bytes and sha256 of all images, label maps and csv files; its own
    sha256 is returned. Raises RepriseError when there is no known layout, one of them twice, or any
    fault; what was found, what is missing and the first faults are logged.
    """
    if not os.path.isdir(folder):
        raise RepriseError(f"{folder}: not a directory; pass the unpacked archive as PATH")
    table, link = raw / f"{name}.csv", raw / name
    if os.path.lexists(link) and not os.path.islink(link):
        raise RepriseError(f"{link}: already exists; move it away")
    listings = list_layouts(folder)
    faults = [fault for layout, listing in listings.items() for fault in check(layout, listing)]
    for fault in faults[:SHOWN]:
        logging.error("%s", one_line(fault))
    if len(faults) > SHOWN:
        logging.error("and %d more", len(faults) - SHOWN)
    if faults:
        raise RepriseError(f"{folder}: {len(faults)} problems (listed above); fix them, try again")
    paths = sorted({path for listing in listings.values() for path in listing.files})
    refuse_overwrite([table], paths)
    rows = [(p.relative_to(folder).as_posix(), p.stat().st_size, sha256(p)) for p in paths]
    if link.is_symlink() and os.path.realpath(link) != os.path.realpath(folder):
        logging.warning("%s: was registered for %s until now", name, os.readlink(link))
    write_csv(table, pd.DataFrame(rows, columns=["file", "bytes", "sha256"]))
    with writing(link):
        link.unlink(missing_ok=True)
        os.symlink(folder.resolve(), link, target_is_directory=True)
    return sha256(table)


def list_layouts(folder: Path) -> dict[str, Listing]:
    """The listings of all layouts at or below `folder`; what was found and what not is logged.

    Raises RepriseError when there is no known layout, or one of them twice.
    """
    present = [layout for layout in LAYOUTS if matching_folders(folder, layout)]
    listings = {layout: list_folder(folder, layout) for layout in present}
    for layout, listing in listings.items():
        for split, published in LAYOUTS[layout].published.items():
            count = sum(item.split == split for item in listing.items)
            note = "" if count == published else ": not the number that the course published"
            logging.info("%s: %s: %d of %d images%s", layout, split, count, published, note)
    others = {name: layout.holds for name, layout in LAYOUTS.items() if name not in present}
    if missing := [f"{name} ({', '.join(files)})" for name, files in others.items()]:
        logging.info("not in this folder: %s", "; ".join(missing))
    if not listings:
        raise RepriseError(f"{folder}: contains none of the courses' layouts; is it unpacked?")
    return listings


def check(layout: str, listing: Listing) -> list[str]:
    """All faults of a listing, and of every file that cannot be decoded."""
    faults = list(listing.faults)
    for split in LAYOUTS[layout].published:
        if not any(item.split == split for item in listing.items):
            faults.append(f"{listing.root}: {layout} has no image of the split {split}; add some")
    for item in tqdm(listing.items, desc=layout, unit="image", disable=None):
        checks: list[Callable[[], object]] = [partial(read_rgb, item.image, None)]
        if isinstance(item.label, Path):
            checks.append(partial(read_mask, item.label, layout, None))
            checks.append(partial(check_same_size, item.image, item.label))
        for run_check in checks:
            try:
                run_check()
            except RepriseError as error:
                faults.append(str(error))
    if not faults and LAYOUTS[layout].kind == "classification":
        _class_ids(listing.items, listing.root)
    return faults


def main() -> None:
    """Check a course's folder and register it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("name", help="for params.yaml, datasets.<dataset>.registered_as")
    parser.add_argument("folder", type=Path, help="the unpacked archive")
    parser.add_argument("--raw", type=Path, default=RAW, help="where to register it")
    args = parser.parse_args()
    if not re.fullmatch(NAME, args.name):
        raise RepriseError(
            f"NAME={args.name:.80}: use letters, digits and _, at most 60, no _ first"
        )
    digest = register(args.name, args.folder, args.raw)
    logging.info(
        "%s: registered; in params.yaml, datasets, set registered_as: %s and sha256: %s",
        args.folder, args.name, digest,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
