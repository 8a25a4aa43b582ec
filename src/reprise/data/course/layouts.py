"""The courses' folders, one function a layout; images and truths are paired by name.

Where a layout changed from year to year, what is there decides: labels as numbers or as words,
csv files with or without a header, an archive that nests its folder once more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reprise.data.course.listing import Item, Listing, Row, folders, images, inside
from reprise.errors import RepriseError

Task = Literal["classification", "segmentation"]
UNLABELLED = "None"  # what the hidden sets' csv files say


@dataclass(frozen=True)
class Layout:
    """A layout: what a folder of it holds, the published numbers, how it is listed."""

    task: Task
    holds: tuple[str, ...]
    published: dict[str, int]
    classes: int
    list: Callable[[Path], Listing]


def find(root: Path, name: str) -> Path:
    """The folder of layout `name` at or below `root`.

    Raises RepriseError when there is none, or more than one.
    """
    holds = LAYOUTS[name].holds
    found = [place for place in folders(root) if all((place / part).exists() for part in holds)]
    if not found:
        raise RepriseError(f"{root}: no folder here holds {', '.join(holds)}; unpack the archive")
    if len(found) > 1:
        raise RepriseError(f"{root}: {found[0]} and {found[1]} are both of layout {name}; name one")
    return found[0]


def listing_of(root: Path, name: str) -> Listing:
    """What a folder holds of layout `name`. Raises RepriseError when it is not there (`find`)."""
    return LAYOUTS[name].list(find(root, name))


def list_fifty(root: Path) -> Listing:
    """`train_50/` and `val_50/` with `<class>_<number>.png`; val_gt.csv, if there, must agree."""
    listing = Listing(root)
    for split in ("train", "val"):
        for path in images(root / f"{split}_50"):
            label, _, number = path.stem.partition("_")
            if not (label.isdecimal() and number.isdecimal()):
                listing.faults.append(f"{path}: the name is not <class>_<number>; rename it")
                continue
            listing.add(Item(split, path.stem, path, str(int(label)), str(path)))
    if (root / "val_gt.csv").exists():
        _agree(listing, root / "val_gt.csv")
    return listing


def list_office(root: Path) -> Listing:
    """`office/train/` and `val/` with a csv each, `id,filename,label`; numbers or words."""
    listing = Listing(root)
    for split in ("train", "val"):
        _from_csv(listing, split, root / "office" / f"{split}.csv", root / "office" / split)
    _of_one_kind(listing)
    return listing


def list_mini(root: Path) -> Listing:
    """`mini/train/` with images, and where the year gave labels a `train.csv`."""
    listing = Listing(root)
    if (root / "mini" / "train.csv").exists():
        _from_csv(listing, "train", root / "mini" / "train.csv", root / "mini" / "train")
        return listing
    for path in images(root / "mini" / "train"):
        listing.add(Item("train", path.stem, path, None, str(path)))
    return listing


def list_satellite(root: Path) -> Listing:
    """`train/` and `validation/` with `xxxx_sat.jpg` and `xxxx_mask.png`."""
    listing = Listing(root)
    for split, folder in (("train", "train"), ("val", "validation")):
        found = images(root / folder)
        pictures = {p.name.removesuffix("_sat.jpg"): p for p in found if "_sat." in p.name}
        masks = {p.name.removesuffix("_mask.png"): p for p in found if "_mask." in p.name}
        for path in found:
            if not path.name.endswith(("_sat.jpg", "_mask.png")):
                listing.faults.append(f"{path}: neither xxxx_sat.jpg nor xxxx_mask.png; rename it")
        for name in sorted(pictures.keys() ^ masks.keys()):
            there, lacks = (pictures, "_mask.png") if name in pictures else (masks, "_sat.jpg")
            listing.faults.append(f"{there[name]}: has no {name}{lacks} beside it; add it")
        for name in sorted(pictures.keys() & masks.keys()):
            listing.add(Item(split, name, pictures[name], masks[name], str(pictures[name])))
    return listing


def list_makeup(root: Path) -> Listing:
    """`train/` and `val/` with a folder for each class, as torchvision's ImageFolder reads them."""
    listing = Listing(root)
    for split in ("train", "val"):
        for folder in sorted(path for path in (root / split).iterdir() if path.is_dir()):
            for path in images(folder):
                name = f"{folder.name}_{path.stem}"
                listing.add(Item(split, name, path, folder.name, str(path)))
    return listing


def list_camvid(root: Path) -> Listing:
    """`train.csv` and `val.csv`: image and label map, relative to the folder; a header or none."""
    listing = Listing(root)
    for split in ("train", "val"):
        path = root / f"{split}.csv"
        for line, cells in _body(listing.rows(path), lambda row: row[0].lower().endswith(".png")):
            where = f"{path}: line {line}"
            both = [_file(listing, where, root, cell) for cell in (*cells, "", "")[:2]]
            if both[0] and both[1]:
                listing.add(Item(split, both[0].stem, both[0], both[1], where))
    return listing


LAYOUTS = {
    "fifty": Layout(
        "classification", ("train_50", "val_50"), {"train": 22500, "val": 2500}, 50, list_fifty
    ),
    "office": Layout(
        "classification",
        ("office/train.csv", "office/val.csv", "office/train", "office/val"),
        {"train": 3951, "val": 406},
        65,
        list_office,
    ),  # fmt: skip
    "mini": Layout("classification", ("mini/train",), {"train": 38400}, 64, list_mini),
    "satellite": Layout(
        "segmentation", ("train", "validation"), {"train": 2000, "val": 257}, 6, list_satellite
    ),
    "makeup": Layout(
        "classification",
        ("train/heavy_makeup", "val/heavy_makeup"),
        {"train": 2000, "val": 400},
        2,
        list_makeup,
    ),  # fmt: skip
    "camvid": Layout(
        "segmentation",
        ("train.csv", "val.csv", "trainannot", "valannot"),
        {"train": 367, "val": 101},
        11,
        list_camvid,
    ),  # fmt: skip
}


def _body(rows: list[Row], is_data: Callable[[list[str]], bool]) -> list[Row]:
    """The rows, without the first one if that is no data but a header."""
    return rows if rows and is_data(rows[0][1]) else rows[1:]


def _file(listing: Listing, where: str, folder: Path, name: str) -> Path | None:
    """The file that a cell names, or None and a fault."""
    path = inside(folder, name)
    if path is None:
        listing.faults.append(f"{where}: '{name}' is no name of a file in {folder}; correct it")
    elif not path.is_file():
        listing.faults.append(f"{where}: {path} does not exist; add the file or drop the row")
        return None
    return path


def _from_csv(listing: Listing, split: str, path: Path, folder: Path) -> None:
    """Items of a csv with the columns filename and label, in the order of their names."""
    rows = listing.rows(path)
    header = [cell.lower() for cell in rows[0][1]] if rows else []
    if "filename" not in header or "label" not in header:
        listing.faults.append(f"{path}: line 1: no header id,filename,label; add it")
        return
    name, label = header.index("filename"), header.index("label")
    named = set()
    for line, cells in sorted(rows[1:], key=lambda row: [*row[1], *[""] * len(header)][name]):
        where = f"{path}: line {line}"
        if len(cells) != len(header):
            listing.faults.append(f"{where}: {len(cells)} cells, the header has {len(header)}")
            continue
        file = _file(listing, where, folder, cells[name])
        if file is None:
            continue
        named.add(file.name)
        if cells[label] in ("", UNLABELLED):
            listing.faults.append(f"{where}: no label (it says '{cells[label]}'); give it one")
            continue
        listing.add(Item(split, file.stem, file, cells[label], where))
    for file in images(folder):
        if file.name not in named:
            listing.faults.append(f"{file}: stands in no row of {path}; add a row or remove it")


def _of_one_kind(listing: Listing) -> None:
    """All labels are numbers, or all are words."""
    numbers = [item for item in listing.items if str(item.truth).isdecimal()]
    words = [item for item in listing.items if not str(item.truth).isdecimal()]
    fewer, kind = (words, "a number") if len(words) < len(numbers) else (numbers, "a word")
    for item in fewer if numbers and words else ():
        listing.faults.append(f"{item.where}: label '{item.truth}' where others are {kind}")


def _agree(listing: Listing, path: Path) -> None:
    """The val split's labels are those of the csv."""
    said = {row[0]: (line, row[-1]) for line, row in listing.rows(path)[1:]}
    for item in listing.items:
        if item.split == "val" and item.image.name in said:
            line, label = said.pop(item.image.name)
            if label != item.truth:
                where = f"{path}: line {line}"
                listing.faults.append(f"{where}: label {label}, the name says {item.truth}")
    for name, (line, _) in said.items():
        listing.faults.append(f"{path}: line {line}: val_50/{name} does not exist; add the file")
