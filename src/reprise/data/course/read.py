"""A hand-out as a prepared set: decoded, with roles, classes and what they are called."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reprise.data import legend
from reprise.data.course.layouts import LAYOUTS
from reprise.data.course.listing import Item, Listing
from reprise.data.course.pictures import (
    read_colour_mask,
    read_id_mask,
    read_picture,
    same_size,
)
from reprise.data.store import Prepared
from reprise.errors import RepriseError
from reprise.palette import UNKNOWN
from reprise.params import CourseSet

Bytes = NDArray[np.uint8]
LICENCE = "as the course hands it out; not to be passed on"
SOURCES = {
    "fifty": "DLCV HW1, 50 classes of 32 x 32 images",
    "office": "Office-Home, 65 classes, the course's split (DLCV HW1 and HW4)",
    "mini": "mini-ImageNet, 84 x 84, the course's 38,400 images (DLCV HW1 and HW4)",
    "satellite": "satellite tiles of 512 x 512 with DeepGlobe's classes (DLCV HW1)",
    "makeup": "CelebA, heavy make-up or none (CS6550 HW4)",
    "camvid": "CamVid, 11 classes (CS6550 HW4)",
}


def read_handout(listing: Listing, recipe: CourseSet) -> Prepared:
    """What a folder holds as a prepared set: val is the report role, `select` is cut from train.

    Raises RepriseError for the first fault of the folder.
    """
    layout = LAYOUTS[recipe.layout]
    listing.refuse()
    items = sorted(listing.items, key=lambda item: (item.split != "train", item.name))
    if not items:
        raise RepriseError(f"{listing.root}: no images here; unpack the archive again")
    images = stack(items, lambda item: read_picture(item.image, recipe.size))
    made = _maps(items, recipe) if layout.task == "segmentation" else _classes(items, listing)
    labels, classes, ignore, merged = made
    groups = labels if layout.task == "classification" else np.zeros(len(items), np.uint8)
    return Prepared(
        images=images,
        labels=labels,
        roles=roles(items, groups, recipe.select, recipe.seed),
        columns={"file": [str(item.image.relative_to(listing.root)) for item in items]},
        task=layout.task,
        classes=classes,
        source=SOURCES[recipe.layout],
        licence=LICENCE,
        note="",
        ignore=ignore,
        merged=merged,
        names=[f"train_{i.name}" if i.split == "train" else i.name for i in items],
        unlabelled=all(item.truth is None for item in items),
        wanted=("train", "select", "report") if "val" in layout.published else ("train", "select"),
    )


def roles(
    items: Sequence[Item], classes: NDArray[np.uint8], select: float, seed: int
) -> NDArray[np.str_]:
    """The val split reports; of each class of the train split a share is cut for `select`.

    An image's place in the cut is a hash of the seed and its name, so that it does not depend on
    the other images.
    """
    found = np.array(["train" if item.split == "train" else "report" for item in items], "<U6")
    draws = [hashlib.sha256(f"{seed} {item.name}".encode()).digest() for item in items]
    for number in np.unique(classes):
        rows = np.flatnonzero((classes == number) & (found == "train"))
        chosen = sorted(rows, key=lambda row: draws[row])
        found[chosen[: round(select * len(rows))]] = "select"
    return found


def stack(items: Sequence[Item], read: Callable[[Item], Bytes]) -> Bytes:
    """One array of all items. Raises RepriseError for an item of another size than the first."""
    first = read(items[0])
    array = np.empty((len(items), *first.shape), np.uint8)
    for row, item in enumerate(items):
        one = read(item)
        if one.shape != first.shape:
            raise RepriseError(
                f"{item.where}: {one.shape[0]} x {one.shape[1]} (height, width), others "
                f"{first.shape[0]} x {first.shape[1]}; set `size` in prepare.recipes"
            )
        array[row] = one
    return array


Made = tuple[Bytes, list[dict[str, object]], int | None, dict[str, object]]


def _classes(items: Sequence[Item], listing: Listing) -> Made:
    """Label ids: numbers as they are, words in alphabetical order."""
    words = sorted({str(item.truth) for item in items if item.truth is not None})
    if not words:
        return np.zeros(len(items), np.uint8), [{"id": 0, "name": "unlabelled"}], None, {}
    if all(word.isdecimal() for word in words):
        words = [str(number) for number in range(max(map(int, words)) + 1)]
        of = {word: int(word) for word in words}
        ids = [of[str(int(str(item.truth)))] for item in items]
    else:
        of = {word: number for number, word in enumerate(words)}
        ids = [of[str(item.truth)] for item in items]
    trained = {number for number, item in zip(ids, items, strict=True) if item.split == "train"}
    for number, word in enumerate(words):
        if number not in trained:
            raise RepriseError(
                f"{listing.root}: class '{word}' has no image in the train split; add some"
            )
    return np.array(ids, np.uint8), [{"id": i, "name": w} for i, w in enumerate(words)], None, {}


def _maps(items: Sequence[Item], recipe: CourseSet) -> Made:
    """Label maps, and CamVid's grouping into three classes."""
    for item in items:
        same_size(item.image, Path(str(item.truth)))
    if recipe.layout == "satellite":
        maps = stack(items, lambda item: read_colour_mask(Path(str(item.truth)), recipe.size))
        return maps, legend.coloured(legend.COURSE), UNKNOWN, {}
    void = legend.CAMVID_VOID
    maps = stack(items, lambda item: read_id_mask(Path(str(item.truth)), recipe.size, void))
    merged = {
        "classes": legend.coloured(legend.CAMVID_THREE),
        "map": list(legend.THREE_OF_CAMVID),
    }
    return maps, legend.coloured(legend.CAMVID), void, {"3": merged}
