"""The images that are asked about: those of a folder, or those that a course's csv names in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from reprise.data.course.listing import images, inside, read_rows
from reprise.errors import RepriseError

NAMES = ("filename", "image_id")  # of the column of a csv, by year
COLUMNS = ("id", *NAMES, "label")  # that an answer may have
SAT, MASK = "_sat", "_mask"


@dataclass(frozen=True)
class Asked:
    """One image: its id and name as they come back in the answer, and its file."""

    id: str
    name: str
    path: Path


def in_folder(folder: Path) -> list[Asked]:
    """The images of a folder in the order of their names, numbered from 0.

    A file `xxxx_mask.png`, as the courses put beside an image, is no image.
    Raises RepriseError when there is no folder, or no image in it.
    """
    if not folder.is_dir():
        raise RepriseError(f"{folder}: is no folder; give the folder of the images")
    found = [path for path in images(folder) if not path.stem.endswith(MASK)]
    if not found:
        raise RepriseError(f"{folder}: holds no .jpg or .png; give the folder of the images")
    return [Asked(str(number), path.name, path) for number, path in enumerate(found)]


def in_table(table: Path, folder: Path) -> list[Asked]:
    """The images that a csv names, in its order; names are relative to the folder.

    The csv has a header with `filename` (or `image_id`); its ids are kept where it has the column
    `id`, its labels are not read. Raises RepriseError, with the line, for a name that leaves the
    folder or has no file there, and for a csv without names.
    """
    rows = read_rows(table)
    header = rows[0][1] if rows else []
    name = next((header.index(one) for one in NAMES if one in header), None)
    if name is None:
        raise RepriseError(
            f"{table}: line 1: no column 'filename'; the header is id,filename,label"
        )
    if len(rows) == 1:
        raise RepriseError(f"{table}: names no image; add a row for each")
    number = header.index("id") if "id" in header else None
    asked = []
    for place, (line, cells) in enumerate(rows[1:]):
        where = f"{table}: line {line}"
        if len(cells) != len(header):
            raise RepriseError(f"{where}: {len(cells)} cells, the header has {len(header)}")
        path = inside(folder, cells[name])
        if path is None:
            raise RepriseError(f"{where}: '{cells[name]}' is no name of a file inside {folder}")
        if not path.is_file():
            raise RepriseError(f"{where}: {path} is not there; correct the name or add the file")
        asked.append(Asked(str(place) if number is None else cells[number], cells[name], path))
    return asked


def mask_names(asked: Sequence[Asked], form: str) -> list[str]:
    """The file name of each image's mask: `form` with the image's name in place of {}.

    The name is the file's without its ending and without `_sat`. Raises RepriseError for a form
    that is no file name, and when two images would have one mask.
    """
    if "{}" not in form or inside(Path(), form) is None or "/" in form or form[-4:] != ".png":
        raise RepriseError(
            f"--mask '{form}': is no name of a PNG with {{}} in it, as {{}}_mask.png"
        )
    found: dict[str, Asked] = {}
    for one in asked:
        name = form.replace("{}", PurePosixPath(one.name).stem.removesuffix(SAT))
        if name in found:
            raise RepriseError(
                f"{one.path}: its mask would be {name}, as that of {found[name].path}; rename one"
            )
        found[name] = one
    return list(found)


def cell_of(column: str) -> Callable[[Asked, str], str]:
    """What stands in a column of an answer, from the image and its label.

    Raises RepriseError for an unknown column.
    """
    if column == "id":
        return lambda one, label: one.id
    if column in NAMES:
        return lambda one, label: one.name
    if column == "label":
        return lambda one, label: label
    raise RepriseError(f"--header: column '{column}' is unknown; choose from {', '.join(COLUMNS)}")
