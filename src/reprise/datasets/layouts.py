"""The folders that the courses hand out, one function per layout; nothing is decoded here.

Images are paired with their labels by name. Where a layout changed from year to year, the files
decide: labels as numbers or as words, csv files with or without a header, an archive that nests its
folder once more.
"""

import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from reprise.atomic_io import check_file
from reprise.datasets.prepared import MAX_CLASSES, Kind
from reprise.errors import RepriseError
from reprise.images import check_utf8, list_images

MAX_DEPTH = 4  # archives nest a folder in one of the same name
UNLABELLED = "None"  # the label in csv files of hidden test data
Row = tuple[int, list[str]]  # line of the file, from 1, and its cells


@dataclass(frozen=True)
class Item:
    """One image.

    split: the course's, "train" or "val". label: the class, the file of the label map, or None for
    an unlabelled image. location: where the item is listed, for messages.
    """

    split: str
    name: str
    image: Path
    label: str | Path | None
    location: str


@dataclass(frozen=True)
class Listing:
    """The items of a course's folder in the order of their names, and what is wrong with it."""

    root: Path
    items: list[Item]
    faults: list[str]
    tables: list[Path]  # csv files that were read

    @property
    def files(self) -> list[Path]:
        """Every image, label map and csv file, sorted."""
        maps = {item.label for item in self.items if isinstance(item.label, Path)}
        return sorted({item.image for item in self.items} | maps | set(self.tables))


Entries = Iterator[Item | Path | str]  # items, csv files that were read, and faults


@dataclass(frozen=True)
class Layout:
    """How to list a layout, what its folder holds, and the course's number of images by split."""

    find: Callable[[Path], Entries]
    holds: tuple[str, ...]
    published: dict[str, int]
    kind: Kind = "classification"


def matching_folders(root: Path, name: str) -> list[Path]:
    """The folders of layout `name` at or below `root`, sorted."""
    folders = []
    for parent, below, _ in os.walk(root, followlinks=True):
        folder = Path(parent)
        deep = len(folder.relative_to(root).parts) >= MAX_DEPTH
        # without what macOS archivers leave behind
        below[:] = [] if deep else sorted(b for b in below if b[0] != "." and b != "__MACOSX")
        if all(os.path.exists(folder / file) for file in LAYOUTS[name].holds):
            folders.append(folder)
    return folders


def list_folder(root: Path, name: str) -> Listing:
    """The items of layout `name` at or below `root`.

    Raises RepriseError when it is not there, or more than once.
    """
    folders, layout = matching_folders(root, name), LAYOUTS[name]
    if not folders:
        holds = ", ".join(layout.holds)
        raise RepriseError(f"{root}: no folder here holds {holds}; unpack the archive")
    if len(folders) > 1:
        raise RepriseError(
            f"{root}: {folders[0]} and {folders[1]} both have the layout {name}; pass one of them"
        )
    items: dict[tuple[str, str], Item] = {}
    faults, tables = [], []
    for entry in layout.find(folders[0]):
        if isinstance(entry, str):
            faults.append(entry)
        elif isinstance(entry, Path):
            tables.append(entry)
        elif items.setdefault((entry.split, entry.name), entry) is not entry:
            faults.append(f"{entry.location}: duplicate name '{entry.name}'; keep one of them")
    return Listing(folders[0], list(items.values()), faults, tables)


def read_rows(path: Path) -> list[Row]:
    """The nonempty rows of a csv file with any line ends; cells are stripped.

    Raises RepriseError when the file is missing or not text.
    """
    check_file(path, "copy it from the course's archive")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RepriseError(f"{path}: not a readable csv file ({error}); copy it again") from None
    return [(line, row) for line, row in rows if any(row)]


def safe_join(folder: Path, name: str) -> Path | None:
    """The file `name` of a folder; None when the name is empty or points outside the folder."""
    path = PureWindowsPath(name)  # it knows the roots and separators of all systems
    outside = path.anchor or ".." in path.parts or "\\" in name or "\0" in name
    return None if outside or not name else folder / name


def class_number(label: str) -> int | None:
    """The class id that a label of digits is; None if it is another text, or too large."""
    short = label.isdecimal() and len(label) < 10
    return int(label) if short and int(label) < MAX_CLASSES else None


def find_dlcv_50(root: Path) -> Entries:
    """`train_50/` and `val_50/` with `<class>_<number>.png`, and perhaps val_gt.csv."""
    labels = {}
    for split in ("train", "val"):
        for path in list_images(root / f"{split}_50"):
            label, _, number = path.stem.partition("_")
            class_id = class_number(label)
            if class_id is not None and number.isdecimal():
                labels[f"{split}/{path.name}"] = str(class_id)
                yield Item(split, path.stem, path, str(class_id), str(path))
            else:
                yield f"{path}: the name is not <class 0 to 255>_<number>; rename it"
    table = root / "val_gt.csv"
    if os.path.lexists(table):
        yield table
        for line, cells in read_rows(table)[1:]:
            expected = labels.get(f"val/{cells[0]}")
            if expected is None:
                yield f"{table}: line {line}: val_50/{cells[0]} does not exist; add the file"
            elif cells[-1] != expected:
                yield f"{table}: line {line}: label {cells[-1]}, but the name has {expected}"


def find_office_home(root: Path) -> Entries:
    """`office/train/` and `val/` with a csv file each, `id,filename,label`; numbers or words."""
    kinds: dict[str, list[Item]] = {"numbers": [], "words": []}
    for split in ("train", "val"):
        for entry in _find_in_csv(root / "office", split):
            yield entry
            if isinstance(entry, Item):
                kinds["numbers" if str(entry.label).isdecimal() else "words"].append(entry)
    fewer, more = sorted(kinds, key=lambda kind: len(kinds[kind]))
    for item in kinds[fewer]:
        yield f"{item.location}: label '{item.label}', but other labels are {more}"


def find_mini_imagenet(root: Path) -> Entries:
    """`mini/train/` with images, and a `train.csv` in the years that gave labels."""
    if os.path.lexists(root / "mini" / "train.csv"):
        yield from _find_in_csv(root / "mini", "train")
    else:
        for path in list_images(root / "mini" / "train"):
            yield Item("train", path.stem, path, None, str(path))


def find_deepglobe(root: Path) -> Entries:
    """`train/` and `validation/` with `xxxx_sat.jpg` and `xxxx_mask.png`."""
    for split, folder in (("train", "train"), ("val", "validation")):
        files = {path.name: path for path in list_images(root / folder)}
        for file, path in files.items():
            name, _, kind = file.rpartition("_")
            other = {"sat.jpg": f"{name}_mask.png", "mask.png": f"{name}_sat.jpg"}.get(kind)
            if other is None:
                yield f"{path}: neither xxxx_sat.jpg nor xxxx_mask.png; rename it"
            elif other not in files:
                yield f"{path}: there is no {other}; add it"
            elif kind == "sat.jpg":
                yield Item(split, name, path, files[other], str(path))


def find_celeba_makeup(root: Path) -> Entries:
    """`train/` and `val/` with a folder for each class, as torchvision's ImageFolder reads them."""
    for split in ("train", "val"):
        for folder in sorted(path for path in (root / split).iterdir() if path.is_dir()):
            check_utf8(root / split, folder.name)
            for path in list_images(folder):
                yield Item(split, f"{folder.name}_{path.stem}", path, folder.name, str(path))


def find_camvid(root: Path) -> Entries:
    """`train.csv` and `val.csv`: image and label map, relative to the folder; a header or none."""
    for split in ("train", "val"):
        table = root / f"{split}.csv"
        yield table
        rows = read_rows(table)
        has_header = rows and not rows[0][1][0].lower().endswith(".png")
        for line, cells in rows[1:] if has_header else rows:
            location, names = f"{table}: line {line}", (*cells, "")[:2]
            faults = [_cell_fault(location, root, name) for name in names]
            if any(faults):
                yield from filter(None, faults)
            else:
                image, mask = (root / name for name in names)
                yield Item(split, image.stem, image, mask, location)


LAYOUTS = {
    "dlcv_50": Layout(find_dlcv_50, ("train_50", "val_50"), {"train": 22500, "val": 2500}),
    "office_home": Layout(
        find_office_home,
        ("office/train.csv", "office/val.csv", "office/train", "office/val"),
        {"train": 3951, "val": 406},
    ),
    "mini_imagenet": Layout(find_mini_imagenet, ("mini/train",), {"train": 38400}),
    "deepglobe": Layout(
        find_deepglobe, ("train", "validation"), {"train": 2000, "val": 257}, "segmentation"
    ),
    "celeba_makeup": Layout(
        find_celeba_makeup, ("train/heavy_makeup", "val/heavy_makeup"), {"train": 2000, "val": 400}
    ),
    "camvid": Layout(
        find_camvid,
        ("train.csv", "val.csv", "trainannot", "valannot"),
        {"train": 367, "val": 101},
        "segmentation",
    ),
}


def _cell_fault(location: str, folder: Path, name: str) -> str | None:
    """What is wrong with a cell that names a file of a folder, if anything."""
    path = safe_join(folder, name)
    if path is None:
        return f"{location}: '{name}' does not name a file in {folder}; correct it"
    missing = f"{location}: {path} does not exist; add the file or drop the row"
    return None if os.path.isfile(path) else missing


def _find_in_csv(root: Path, split: str) -> Entries:
    """The images of the folder `split` as its csv file labels them, ordered by file name."""
    path, folder = root / f"{split}.csv", root / split
    yield path
    rows = read_rows(path)
    header = [cell.lower() for cell in rows[0][1]] if rows else []
    if "filename" not in header or "label" not in header:
        yield f"{path}: line 1: no header id,filename,label; add it"
        return
    name, label = header.index("filename"), header.index("label")
    listed = set()
    for line, cells in sorted(rows[1:], key=lambda row: [*row[1], *[""] * len(header)][name]):
        location = f"{path}: line {line}"
        if len(cells) != len(header):
            yield f"{location}: {len(cells)} cells, the header has {len(header)}"
        elif fault := _cell_fault(location, folder, cells[name]):
            yield fault
        else:
            file = folder / cells[name]
            listed.add(file.name)
            if cells[label] in ("", UNLABELLED):
                yield f"{location}: no label (found '{cells[label]}'); add one"
            elif cells[label].isdecimal() and class_number(cells[label]) is None:
                yield f"{location}: label {cells[label]:.20}: numbers of classes are 0 to 255"
            else:
                yield Item(split, file.stem, file, cells[label], location)
    for file in list_images(folder):
        if file.name not in listed:
            yield f"{file}: not listed in {path}; add a row or remove the file"
