"""What a hand-out is made of: its images, each with its truth, and every fault that was met."""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from reprise.errors import RepriseError

IMAGES = (".jpg", ".jpeg", ".png")
DEPTH = 4  # archives nest a folder in one of the same name
Row = tuple[int, list[str]]  # line of the file, from 1, and its cells


@dataclass(frozen=True)
class Item:
    """One image: `truth` is its class, the file of its label map, or None where there is none.

    split: "train" or "val"; where: what a fault of this item begins with.
    """

    split: str
    name: str
    image: Path
    truth: str | Path | None
    where: str


@dataclass
class Listing:
    """The items of one data set in the order of their names, and what is wrong with it."""

    root: Path
    items: list[Item] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)  # csv files that were read
    _names: set[tuple[str, str]] = field(default_factory=set)

    def count(self, split: str) -> int:
        """How many items a split has."""
        return sum(item.split == split for item in self.items)

    def add(self, item: Item) -> None:
        """Add an item, or the fault that its split has the name already."""
        if (item.split, item.name) in self._names:
            self.faults.append(f"{item.where}: the name '{item.name}' is taken; keep one of them")
            return
        self._names.add((item.split, item.name))
        self.items.append(item)

    def rows(self, path: Path) -> list[Row]:
        """The rows of a csv of the hand-out (see `read_rows`)."""
        self.tables.append(path)
        return read_rows(path)

    @property
    def files(self) -> list[Path]:
        """Every file that the items and tables stand in, sorted."""
        masks = {item.truth for item in self.items if isinstance(item.truth, Path)}
        return sorted({item.image for item in self.items} | masks | set(self.tables))

    def refuse(self) -> None:
        """Raise RepriseError with the first fault, if there is one."""
        if self.faults:
            more = f" (and {len(self.faults) - 1} more; `make data` lists them)"
            raise RepriseError(self.faults[0] + more * (len(self.faults) > 1))


def folders(root: Path) -> Iterator[Path]:
    """`root` and the folders below it, sorted, without what archivers of macOS leave behind."""
    for place, below, _ in os.walk(root, followlinks=True):
        deep = len(Path(place).relative_to(root).parts) >= DEPTH
        below[:] = [] if deep else sorted(b for b in below if b[0] != "." and b != "__MACOSX")
        yield Path(place)


def images(folder: Path) -> list[Path]:
    """The image files of a folder, sorted by name."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    return [folder / n for n in names if n.lower().endswith(IMAGES) and n[0] != "."]


def read_rows(path: Path) -> list[Row]:
    """The rows of a csv that are not empty, with any line ends, cells without outer spaces.

    Raises RepriseError when the file is missing or no text.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; copy it from the course's archive") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise RepriseError(f"{path}: not a readable csv ({error}); copy it again") from None
    return [(line, row) for line, row in rows if any(row)]


def inside(folder: Path, name: str) -> Path | None:
    """The file `name` of a folder; None when the name is empty or leaves the folder."""
    parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
    rooted = PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive
    if not name or rooted or ".." in parts or "\\" in name or "\0" in name:
        return None
    return folder / name
