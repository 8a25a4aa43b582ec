"""The images of a course's folder as a list, and what a layout says of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reprise.datasets.prepared import Kind


@dataclass(frozen=True)
class Item:
    """One image.

    split: the folder's, "train", "val" or "test". label: the class, the file of the label map, or
    None for an unlabelled image. location: where the item is listed, for messages.
    """

    split: str
    name: str
    image: Path
    label: str | Path | None
    location: str

    @property
    def files(self) -> list[Path]:
        """The image, and its label map if there is one."""
        return [self.image, *([self.label] if isinstance(self.label, Path) else [])]


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
        return sorted({path for item in self.items for path in item.files} | set(self.tables))


Entries = Iterator[Item | Path | str]  # items, csv files that were read, and faults


@dataclass(frozen=True)
class Layout:
    """How to list a layout, and what is known of it.

    holds: files and folders that its folder has. published: the course's number of images by
    split. archive: where the courses have it. one_size: whether all images have one size. has_test:
    whether the folder has val and test; otherwise its val is our test.
    """

    find: Callable[[Path], Entries]
    holds: tuple[str, ...]
    published: dict[str, int]
    archive: str
    kind: Kind = "classification"
    one_size: bool = False
    has_test: bool = False
