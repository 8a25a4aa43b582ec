"""`reprise compare A B`: two results, in the terminal or as one page.

A and B are folders of results, files of numbers (metrics.json, intervals.json, or copies of one of
them), revisions of Git or experiments of DVC. Of a revision, the numbers, tables and parameters are
read from Git, and the figures from DVC's cache, as far as it has them.
"""

import argparse
import io
import os
import re
import shutil
import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from reprise import tar_io
from reprise.atomic_io import files_in, refuse_overwrite, write_text
from reprise.cli import run
from reprise.compare import Side, comparison
from reprise.engines.git import experiments, git, git_bytes
from reprise.errors import RepriseError

ABOUT = "Compare two results: the numbers that differ, and which differences their intervals allow."
SIDE = (
    "folder of results, a file of numbers (metrics.json or intervals.json, also under another "
    "name), a revision of Git, or an experiment of DVC"
)
PAGE = Path("compare.html")
FIGURE = re.compile(
    r"- path: (results/(?:figures|vector)/\w+\.\w+)\n\s+hash: md5\n\s+md5: (\w{32})"
)


def main() -> None:
    """Print the numbers that differ, or write the page."""
    parser = argparse.ArgumentParser(description=ABOUT)
    for name in "AB":
        parser.add_argument(name, help=SIDE)
    parser.add_argument(
        "--html",
        nargs="?",
        type=Path,
        const=PAGE,
        metavar="FILE",
        help=f"page to write instead, with parameters, questions and figures; default {PAGE}",
    )
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        sides = [side(getattr(args, name), Path(folder, name)) for name in "AB"]
        if args.html is None:
            a, b = sides
            print(comparison(a.results, b.results, [a.name, b.name]), end="")
            return
        from reprise.report.compare_page import page  # here: it takes a second to import

        refuse_overwrite([args.html], files_in([one.results for one in sides]))
        write_text(args.html, page(*sides))
    print(f"reprise: {args.html}: what differs between {args.A} and {args.B}")


def side(name: str, folder: Path) -> Side:
    """What `name` stands for.

    The results of a revision are written below `folder`, next to its params.yaml. Raises
    RepriseError if it is neither a path nor a revision with results.
    """
    path = Path(name)
    if os.path.lexists(path):
        return Side(name, path)
    commit = find_commit(name)
    if commit is None:
        raise RepriseError(
            f"{name}: not found; name a folder of results, a revision of Git or an experiment"
        )
    extract(name, commit, folder)
    return Side(f"{name} ({commit[:7]})", folder / "results", folder / "params.yaml")


def find_commit(name: str) -> str | None:
    """The commit of a revision or of an experiment of DVC; None if there is none."""
    with suppress(RepriseError):
        if name in (listed := experiments()):
            return listed[name]
        return git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
        ).split()[-1]
    return None


def extract(name: str, commit: str, folder: Path) -> None:
    """Write results and params.yaml of a commit, and those of its figures that DVC's cache has.

    Raises RepriseError if the commit has no results.
    """
    try:
        archive = git_bytes("archive", commit, "results", "params.yaml", "dvc.lock")
    except RepriseError:
        raise RepriseError(f"{name}: has no results, params.yaml or dvc.lock in Git") from None
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        tar_io.extract(files, folder)
    cache = cache_folder()
    for path, digest in FIGURE.findall((folder / "dvc.lock").read_text(encoding="utf-8")):
        cached = cache / "files" / "md5" / digest[:2] / digest[2:]
        if cached.is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(cached, folder / path)


def cache_folder() -> Path:
    """Where DVC's cache is."""
    from dvc.config import Config  # here: it takes a third of a second to import

    return Path(Config.from_cwd()["cache"].get("dir", ".dvc/cache"))


if __name__ == "__main__":
    run(main)
