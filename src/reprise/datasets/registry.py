"""`make data`: a course's folder or archive is recognized, checked and registered.

Registering writes two things to data/raw/: a link NAME to the folder, and NAME.csv with the sha256
of each file that is read. The sha256 of that csv file in params.yaml identifies the data of a run.
"""

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from reprise.atomic_io import refuse_overwrite, sha256, write_csv, write_text, writing
from reprise.datasets.archives import unpack
from reprise.datasets.check import Findings, Look, Seen, check, identical_files
from reprise.datasets.known import known_archive
from reprise.datasets.layouts import (
    LAYOUTS,
    find_layouts,
    incomplete_layouts,
    list_layout,
    refuse_second,
)
from reprise.datasets.listing import Listing
from reprise.datasets.progress import progress
from reprise.datasets.tables import RAW
from reprise.errors import RepriseError, one_line
from reprise.params.base import NAME
from reprise.params.reader import parse_yaml

SHOWN = 20  # problems of a folder that are listed; PROBLEMS has them all where there are more
SHOWN_LAYOUTS = 3
COLUMNS = ["file", "bytes", "sha256"]
PROBLEMS = Path("logs/data_problems.txt")
# the name of a folder by the first of these layouts that it has
NAMES = {
    "dlcv_50": "dlcv_hw1",
    "deepglobe": "dlcv_hw1",
    "celeba_makeup": "cs6550_hw4",
    "camvid_segnet": "camvid",
    "camvid": "cs6550_hw4",
    "office_home": "dlcv_hw4",
    "mini_imagenet": "dlcv_hw4",
}


@dataclass(frozen=True)
class Registered:
    """A registered folder: its name, the layouts that it has, and the sha256 of its list.

    mixed: the layouts whose images differ in size.
    """

    name: str
    layouts: tuple[str, ...]
    digest: str
    mixed: tuple[str, ...] = ()


def register(
    path: Path, name: str | None = None, raw: Path = RAW, accept_counts: bool = False
) -> Registered:
    """Check every layout at or below a folder or in an archive, then link it and write its list.

    name: of the link; None: one that follows from the layouts. accept_counts: whether numbers of
    images other than the published ones are right. Raises RepriseError when there is no known
    layout, one of them twice, or any problem; what there is and the first problems are logged.
    """
    if name is not None:
        check_name(name, raw)
    if path.is_file():
        path = unpack(path, raw / "unpacked")
    if not path.is_dir():
        raise RepriseError(f"{path}: not a directory or archive; pass that of the images as PATH")
    folder = path.resolve()  # it may be given by the very link that is replaced
    if folder in raw.resolve().parents:
        raise RepriseError(f"{path}: contains {raw}, which links to folders; pass the course's own")
    listings = list_layouts(path)
    chosen = name or default_name(listings, path, raw)
    table, link = raw / f"{chosen}.csv", raw / chosen
    _refuse_folder(link)
    seen: dict[Seen, Look] = {}
    findings = [check(layout, listing, seen) for layout, listing in listings.items()]
    report(path, findings, accept_counts)
    paths = sorted({file for listing in listings.values() for file in listing.files})
    refuse_overwrite([table], paths)
    digests = {p: sha256(p) for p in progress(paths, len(paths), f"{chosen}: files hashed")}
    for layout, listing in listings.items():
        log_identity(layout, listing, digests)
    rows = [(p.relative_to(path).as_posix(), p.stat().st_size, digests[p]) for p in paths]
    warn_of_replacement(link, folder)
    write_csv(table, pd.DataFrame(rows, columns=COLUMNS))
    link_folder(link, folder)
    mixed = tuple(
        layout
        for layout, listing in listings.items()
        if len({seen[item.image, item.label].size for item in listing.items}) > 1
    )
    return Registered(chosen, tuple(listings), sha256(table), mixed)


def is_course_table(table: Path) -> bool:
    """Whether a file is the list of a course's folder; that of a user's images has more columns."""
    if not table.is_file():
        return False
    with table.open("rb") as stream:
        return stream.readline().strip() == ",".join(COLUMNS).encode()


def list_layouts(folder: Path) -> dict[str, Listing]:
    """The listings of all layouts at or below `folder`; which ones it lacks is logged.

    Raises RepriseError when there is no known layout, or one of them twice.
    """
    present = find_layouts(folder)
    for layout, folders in present.items():
        refuse_second(folder, layout, folders)
    logging.info("%s: has %s", folder, ", ".join(present) or "no known layout")
    others = [f"{n} (in {about.archive})" for n, about in LAYOUTS.items() if n not in present]
    if others:
        logging.info("not in this folder: %s", "; ".join(others))
    if not present:
        lacking = "".join(f"; {line}" for line in incomplete_layouts(folder)[:SHOWN_LAYOUTS])
        raise RepriseError(
            f"{folder}: contains none of the courses' layouts; is it unpacked?{lacking}. For your "
            "own images, name them: NAME=..."
        )
    return {layout: list_layout(folders[0], layout) for layout, folders in present.items()}


def default_name(listings: Mapping[str, Listing], folder: Path, raw: Path) -> str:
    """The name for a folder with these layouts; with a number if another folder has it."""
    first = next(name for layout, name in NAMES.items() if layout in listings)
    names = (first, *(f"{first}_{number}" for number in range(2, 100)))
    return next(name for name in names if _free(raw / name, folder))


def warn_of_replacement(link: Path, folder: Path) -> None:
    """Log that a name was registered for another folder."""
    if link.is_symlink() and link.resolve() != folder:
        logging.warning("%s: was registered for %s until now", link.name, os.readlink(link))


def link_folder(link: Path, folder: Path) -> None:
    """Make a link to a folder, in place of another link."""
    with writing(link):
        new = link.with_name(f".{link.name}.part")
        new.unlink(missing_ok=True)
        os.symlink(folder, new, target_is_directory=True)
        os.replace(new, link)


def check_name(name: str, raw: Path) -> None:
    """Raise RepriseError for a name that cannot be registered."""
    if not re.fullmatch(NAME, name):
        raise RepriseError(f"NAME={name:.80}: use letters, digits and _, at most 60, no _ first")
    if not _is_text(name):
        raise RepriseError(f"NAME={name}: is not text to some readers of YAML; choose another name")
    _refuse_folder(raw / name)


def _is_text(name: str) -> bool:
    """Whether a name is text in params.yaml, where it is a key: 1e3, 2024 and no are not."""
    try:
        return bool(parse_yaml(name) == name)
    except RepriseError:
        return False


def _refuse_folder(link: Path) -> None:
    """Raise RepriseError if there is something else where a link is to be."""
    if os.path.lexists(link) and not os.path.islink(link):
        raise RepriseError(f"{link}: already exists; move it away")


def _free(link: Path, folder: Path) -> bool:
    """Whether a name may be given to a folder: it has no other one, or one that is gone."""
    gone = not link.exists()
    return gone or os.path.realpath(link) == os.path.realpath(folder)


def report(folder: Path, findings: Iterable[Findings], accept_counts: bool) -> None:
    """Log what there is; RepriseError if there is any problem, after the first ones are logged."""
    problems: list[str] = []
    for finding in findings:
        problems += finding.problems
        if accept_counts:
            finding.warnings.extend(finding.wrong_counts)
        else:
            problems += [f"{line}; ACCEPT=1 registers them" for line in finding.wrong_counts]
        for line in finding.notes:
            logging.info("%s", one_line(line))
        for line in finding.warnings:
            logging.warning("warning: %s", one_line(line))
    refuse(folder, problems)


def refuse(folder: Path, problems: Sequence[str]) -> None:
    """RepriseError if there is any problem, after the first ones are logged and all are written."""
    lines = [one_line(problem) for problem in problems]
    for line in lines[:SHOWN]:
        logging.error("%s", line)
    where = "listed above"
    if len(lines) > SHOWN:
        write_text(PROBLEMS, "".join(f"{line}\n" for line in lines))
        logging.error("and %d more, all in %s", len(lines) - SHOWN, PROBLEMS)
        where = f"listed in {PROBLEMS}"
    if lines:
        count = f"{len(lines)} problem{'s' * (len(lines) > 1)}"
        raise RepriseError(f"{folder}: {count} ({where}); fix and try again")


def log_identity(layout: str, listing: Listing, digests: Mapping[Path, str]) -> None:
    """Log whether the files are known, and which are the same."""
    archive = known_archive(layout, listing, digests)
    known = f"the files of {archive}" if archive else "not files of a known archive"
    logging.info("%s: %s", layout, known)
    for line in identical_files(listing, digests):
        logging.warning("%s: %s", layout, one_line(line))
