"""What is wrong with a user's images, and what they contain: every file is decoded once."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from reprise.atomic_io import sha256
from reprise.datasets.contact_sheet import COLUMNS, ROWS, small
from reprise.datasets.image_files import ImageFile, ImageFiles
from reprise.datasets.legends import COLOR_MODES, ID_MODES, Values, mask_values, open_mask
from reprise.datasets.prepared import Bytes
from reprise.datasets.progress import progress
from reprise.datasets.rows import threaded
from reprise.errors import RepriseError
from reprise.images import open_image, read_rgb

SHOWN = 5  # pairs of identical images that are named
CHUNK = 256  # images whose looks are in memory at a time
MOST_VALUES = 4096  # of a mask; one with more is not a label map


@dataclass(frozen=True)
class Look:
    """What was seen of an image and its mask.

    size: (width, height). pixels: digest of the decoded image. values: of the mask, with the number
    of pixels. small: the image for the contact sheet, where it is shown.
    """

    sha256: str = ""
    mask_sha256: str = ""
    size: tuple[int, int] = (0, 0)
    pixels: bytes = b""
    values: dict[int, int] = field(default_factory=dict)
    small: Bytes | None = None
    problems: tuple[str, ...] = ()


@dataclass
class Contents:
    """What the images of a folder contain, in their order.

    digests: sha256 of image and mask. pixels: digests of the decoded images. values: pixels of each
    value of the masks; of_images: the values of each mask. shown: images for the contact sheet with
    their masks, by class or "".
    """

    digests: list[tuple[str, str]] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    pixels: list[bytes] = field(default_factory=list)
    values: Counter[int] = field(default_factory=Counter)
    of_images: list[tuple[int, ...]] = field(default_factory=list)
    shown: dict[str, list[tuple[str, Bytes]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, item: ImageFile, look: Look) -> None:
        """Take in one more image."""
        self.digests.append((look.sha256, look.mask_sha256))
        self.sizes[look.size] += 1
        self.pixels.append(look.pixels)
        self.values.update(look.values)
        self.of_images.append(tuple(look.values))
        if look.small is not None:
            self.shown.setdefault(item.label, []).append((item.mask, look.small))
        self.problems += look.problems


def look_at_all(files: ImageFiles, name: str, colors: bool) -> Contents:
    """Decode every image and mask. colors: whether masks have colors, and not ids."""
    contents, taken = Contents(), Counter[str]()

    def jobs() -> Iterator[tuple[ImageFile, bool]]:
        for item in files.items:
            shown = taken[item.label] < COLUMNS and (item.label in taken or len(taken) < ROWS)
            taken[item.label] += shown
            yield item, shown

    def look(job: tuple[ImageFile, bool]) -> Look:
        return look_at(files.root, *job, colors)

    looks = progress(threaded(look, jobs(), CHUNK), len(files.items), f"{name}: images decoded")
    for item, one in zip(files.items, looks, strict=True):
        contents.add(item, one)
    return contents


def look_at(root: Path, item: ImageFile, shown: bool, colors: bool) -> Look:
    """Decode one image and its mask."""
    path = root / item.file
    try:
        image = read_rgb(path, None)
        size = (image.shape[1], image.shape[0])
        digest = hashlib.sha256(b"%d" % image.shape[1])
        digest.update(image.data)
        kept = small(image) if shown else None
        look = Look(sha256(path), "", size, digest.digest()[:16], small=kept)
    except (RepriseError, OSError) as error:
        return Look(problems=(str(error),))
    if not item.mask:
        return look
    mask = root / item.mask
    try:
        opened = open_mask(mask, colors)
        values = _counts(mask_values(opened))
    except (RepriseError, OSError) as error:
        return replace(look, problems=(str(error),))
    problems = []
    if opened.size != size:
        sizes = f"{opened.size} (width, height), its image {size}"
        problems.append(f"{mask}: {sizes}; the sizes must be equal")
    if len(values) > MOST_VALUES:
        problems.append(f"{mask}: has {len(values)} values; save masks as PNG files")
        values = {}
    return replace(look, mask_sha256=sha256(mask), values=values, problems=tuple(problems))


def _counts(values: Values) -> dict[int, int]:
    """The number of pixels of each value of a mask."""
    if values.max(initial=0) < 2**16:
        counts = np.bincount(values.ravel())
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    distinct, numbers = np.unique(values, return_counts=True)
    return dict(zip(distinct.tolist(), numbers.tolist(), strict=True))


def masks_have_colors(files: ImageFiles) -> bool:
    """Whether the first mask that can be decoded has colors; one with a palette has ids."""
    for item in files.items:
        try:
            mode = open_image(files.root / item.mask).mode
        except RepriseError:
            continue
        return mode in COLOR_MODES and mode not in ID_MODES
    return False


def identical_images(
    items: Sequence[ImageFile], pixels: Sequence[bytes]
) -> tuple[list[ImageFile], list[str]]:
    """The images with those of identical pixels in one group, and lines on such images.

    Images of two splits that folders or a csv file name stay in their groups.
    """
    same: dict[bytes, list[int]] = {}
    for row, digest in enumerate(pixels):
        if digest:
            same.setdefault(digest, []).append(row)
    kinds: dict[str, list[str]] = {}
    renamed: dict[str, str] = {}

    def root(group: str) -> str:
        while group in renamed:
            group = renamed[group]
        return group

    for rows in same.values():
        first = items[rows[0]]
        for item in (items[row] for row in rows[1:]):
            kind = "of one class, if any"
            if item.split != first.split:
                kind = "in two splits"
            elif item.label != first.label:
                kind = "of two classes"
            kinds.setdefault(kind, []).append(f"{first.file} = {item.file}")
            one, other = root(first.group or first.id), root(item.group or item.id)
            if item.split == first.split and one != other:
                renamed[max(one, other)] = min(one, other)
    lines = [
        f"{len(pairs)} pairs of identical images {kind}: {', '.join(pairs[:SHOWN])}"
        + (f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else "")
        for kind, pairs in sorted(kinds.items())
    ]
    if not renamed:
        return list(items), lines
    return [replace(item, group=root(item.group or item.id)) for item in items], lines
