"""The csv files of the courses' folders: the years differ in header, columns and number format."""

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from reprise.atomic_io import check_file
from reprise.datasets.prepared import MAX_MAP_IDS
from reprise.errors import RepriseError
from reprise.images import IMAGE_SUFFIXES

RAW = Path("data/raw")  # has a link to each registered folder, and a csv file that lists it
HEADER = "id,filename,label"
Row = tuple[int, list[str]]  # line of the file, from 1, and its cells
WHOLE = re.compile(r"([0-9]+)(\.0*)?")  # pandas writes 24 as 24.0 where a cell is empty


@dataclass(frozen=True)
class LabelRow:
    """A row of a csv file: its line from 1, the file that it names, and the label."""

    line: int
    file: str
    label: str


def read_rows(path: Path) -> list[Row]:
    """The nonempty rows of a csv file with any line ends; cells are stripped.

    Raises RepriseError when the file is missing or not text.
    """
    check_file(path, "restore it, or pass another path")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RepriseError(f"{path}: not a readable csv file ({error}); copy it again") from None
    return [(line, row) for line, row in rows if any(row)]


def read_labels(path: Path) -> tuple[list[LabelRow], list[str]]:
    """The rows of a csv file that labels images, and the problems of the file.

    A header is the first row if no cell of it names an image. The columns are those that the header
    calls filename and label; otherwise the one that names images, and the last other one.
    """
    try:
        rows = read_rows(path)
    except RepriseError as error:
        return [], [str(error)]
    if not rows:
        return [], [f"{path}: line 1: no row; write the header {HEADER} and a row for each image"]
    header = [cell.lower() for cell in rows[0][1]] if image_column(rows[0][1]) is None else []
    body = rows[1:] if header else rows
    columns = _columns(header, body)
    if columns is None:
        return [], [f"{path}: line 1: no columns filename and label; add the header {HEADER}"]
    width, labels, problems = len(header or rows[0][1]), [], []
    for line, cells in body:
        if len(cells) == width:
            labels.append(LabelRow(line, cells[columns[0]], class_label(cells[columns[1]])))
        else:
            expected = f"the {'header' if header else 'first row'} has {width}"
            problems.append(f"{path}: line {line}: {len(cells)} cells, {expected}; correct the row")
    return labels, problems


def _columns(header: list[str], rows: list[Row]) -> tuple[int, int] | None:
    """The columns of file name and label; None if they cannot be told apart."""
    if "filename" in header and "label" in header:
        return header.index("filename"), header.index("label")
    file = image_column(rows[0][1]) if rows else None
    if file is None or len(rows[0][1]) < 2:
        return None
    if "label" in header:
        return file, header.index("label")
    return file, max(column for column in range(len(rows[0][1])) if column != file)


def image_column(cells: list[str]) -> int | None:
    """The first cell that ends as the name of an image does."""
    return next((i for i, c in enumerate(cells) if c.lower().endswith(IMAGE_SUFFIXES)), None)


def class_label(text: str) -> str:
    """A label in its shortest form: 07 and 7.0 are 7; words are kept."""
    number = WHOLE.fullmatch(text)
    return (number[1].lstrip("0") or "0") if number else text


def class_number(label: str) -> int | None:
    """The class id that a label of digits is; None if it is another text, or too large."""
    short = label.isdecimal() and len(label) < 10
    return int(label) if short and int(label) < MAX_MAP_IDS else None


def safe_join(folder: Path, name: str) -> Path | None:
    """The file `name` of a folder; None when the name is empty or points outside the folder."""
    path = PureWindowsPath(name)  # it knows the roots and separators of all systems
    outside = path.anchor or ".." in path.parts or "\\" in name or "\0" in name
    return None if outside or not name else folder / name


def cell_fault(location: str, folder: Path, name: str) -> str | None:
    """What is wrong with a cell that names a file of a folder, if anything."""
    path = safe_join(folder, name)
    if path is None:
        return f"{location}: '{name}' does not name a file in {folder}; correct it"
    missing = f"{location}: {path} does not exist; add the file or drop the row"
    return None if os.path.isfile(path) else missing
