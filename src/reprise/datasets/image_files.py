"""A user's own images as a list: class folders, a csv file, images with masks, or images alone.

Nothing is decoded here. Every fault is a line; a folder is refused with all of them at once.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from reprise.datasets.prepared import SPLITS
from reprise.datasets.tables import Row, cell_fault, class_label, read_rows
from reprise.errors import RepriseError
from reprise.images import IMAGE_SUFFIXES, LITTER, check_utf8, list_folders

ImageKind = Literal["classification", "segmentation", "unlabelled"]
SPLIT_NAMES = {name: name for name in SPLITS} | {"valid": "val", "validation": "val"}
IMAGE_FOLDERS = {"image", "images", "img", "imgs", "img_dir", "jpegimages"}
MASK_FOLDERS = {
    "mask", "masks", "label", "labels", "annotation", "annotations", "ann", "ann_dir", "gt",
    "segmentationclass",
}  # fmt: skip
MASK_ENDINGS = ("_mask", "_masks", "_label", "_labels", "_gt", "_seg")
# columns of a csv file, and other names for them
COLUMNS = {
    "path": ("path", "file", "filename", "image"),
    "label": ("label", "class"),
    "mask": ("mask",),
    "split": ("split",),
    "group": ("group",),
}
LONGEST_ID = 200  # bytes; an id becomes a file name


@dataclass(frozen=True)
class ImageFile:
    """An image: its file, relative to the folder, and what is said of it; "" where nothing is.

    location: where it is listed, for messages.
    """

    file: str
    location: str
    label: str = ""
    mask: str = ""
    split: str = ""
    group: str = ""

    @property
    def id(self) -> str:
        """Its name in the prepared dataset."""
        path = PurePosixPath(self.file)
        folders = [folder for folder in path.parts[:-1] if folder.lower() not in IMAGE_FOLDERS]
        return "_".join([*folders, path.stem])


@dataclass
class ImageFiles:
    """The images of a folder in the order of their names; what is wrong, and what may be."""

    root: Path
    kind: ImageKind
    items: list[ImageFile]
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def list_image_files(path: Path, kind: ImageKind | None = None) -> ImageFiles:
    """The images of a folder or of a csv file; without `kind` what is there decides.

    Raises RepriseError for a path that is neither, and for two csv files that list images.
    """
    if path.is_file() and path.suffix.lower() == ".csv":
        return _checked(_from_csv(path, read_rows(path), kind))
    if not path.is_dir():
        raise RepriseError(f"{path}: is not a directory, archive or csv file; pass your images")
    root = _below(path)
    tables = {file: rows for file in sorted(root.glob("*.csv")) if (rows := _image_rows(file))}
    if len(tables) > 1:
        names = " and ".join(file.name for file in tables)
        raise RepriseError(f"{root}: {names} both list images; pass one of them as PATH")
    for file, rows in tables.items():
        return _checked(_from_csv(file, rows, kind))
    faults: list[str] = []
    files = list(_files(root, faults))
    if kind is None:
        folders = {folder.lower() for file in files for folder in PurePosixPath(file).parts[:-1]}
        pairs = folders & IMAGE_FOLDERS and folders & MASK_FOLDERS
        in_classes = sum(bool(_class_of(file)[1]) for file in files) * 2 > len(files)
        kind = "segmentation" if pairs else "classification" if in_classes else "unlabelled"
    ways = {"classification": _in_class_folders, "segmentation": _with_masks, "unlabelled": _alone}
    listed = ways[kind](root, files, faults)
    warnings = _empty_classes(root, listed) if kind == "classification" else []
    return _checked(ImageFiles(root, kind, listed, faults, warnings))


def _empty_classes(root: Path, items: list[ImageFile]) -> list[str]:
    """Lines on folders that would be a class, but hold no image."""
    tops = [root, *(folder for folder in list_folders(root) if folder.name.lower() in SPLIT_NAMES)]
    classes = {item.label for item in items}
    return [
        f"{folder}: no image in it ({', '.join(IMAGE_SUFFIXES)}), so it is not a class"
        for folder in (folder for top in tops for folder in list_folders(top))
        if _class_of((folder / "image").relative_to(root).as_posix())[1] not in {"", *classes}
    ]


def _below(root: Path) -> Path:
    """The folder in which images begin: archives nest one in another."""
    while True:
        visible = [p for p in sorted(root.iterdir()) if p.name[0] != "." and p.name != LITTER]
        name = visible[0].name.lower() if visible else ""
        special = name in SPLIT_NAMES or name in IMAGE_FOLDERS | MASK_FOLDERS
        if len(visible) != 1 or special or not visible[0].is_dir():
            return root
        if not any(p.is_dir() for p in visible[0].iterdir()):
            return root  # one class, or images alone
        root = visible[0]


def _files(root: Path, faults: list[str]) -> Iterator[str]:
    """The image files at and below a folder, relative to it; each folder is visited once."""
    visited = set()
    for parent, folders, names in os.walk(root, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if name[0] != "." and name != LITTER)
        place = Path(parent).relative_to(root)
        for name in sorted(names):
            if name[0] == "." or not name.lower().endswith(IMAGE_SUFFIXES):
                continue
            try:
                check_utf8(root, (place / name).as_posix())
            except RepriseError as error:
                faults.append(str(error))
            else:
                yield (place / name).as_posix()


def _class_of(file: str) -> tuple[str, str]:
    """The split and the class that the folders of a file name; "" where they name none."""
    folders = PurePosixPath(file).parts[:-1]
    split = SPLIT_NAMES.get(folders[0].lower(), "") if folders else ""
    below = folders[1:] if split else folders
    return split, below[0] if below else ""


def _in_class_folders(root: Path, files: list[str], faults: list[str]) -> list[ImageFile]:
    items = []
    for file in files:
        split, label = _class_of(file)
        if label:
            items.append(ImageFile(file, str(root / file), label, split=split))
        else:
            faults.append(f"{root / file}: is in no folder of a class; move it into one")
    return items


def _alone(root: Path, files: list[str], faults: list[str]) -> list[ImageFile]:
    return [ImageFile(file, str(root / file), split=_class_of(file)[0]) for file in files]


def _with_masks(root: Path, files: list[str], faults: list[str]) -> list[ImageFile]:
    """Images and masks with equal stems, in equal folders but for the names of IMAGE_FOLDERS."""
    images: dict[str, str] = {}
    masks: dict[str, str] = {}
    for file in files:
        path = PurePosixPath(file)
        folders = [folder.lower() for folder in path.parts[:-1]]
        stem, is_mask = path.stem, bool(MASK_FOLDERS & set(folders))
        for ending in MASK_ENDINGS:
            if stem.endswith(ending):
                stem, is_mask = stem.removesuffix(ending), True
                break
        special = IMAGE_FOLDERS | MASK_FOLDERS
        kept = [folder for folder in path.parts[:-1] if folder.lower() not in special]
        key = "/".join([*kept, stem])
        other = (masks if is_mask else images).setdefault(key, file)
        if other != file:
            faults.append(f"{root / file}: {other} has the same name; keep one of them")
    items = []
    for key, file in images.items():
        if key in masks:
            parts = [folder.lower() for folder in PurePosixPath(file).parts[:-1]]
            split = next((SPLIT_NAMES[folder] for folder in parts if folder in SPLIT_NAMES), "")
            items.append(ImageFile(file, str(root / file), mask=masks[key], split=split))
        else:
            faults.append(f"{root / file}: has no mask of that name; add it")
    faults += [
        f"{root / file}: has no image of that name; add it"
        for key, file in masks.items()
        if key not in images
    ]
    return items


def _image_rows(file: Path) -> list[Row] | None:
    """The rows of a csv file whose header has a path and something that is said of it."""
    rows = read_rows(file)
    columns = _columns(rows[0][1]) if rows else {}
    return rows if "path" in columns and len(columns) > 1 else None


def _columns(header: list[str]) -> dict[str, int]:
    """Where the columns of COLUMNS are in a header."""
    names = [cell.lower() for cell in header]
    places = {
        column: next((names.index(name) for name in others if name in names), -1)
        for column, others in COLUMNS.items()
    }
    return {column: place for column, place in places.items() if place >= 0}


def _from_csv(file: Path, rows: list[Row], kind: ImageKind | None) -> ImageFiles:
    """The images of a csv file, relative to its folder."""
    columns = _columns(rows[0][1]) if rows else {}
    if "path" not in columns:
        raise RepriseError(f"{file}: line 1: no column path; write the header path,label")
    if kind is None:
        labelled: ImageKind = "classification" if "label" in columns else "unlabelled"
        kind = "segmentation" if "mask" in columns else labelled
    if kind == "segmentation" and "mask" not in columns and "label" in columns:
        columns["mask"] = columns["label"]
    needed = {"classification": "label", "segmentation": "mask"}.get(kind, "path")
    if needed not in columns:
        raise RepriseError(f"{file}: line 1: no column {needed}, which KIND={kind} needs; add it")
    if kind != "classification":
        columns.pop("label", None)
    items, faults = list[ImageFile](), list[str]()
    for line, cells in rows[1:]:
        location = f"{file}: line {line}"
        if len(cells) != len(rows[0][1]):
            faults.append(f"{location}: {len(cells)} cells, the header has {len(rows[0][1])}")
            continue
        item = _row(location, {column: cells[place] for column, place in columns.items()})
        files = [item.file, *([item.mask] if kind == "segmentation" else [])]
        problems = [cell_fault(location, file.parent, name) for name in files]
        problems += [_value_fault(item, cells[columns[c]], c) for c in columns.keys() - {"path"}]
        faults += sorted(problem for problem in problems if problem)
        if not any(problems):
            items.append(item)
    return ImageFiles(file.parent, kind, sorted(items, key=lambda item: item.file), faults)


def _row(location: str, values: dict[str, str]) -> ImageFile:
    """The image of a row; a split is in its short form, or as it is written."""
    split = values.get("split", "")
    return ImageFile(
        values["path"],
        location,
        label=class_label(values.get("label", "")),
        mask=values.get("mask", ""),
        split=SPLIT_NAMES.get(split.lower(), split),
        group=values.get("group", ""),
    )


def _value_fault(item: ImageFile, text: str, column: str) -> str | None:
    """What is wrong with a cell of a column other than path."""
    if not text:
        return f"{item.location}: no {column}; fill the cell, or remove the column"
    if column == "split" and item.split not in SPLITS:
        return f"{item.location}: split '{text}'; use train, val or test"
    return None


def _checked(files: ImageFiles) -> ImageFiles:
    """The same with the faults that concern several images."""
    items, faults = files.items, files.faults
    if not items:
        faults.append(f"{files.root}: 0 images ({', '.join(IMAGE_SUFFIXES)}); pass their folder")
        return files
    counts = Counter(item.id for item in items)
    for item in items:
        if counts[item.id] > 1:
            faults.append(f"{item.location}: another image is named '{item.id}' too; rename one")
        elif len(item.id.encode()) > LONGEST_ID:
            faults.append(f"{item.location}: the name is too long; shorten it")
    named = {item.split for item in items}
    if "" in named and len(named) > 1:
        without = next(item for item in items if not item.split)
        faults.append(
            f"{without.location}: is in no split, but others are in {min(named - {''})}; move it"
        )
    elif "" not in named and "train" not in named:
        faults.append(f"{files.root}: no image is in the split train; add some")
    first: dict[str, ImageFile] = {}
    for item in items:
        other = first.setdefault(item.group, item) if item.group else item
        if other.split != item.split:
            faults.append(
                f"{item.location}: group '{item.group}' is in the splits {other.split} and "
                f"{item.split}; a group must be in one split"
            )
    return files
