"""The folders that the courses hand out, one function per layout; nothing is decoded here.

Images are paired with their labels by name. Where a layout changed from year to year, the files
decide: labels as numbers or as words, csv files with or without a header, an archive that nests its
folder once more.
"""

import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from reprise.datasets.prepared import Kind
from reprise.errors import RepriseError
from reprise.images import list_images

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


@dataclass
class Listing:
    """The items of a course's folder in the order of their names, and what is wrong with it."""

    root: Path
    items: list[Item] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)  # csv files that were read
    _names: set[tuple[str, str]] = field(default_factory=set)

    def add(self, item: Item) -> None:
        """Add an item, or a fault when its split already has the name."""
        if (item.split, item.name) in self._names:
            self.faults.append(f"{item.location}: duplicate name '{item.name}'; keep one of them")
        else:
            self._names.add((item.split, item.name))
            self.items.append(item)

    def rows(self, path: Path) -> list[Row]:
        """The rows of a csv file of the folder, as `read_rows` gives them."""
        self.tables.append(path)
        return read_rows(path)

    @property
    def files(self) -> list[Path]:
        """Every image, label map and csv file, sorted."""
        maps = {item.label for item in self.items if isinstance(item.label, Path)}
        return sorted({item.image for item in self.items} | maps | set(self.tables))


@dataclass(frozen=True)
class Layout:
    """How to list a layout, what its folder holds, and the course's number of images by split."""

    add_items: Callable[[Listing], None]
    holds: tuple[str, ...]
    published: dict[str, int]
    kind: Kind = "classification"


def matching_folders(root: Path, name: str) -> list[Path]:
    """The folders of layout `name` at or below `root`, sorted."""
    holds = LAYOUTS[name].holds
    return [path for path in walk_folders(root) if all((path / file).exists() for file in holds)]


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
    listing = Listing(folders[0])
    layout.add_items(listing)
    return listing


def walk_folders(root: Path) -> Iterator[Path]:
    """`root` and the folders below it, sorted, without what macOS archivers leave behind."""
    for folder, below, _ in os.walk(root, followlinks=True):
        deep = len(Path(folder).relative_to(root).parts) >= MAX_DEPTH
        below[:] = [] if deep else sorted(b for b in below if b[0] != "." and b != "__MACOSX")
        yield Path(folder)


def read_rows(path: Path) -> list[Row]:
    """The nonempty rows of a csv file with any line ends; cells are stripped.

    Raises RepriseError when the file is missing or not text.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; copy it from the course's archive") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise RepriseError(f"{path}: not a readable csv file ({error}); copy it again") from None
    return [(line, row) for line, row in rows if any(row)]


def safe_join(folder: Path, name: str) -> Path | None:
    """The file `name` of a folder; None when the name is empty or points outside the folder."""
    parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
    rooted = PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive
    if not name or rooted or ".." in parts or "\\" in name or "\0" in name:
        return None
    return folder / name


def list_dlcv_50(listing: Listing) -> None:
    """`train_50/` and `val_50/` with `<class>_<number>.png`, and perhaps val_gt.csv."""
    for split in ("train", "val"):
        for path in list_images(listing.root / f"{split}_50"):
            label, _, number = path.stem.partition("_")
            if label.isdecimal() and number.isdecimal():
                listing.add(Item(split, path.stem, path, str(int(label)), str(path)))
            else:
                listing.faults.append(f"{path}: the name is not <class>_<number>; rename it")
    if (listing.root / "val_gt.csv").exists():
        _check_val_csv(listing, listing.root / "val_gt.csv")


def list_office_home(listing: Listing) -> None:
    """`office/train/` and `val/` with a csv file each, `id,filename,label`; numbers or words."""
    for split in ("train", "val"):
        _add_csv(listing, split, listing.root / "office")
    numbers = [item for item in listing.items if str(item.label).isdecimal()]
    words = [item for item in listing.items if not str(item.label).isdecimal()]
    fewer, kind = (words, "numbers") if len(words) < len(numbers) else (numbers, "words")
    for item in fewer if numbers and words else ():
        listing.faults.append(f"{item.location}: label '{item.label}', but other labels are {kind}")


def list_mini_imagenet(listing: Listing) -> None:
    """`mini/train/` with images, and a `train.csv` in the years that gave labels."""
    folder = listing.root / "mini"
    if (folder / "train.csv").exists():
        _add_csv(listing, "train", folder)
    else:
        for path in list_images(folder / "train"):
            listing.add(Item("train", path.stem, path, None, str(path)))


def list_deepglobe(listing: Listing) -> None:
    """`train/` and `validation/` with `xxxx_sat.jpg` and `xxxx_mask.png`."""
    for split, folder in (("train", "train"), ("val", "validation")):
        pairs: dict[str, dict[str, Path]] = {}
        for path in list_images(listing.root / folder):
            name, _, kind = path.name.rpartition("_")
            if kind in ("sat.jpg", "mask.png"):
                pairs.setdefault(name, {})[kind] = path
            else:
                listing.faults.append(f"{path}: neither xxxx_sat.jpg nor xxxx_mask.png; rename it")
        for name, files in sorted(pairs.items()):
            image, mask = files.get("sat.jpg"), files.get("mask.png")
            if image and mask:
                listing.add(Item(split, name, image, mask, str(image)))
            else:
                missing = "mask.png" if image else "sat.jpg"
                listing.faults.append(f"{image or mask}: there is no {name}_{missing}; add it")


def list_celeba_makeup(listing: Listing) -> None:
    """`train/` and `val/` with a folder for each class, as torchvision's ImageFolder reads them."""
    for split in ("train", "val"):
        for folder in sorted(path for path in (listing.root / split).iterdir() if path.is_dir()):
            for path in list_images(folder):
                name = f"{folder.name}_{path.stem}"
                listing.add(Item(split, name, path, folder.name, str(path)))


def list_camvid(listing: Listing) -> None:
    """`train.csv` and `val.csv`: image and label map, relative to the folder; a header or none."""
    for split in ("train", "val"):
        table = listing.root / f"{split}.csv"
        rows = listing.rows(table)
        has_header = rows and not rows[0][1][0].lower().endswith(".png")
        for line, cells in rows[1:] if has_header else rows:
            location = f"{table}: line {line}"
            image, mask = (
                _listed_file(listing, location, listing.root, cell) for cell in (*cells, "")[:2]
            )
            if image and mask:
                listing.add(Item(split, image.stem, image, mask, location))


LAYOUTS = {
    "dlcv_50": Layout(list_dlcv_50, ("train_50", "val_50"), {"train": 22500, "val": 2500}),
    "office_home": Layout(
        list_office_home,
        ("office/train.csv", "office/val.csv", "office/train", "office/val"),
        {"train": 3951, "val": 406},
    ),
    "mini_imagenet": Layout(list_mini_imagenet, ("mini/train",), {"train": 38400}),
    "deepglobe": Layout(
        list_deepglobe, ("train", "validation"), {"train": 2000, "val": 257}, "segmentation"
    ),
    "celeba_makeup": Layout(
        list_celeba_makeup, ("train/heavy_makeup", "val/heavy_makeup"), {"train": 2000, "val": 400}
    ),
    "camvid": Layout(
        list_camvid,
        ("train.csv", "val.csv", "trainannot", "valannot"),
        {"train": 367, "val": 101},
        "segmentation",
    ),
}


def _listed_file(listing: Listing, location: str, folder: Path, name: str) -> Path | None:
    """The file that a cell names, or None and a fault."""
    path = safe_join(folder, name)
    if path is None:
        listing.faults.append(f"{location}: '{name}' does not name a file in {folder}; correct it")
    elif not path.is_file():
        listing.faults.append(f"{location}: {path} does not exist; add the file or drop the row")
        return None
    return path


def _add_csv(listing: Listing, split: str, root: Path) -> None:
    """Add the images of the folder `split` as its csv file labels them, ordered by file name."""
    path, folder = root / f"{split}.csv", root / split
    rows = listing.rows(path)
    header = [cell.lower() for cell in rows[0][1]] if rows else []
    if "filename" not in header or "label" not in header:
        listing.faults.append(f"{path}: line 1: no header id,filename,label; add it")
        return
    name, label = header.index("filename"), header.index("label")
    listed = set()
    for line, cells in sorted(rows[1:], key=lambda row: [*row[1], *[""] * len(header)][name]):
        location = f"{path}: line {line}"
        if len(cells) != len(header):
            listing.faults.append(f"{location}: {len(cells)} cells, the header has {len(header)}")
        elif file := _listed_file(listing, location, folder, cells[name]):
            listed.add(file.name)
            if cells[label] in ("", UNLABELLED):
                listing.faults.append(f"{location}: no label (found '{cells[label]}'); add one")
            else:
                listing.add(Item(split, file.stem, file, cells[label], location))
    for file in list_images(folder):
        if file.name not in listed:
            listing.faults.append(f"{file}: not listed in {path}; add a row or remove the file")


def _check_val_csv(listing: Listing, path: Path) -> None:
    """The labels of the val split must be those of the csv file."""
    rows = {row[0]: (line, row[-1]) for line, row in listing.rows(path)[1:]}
    for item in listing.items:
        if item.split == "val" and item.image.name in rows:
            line, label = rows.pop(item.image.name)
            if label != item.label:
                fault = f"{path}: line {line}: label {label}, but the name has {item.label}"
                listing.faults.append(fault)
    for name, (line, _) in rows.items():
        listing.faults.append(f"{path}: line {line}: val_50/{name} does not exist; add the file")
