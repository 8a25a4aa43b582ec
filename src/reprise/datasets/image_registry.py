"""`make data` with a user's own images: checked, listed, linked, and shown on a contact sheet.

Three things are written to data/raw/: a link NAME to the folder; NAME.csv, a row for each image
with its sha256 and what is said of it, whose own sha256 in params.yaml identifies the data of a
run; and NAME.png, to look at.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from reprise.atomic_io import atomic_file, refuse_overwrite, sha256, write_csv, writing
from reprise.datasets.archives import unpack
from reprise.datasets.contact_sheet import contact_sheet, painted, small
from reprise.datasets.image_checks import (
    Contents,
    identical_images,
    look_at_all,
    masks_have_colors,
)
from reprise.datasets.image_files import ImageFile, ImageFiles, ImageKind, list_image_files
from reprise.datasets.images import COLUMNS
from reprise.datasets.legends import (
    Decoder,
    Value,
    as_number,
    as_text,
    class_colors,
    generated_legend,
    mask_values,
    open_mask,
    read_legend,
)
from reprise.datasets.prepared import MAX_CLASSES
from reprise.datasets.registry import check_name, link_folder, refuse, warn_of_replacement
from reprise.datasets.tables import RAW
from reprise.errors import RepriseError, one_line

LEGEND = "legend.csv"  # in the folder of the images


@dataclass(frozen=True)
class ImageOptions:
    """What a user says of the images; legend, ignore: as of `ImagesDataset`.

    crop: the side of the squares that are cut from the images, if any.
    """

    kind: ImageKind | None = None
    legend: dict[str, Value] = field(default_factory=dict)
    ignore: list[Value] = field(default_factory=list)
    crop: int | None = None


@dataclass(frozen=True)
class RegisteredImages:
    """Registered images: their name, the sha256 of their list, and what is known of them.

    side: the median of the shorter sides, in pixels. values: of each mask.
    """

    name: str
    digest: str
    kind: ImageKind
    items: list[ImageFile]
    side: int
    legend: dict[str, Value]
    ignore: list[Value]
    values: list[tuple[int, ...]]


def register_images(
    path: Path,
    name: str,
    options: ImageOptions,
    raw: Path = RAW,
    check: Callable[[ImageKind], None] = lambda kind: None,
    check_items: Callable[[ImageKind, list[ImageFile]], None] = lambda kind, items: None,
) -> RegisteredImages:
    """Check the images of a folder, an archive or a csv file, then list and link them.

    check: of the kind of images, before they are read; check_items: of the images, before anything
    is written. They raise RepriseError for what is not wanted.
    Raises RepriseError for any problem, after the first ones are logged; then nothing is written.
    """
    check_name(name, raw)
    if path.is_file() and path.suffix.lower() != ".csv":
        path = unpack(path, raw / "unpacked")
    files = list_image_files(path, options.kind)
    check(files.kind)
    folder = files.root.resolve()
    if folder in raw.resolve().parents:
        raise RepriseError(f"{path}: contains {raw}, which links to folders; pass the images' own")
    legend, ignore = options.legend, options.ignore
    if files.kind == "segmentation" and not legend and (files.root / LEGEND).is_file():
        legend, ignore = read_legend(files.root / LEGEND)
    known = [as_number(value) for value in [*legend.values(), *ignore]]
    colors = bool(legend) and Decoder(legend, ignore).colors
    if files.kind == "segmentation" and not legend:
        colors = masks_have_colors(files)
    contents = look_at_all(files, name, colors)
    problems = files.faults + contents.problems + _crop_problems(contents, options.crop)
    if files.kind == "segmentation" and not legend and not problems:
        try:
            legend, ignore = generated_legend(contents.values, colors)
        except RepriseError as error:
            problems.append(f"{files.root}: {error}")
    elif files.kind == "segmentation":
        problems += _outside(files, contents, known, colors)
    if files.kind == "classification":
        problems += _class_problems(files)
    refuse(path, problems)
    items, lines = identical_images(files.items, contents.pixels)
    check_items(files.kind, items)
    lines += _empty_masks(items, contents, [as_number(value) for value in ignore])
    for line in files.warnings + lines:
        logging.warning("%s: %s", name, one_line(line))
    digest = _write(files, items, contents, name, raw)
    sides = [side for size, count in contents.sizes.items() for side in [min(size)] * count]
    _write_sheet(raw / f"{name}.png", files, contents, legend, ignore)
    return RegisteredImages(
        name, digest, files.kind, items, int(np.median(sides)), legend, ignore, contents.of_images
    )


def _crop_problems(contents: Contents, crop: int | None) -> list[str]:
    small_ones = {size: n for size, n in contents.sizes.items() if 0 < min(size) < (crop or 0)}
    if not small_ones:
        return []
    least = min(small_ones, key=min)
    return [
        f"{sum(small_ones.values())} images are smaller than the crop of {crop} pixels, such as "
        f"{least[0]} x {least[1]}; use a smaller SIZE, or RESIZE=cover"
    ]


def _outside(
    files: ImageFiles, contents: Contents, known: Sequence[int], colors: bool
) -> list[str]:
    """Values of masks that are not in the legend, each with the first mask that has it."""
    problems = []
    for value in sorted(contents.values.keys() - set(known)):
        rows = [row for row, values in enumerate(contents.of_images) if value in values]
        first = files.root / files.items[rows[0]].mask
        problems.append(
            f"{first}: has {as_text(value, colors)}, which is not in the legend (masks with it: "
            f"{len(rows)}); add it, or add it to ignore"
        )
    return problems


def _class_problems(files: ImageFiles) -> list[str]:
    """What is wrong with the classes of images."""
    names = sorted({item.label for item in files.items})
    problems = []
    if len(names) == 1:
        problems.append(f"{files.root}: has only the class '{names[0]}'; add the others")
    if len(names) > MAX_CLASSES:
        problems.append(f"{files.root}: {len(names)} classes; at most {MAX_CLASSES} are supported")
    same = {name.lower(): name for name in names}
    problems += [
        f"{files.root}: classes '{name}' and '{same[name.lower()]}' differ only in case; use one"
        for name in names
        if same[name.lower()] != name
    ]
    problems += [
        f"{files.root}: class {name!a} has characters that are not shown; rename it"
        for name in names
        if not name.isprintable()
    ]
    trained = {item.label for item in files.items if item.split in ("", "train")}
    problems += [
        f"{files.root}: class '{name}' has no image in the train split; add some"
        for name in names
        if name not in trained
    ]
    return problems


def _empty_masks(
    items: Sequence[ImageFile], contents: Contents, ignored: Sequence[int]
) -> list[str]:
    """Lines on masks without a labelled pixel, and on masks of one class only."""
    masks = [(item.mask, values) for item, values in zip(items, contents.of_images, strict=True)]
    empty = [mask for mask, values in masks if values and not set(values) - set(ignored)]
    single = [mask for mask, values in masks if len(set(values) - set(ignored)) == 1]
    lines = [f"masks without a labelled pixel: {len(empty)}, such as {empty[0]}"] if empty else []
    if single:
        lines.append(f"masks with one class only: {len(single)}, such as {single[0]}")
    return lines


def _write(
    files: ImageFiles, items: Sequence[ImageFile], contents: Contents, name: str, raw: Path
) -> str:
    """Write the list and the link; the list's sha256."""
    table, link, folder = raw / f"{name}.csv", raw / name, files.root.resolve()
    refuse_overwrite([table], [files.root / item.file for item in items])
    rows = [
        (item.file, item.label, item.mask, item.split, item.group, *digests)
        for item, digests in zip(items, contents.digests, strict=True)
    ]
    warn_of_replacement(link, folder)
    write_csv(table, pd.DataFrame(rows, columns=list(COLUMNS)))
    link_folder(link, folder)
    return sha256(table)


def _write_sheet(
    path: Path, files: ImageFiles, contents: Contents, legend: dict[str, Value],
    ignore: list[Value],
) -> None:  # fmt: skip
    """Write the contact sheet: a row for each class, or images with their masks."""
    rows = [
        (f"{label} ({count})" if label else f"{count} images", [image for _, image in shown])
        for label, shown in sorted(contents.shown.items())
        for count in [sum(item.label == label for item in files.items)]
    ]
    if legend:
        decoder, colors = Decoder(legend, ignore), class_colors(legend, {})
        names = [mask for mask, _ in contents.shown[""]]
        masks = [open_mask(files.root / mask, decoder.colors) for mask in names]
        ids = [
            decoder.decode(mask_values(mask), files.root / name)
            for mask, name in zip(masks, names, strict=True)
        ]
        rows.append(("masks", [small(painted(image, colors)) for image in ids]))
        patches = [np.full((24, 96, 3), color, np.uint8) for color in colors]
        for start in range(0, len(patches), 8):
            rows.append((", ".join([*legend][start : start + 8]), patches[start : start + 8]))
    with writing(path), atomic_file(path) as temporary:
        contact_sheet(rows).save(temporary, "PNG")


def log_counts(
    registered: RegisteredImages, splits: Sequence[str], classes: Sequence[tuple[str, int]]
) -> None:
    """Log the images of each class in each split, and the classes that a split lacks.

    classes: names and values of the masks' classes; empty for images with a class each.
    """
    names = dict((value, name) for name, value in classes)
    for split in sorted(set(splits), key=["train", "val", "test"].index):
        counts: Counter[str] = Counter()
        rows = [row for row, other in enumerate(splits) if other == split]
        for row in rows:
            labels = [registered.items[row].label] if not names else [
                names[value] for value in registered.values[row] if value in names
            ]  # fmt: skip
            counts.update(label for label in labels if label)
        shown = ", ".join(f"{name} {count}" for name, count in sorted(counts.items())[:20])
        more = f" and {len(counts) - 20} more classes" if len(counts) > 20 else ""
        contents = f": {shown}{more}" if counts else ""
        logging.info("%s: %s: %d images%s", registered.name, split, len(rows), contents)
        known = [*names.values()] or sorted({i.label for i in registered.items if i.label})
        if lacking := [name for name in known if not counts[name]]:
            logging.warning("%s: the %s split lacks: %s", registered.name, split,
                            one_line("; ".join(lacking), 300))  # fmt: skip
