"""CamVid's folders, in the form of the CS6550 course and in that of the SegNet tutorial."""

import os
from collections.abc import Sequence
from pathlib import Path

from reprise.datasets.listing import Entries, Item
from reprise.datasets.tables import cell_fault, image_column, read_rows
from reprise.errors import RepriseError
from reprise.images import list_images


def find_camvid(root: Path, splits: Sequence[str] = ("train", "val")) -> Entries:
    """Images and label maps: those of train.csv, else of train.txt, else of equal names.

    The course's csv files have paths relative to the folder, with a header or none. SegNet's text
    files have the paths on its author's machine, of which the last two names count.
    """
    for split in splits:
        tables = [root / f"{split}{ending}" for ending in (".csv", ".txt")]
        table = next((path for path in tables if os.path.lexists(path)), None)
        if table is None:
            yield from _find_pairs(root, split)
            continue
        yield table
        try:
            rows = read_rows(table)
        except RepriseError as error:
            yield str(error)
            continue
        if table.suffix == ".txt":
            rows = [(line, _short_paths(cells)) for line, cells in rows]
        elif rows and image_column(rows[0][1]) is None:
            rows = rows[1:]
        for line, cells in rows:
            location, names = f"{table}: line {line}", (*cells, "")[:2]
            faults = [cell_fault(location, root, name) for name in names]
            if any(faults):
                yield from filter(None, faults)
            else:
                image, mask = (root / name for name in names)
                yield Item(split, image.stem, image, mask, location)


def find_camvid_segnet(root: Path) -> Entries:
    """CamVid as the SegNet tutorial has it: `train`, `val`, `test`, and `trainannot` and so on."""
    return find_camvid(root, ("train", "val", "test"))


def _short_paths(cells: list[str]) -> list[str]:
    """The last two names of each path in a line of SegNet's text files."""
    return ["/".join(path.split("/")[-2:]) for path in " ".join(cells).split()]


def _find_pairs(root: Path, split: str) -> Entries:
    """The images of a folder and the label maps of the same names in the folder `<split>annot`."""
    folder, below = root / split, root / f"{split}annot"
    if not folder.is_dir():
        yield f"{folder}: not found; copy it from the archive"
        return
    maps = {path.name: path for path in list_images(below)}
    for path in list_images(folder):
        if path.name in maps:
            yield Item(split, path.stem, path, maps.pop(path.name), str(path))
        else:
            yield f"{path}: there is no {below / path.name}; add it"
    yield from (f"{path}: there is no {folder / path.name}; add it" for path in maps.values())
