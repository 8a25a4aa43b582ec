"""What is wrong with a course's folder, and what it contains: every file is decoded."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reprise.datasets.classes import CAMVID_VOID, UNKNOWN
from reprise.datasets.course import class_names
from reprise.datasets.label_maps import decode, open_mask
from reprise.datasets.layouts import LAYOUTS
from reprise.datasets.listing import Item, Listing
from reprise.datasets.progress import progress
from reprise.errors import RepriseError
from reprise.images import read_rgb

FEW = 12  # classes whose counts are listed one by one
ID_VALUES = 16  # a color mask whose values are all below has ids and no colors
SHOWN = 5  # pairs of identical files that are named


@dataclass(frozen=True)
class Look:
    """What was seen of an image and its label map; sizes are (width, height).

    pixels, unknown, impure: of the label map, all of them, those without a class, and those whose
    color is not exactly one of the palette. ids: whether a color mask holds ids.
    """

    size: tuple[int, int] | None = None
    problems: tuple[str, ...] = ()
    pixels: int = 0
    unknown: int = 0
    impure: int = 0
    ids: bool = False


Seen = tuple[Path, str | Path | None]  # an image and its label


@dataclass
class Findings:
    """Problems refuse a folder. Counts that are not the published ones do so unless accepted."""

    problems: list[str] = field(default_factory=list)
    wrong_counts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check(name: str, listing: Listing, seen: dict[Seen, Look] | None = None) -> Findings:
    """Everything that `prepare` would refuse in a listing of layout `name`, and its counts.

    seen: what was seen of images before, as of those that two layouts have; it is extended.
    """
    layout, findings = LAYOUTS[name], Findings(list(listing.faults))
    items, looks, seen = listing.items, list[Look](), {} if seen is None else seen
    for item in progress(items, len(items), f"{name}: images decoded"):
        key = item.image, item.label
        if key not in seen:
            seen[key] = look_at(item, name)
        looks.append(seen[key])
    findings.problems += [problem for look in looks for problem in look.problems]
    if layout.one_size:
        findings.problems += _other_sizes(items, looks)
    if layout.kind == "classification":
        findings.problems += class_names(items, listing.root)[1]
    for split, published in layout.published.items():
        rows = [row for row, item in enumerate(items) if item.split == split]
        _check_split(
            findings,
            f"{name}: {split}",
            [items[i] for i in rows],
            [looks[i] for i in rows],
            published,
        )
    return findings


def _check_split(
    findings: Findings, where: str, items: Sequence[Item], looks: Sequence[Look], published: int
) -> None:
    """Counts, classes and unknown pixels of one split."""
    findings.notes.append(f"{where}: {len(items)} of {published} images{_contents(items, looks)}")
    if not items:
        findings.problems.append(f"{where}: 0 of {published} images; unpack the archive again")
    elif len(items) != published:
        findings.wrong_counts.append(
            f"{where}: {len(items)} images, the course published {published}"
        )
    labels = {item.label for item in items if isinstance(item.label, str)}
    if len(labels) == 1:
        findings.problems.append(f"{where}: has only the class '{min(labels)}'; add the others")
    pixels, unknown = sum(look.pixels for look in looks), sum(look.unknown for look in looks)
    if pixels and unknown == pixels:
        findings.problems.append(f"{where}: every pixel is unknown; the masks have other colors")
    elif unknown > pixels / 2:
        findings.warnings.append(f"{where}: {unknown / pixels:.1%} of the pixels are unknown")
    for what, rows in (
        (
            "masks that hold ids, not colors",
            [i for i, look in zip(items, looks, strict=True) if look.ids],
        ),
        (
            "masks with colors that are not in the palette, as JPEG files have",
            [i for i, look in zip(items, looks, strict=True) if look.impure and not look.ids],
        ),
    ):
        if rows:
            findings.warnings.append(f"{where}: {what}: {len(rows)}, e.g. {rows[0].label}")


def _contents(items: Sequence[Item], looks: Sequence[Look]) -> str:
    """The number of images of each class, or the share of unknown pixels."""
    pixels = sum(look.pixels for look in looks)
    if pixels:
        return f", {sum(look.unknown for look in looks) / pixels:.2%} of the pixels unknown"
    counts = Counter(str(item.label) for item in items if item.label is not None)
    if not counts:
        return ", no labels" if items else ""
    if len(counts) <= FEW:
        return ": " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return f", {len(counts)} classes of {min(counts.values())} to {max(counts.values())}"


def look_at(item: Item, layout: str) -> Look:
    """Decode an image and its label map."""
    problems = []
    try:
        image = read_rgb(item.image, None)
        size = (image.shape[1], image.shape[0])
    except RepriseError as error:
        problems.append(str(error))
        size = None
    if not isinstance(item.label, Path):
        return Look(size, tuple(problems))
    try:
        mask = open_mask(item.label, layout)
        if size and mask.size != size:
            sizes = f"{mask.size} (width, height), its image {size}"
            problems.append(f"{item.label}: {sizes}; the sizes must be equal")
        pixels = np.asarray(mask)
        ids = decode(pixels, layout, item.label)
    except RepriseError as error:
        return Look(size, (*problems, str(error)))
    ignored = UNKNOWN if layout == "deepglobe" else CAMVID_VOID
    colors = layout == "deepglobe"
    impure = int(((pixels != 0) & (pixels != 255)).any(axis=-1).sum()) if colors else 0
    return Look(
        size,
        tuple(problems),
        ids.size,
        int((ids == ignored).sum()),
        impure,
        colors and 0 < int(pixels.max()) < ID_VALUES,
    )


def _other_sizes(items: Sequence[Item], looks: Sequence[Look]) -> Iterator[str]:
    """Images of another size than most."""
    sizes = Counter(look.size for look in looks if look.size)
    common = sizes.most_common(1)[0][0] if sizes else None
    for item, look in zip(items, looks, strict=True):
        if look.size and look.size != common:
            yield f"{item.image}: {look.size} (width, height), most are {common}; replace it"


def identical_files(listing: Listing, digests: Mapping[Path, str]) -> list[str]:
    """Lines on images that are the same file twice: across splits, across classes, and others."""
    copies: dict[str, list[Item]] = {}
    for item in listing.items:
        copies.setdefault(digests[item.image], []).append(item)
    kinds: dict[str, list[str]] = {}
    for same in copies.values():
        for item in same[1:]:
            kind = "of one class, if any"
            if item.split != same[0].split:
                kind = "in two splits"
            elif not isinstance(item.label, Path) and item.label != same[0].label:
                kind = "of two classes"
            names = [i.image.relative_to(listing.root).as_posix() for i in (same[0], item)]
            kinds.setdefault(kind, []).append(" = ".join(names))
    return [
        f"{len(pairs)} pairs of identical images {kind}: {', '.join(pairs[:SHOWN])}"
        + (f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else "")
        for kind, pairs in sorted(kinds.items())
    ]
