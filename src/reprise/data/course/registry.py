"""`make data NAME=... PATH=...`: a course's folder, checked whole and known by name and digest.

Registering makes two things in data/raw/: a link NAME to the folder, and NAME.csv with the sha256
of each file that a reader opens. The sha256 of that csv, written into params.yaml, says which
data a run had.
"""

import argparse
import csv
import io
import logging
import os
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from reprise.cli import run
from reprise.data.course.layouts import LAYOUTS, find, listing_of
from reprise.data.course.listing import Item, Listing
from reprise.data.course.pictures import read_colour_mask, read_id_mask, read_picture, same_size
from reprise.data.course.read import read_handout
from reprise.data.legend import CAMVID_VOID
from reprise.data.store import Prepared
from reprise.errors import RepriseError
from reprise.files import sha256, write_text
from reprise.params import CourseSet

RAW = Path("data/raw")


def main() -> None:
    """Check a folder and register it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="what params.yaml calls it, prepare.recipes.<set>.folder")
    parser.add_argument("folder", type=Path, help="the unpacked archive")
    parser.add_argument("--raw", type=Path, default=RAW)
    given = parser.parse_args()
    if not given.name.isidentifier():
        raise RepriseError(f"NAME={given.name}: use letters, digits and _ alone")
    digest = register(given.name, given.folder, given.raw)
    logging.info(
        "%s: registered; in params.yaml, prepare.recipes, write folder: %s and sha256: %s",
        given.folder, given.name, digest,
    )  # fmt: skip


def register(name: str, folder: Path, raw: Path = RAW) -> str:
    """Check every layout found at or below `folder`, then link and list it; the list's sha256.

    Raises RepriseError when there is no known layout, or any fault; all faults are logged.
    """
    if not folder.is_dir():
        raise RepriseError(f"{folder}: is no folder; give the unpacked archive as PATH")
    listings = listings_of(folder)
    faults = [fault for layout, one in listings.items() for fault in check(layout, one)]
    for fault in faults:
        logging.error("%s", fault)
    if faults:
        raise RepriseError(f"{folder}: {len(faults)} faults, named above; mend them and try again")
    text = digests(folder, list(listings.values()))
    write_text(raw / f"{name}.csv", text)
    link = raw / name
    if link.is_symlink():
        link.unlink()
    elif link.exists():
        raise RepriseError(f"{link}: is in the way; move it elsewhere")
    os.symlink(folder.resolve(), link, target_is_directory=True)
    return sha256(raw / f"{name}.csv")


def listings_of(folder: Path) -> dict[str, Listing]:
    """What each layout finds in the folder; what is there and what is not is logged."""
    found, missing = {}, []
    for name, layout in LAYOUTS.items():
        try:
            root = find(folder, name)
        except RepriseError as error:
            if "are both" in str(error):
                raise
            missing.append(f"{name} ({', '.join(layout.holds)})")
            continue
        found[name] = layout.list(root)
        for split, published in layout.published.items():
            count = found[name].count(split)
            note = "" if count == published else ": not the number that the course published"
            logging.info("%s: %s: %d of %d images%s", name, split, count, published, note)
    if missing:
        logging.info("not in this folder: %s", "; ".join(missing))
    if not found:
        raise RepriseError(f"{folder}: holds none of the courses' layouts; is it unpacked?")
    return found


def check(layout: str, listing: Listing) -> list[str]:
    """All faults of a listing: what listing it met, and every file that does not decode."""
    faults = list(listing.faults)
    quiet = None  # no bar when the output is no terminal
    for item in tqdm(listing.items, desc=layout, unit="image", disable=quiet):
        for look in _looks(layout, item):
            try:
                look()
            except RepriseError as error:
                faults.append(str(error))
    return faults


def _looks(layout: str, item: Item) -> list[Callable[[], object]]:
    """What must work for an item."""
    looks: list[Callable[[], object]] = [lambda: read_picture(item.image, None)]
    if isinstance(item.truth, Path):
        mask = item.truth
        if layout == "satellite":
            looks.append(lambda: read_colour_mask(mask, None))
        else:
            looks.append(lambda: read_id_mask(mask, None, CAMVID_VOID))
        looks.append(lambda: same_size(item.image, mask))
    return looks


def digests(folder: Path, listings: list[Listing]) -> str:
    """A csv of all images, label maps and tables: file, bytes, sha256, sorted by file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "bytes", "sha256"])
    for path in sorted({path for listing in listings for path in listing.files}):
        name = path.relative_to(folder).as_posix()
        writer.writerow([name, path.stat().st_size, sha256(path)])
    return text.getvalue()


def read_registered(recipe: CourseSet, raw: Path = RAW) -> Prepared:
    """A registered folder as a prepared set.

    Raises RepriseError when it is not registered, is another one than the recipe names by its
    sha256, or a file has changed since.
    """
    table, folder = raw / f"{recipe.folder}.csv", raw / recipe.folder
    if not table.exists() or not folder.is_dir():
        raise RepriseError(
            f"{folder}: not registered; `make data NAME={recipe.folder} PATH=<the course's folder>`"
        )
    if recipe.sha256 and sha256(table) != recipe.sha256:
        raise RepriseError(
            f"{table}: its sha256 is {sha256(table)}, params.yaml says {recipe.sha256}; register "
            "the folder that was meant, or write the new one"
        )
    listing = listing_of(folder, recipe.layout)
    unchanged(folder, table, listing)
    return read_handout(listing, recipe)


def unchanged(folder: Path, table: Path, listing: Listing) -> None:
    """Raise RepriseError for the first file of a listing that is not as it was registered."""
    with table.open(newline="") as stream:
        known = {row["file"]: row["sha256"] for row in csv.DictReader(stream)}
    for path in listing.files:
        if sha256(path) != known.get(path.relative_to(folder).as_posix()):
            raise RepriseError(
                f"{path}: not as it was registered; put it back, or `make data` again"
            )


if __name__ == "__main__":
    run(main)
