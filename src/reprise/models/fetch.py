"""`make weights NAME=...`: fetch a file of the weights block, verify it, put it in its place."""

import argparse
import logging
import shutil
import urllib.request
from pathlib import Path

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.files import aside, sha256
from reprise.params import WeightsFile, load_params


def main() -> None:
    """Fetch one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a name of the weights block of params.yaml")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    given = parser.parse_args()
    files = load_params(given.params).weights
    if given.name not in files:
        known = ", ".join(files) or "none; `make preset PRESET=course` has some"
        raise RepriseError(f"{given.params}: weights has no '{given.name}'; there are {known}")
    fetch(given.name, files[given.name])


def fetch(name: str, file: WeightsFile) -> None:
    """Bring the file to its path, unless it is there already.

    Raises RepriseError when it has no address, cannot be fetched, or has another sha256.
    """
    path, url = Path(file.path), address(file)
    if path.is_file() and sha256(path).startswith(file.sha256 or ""):
        logging.info("%s: is there, and has the right sha256", path)
        return
    if url is None:
        raise RepriseError(f"weights.{name}: has no address; ask who made it, put it at {path}")
    try:
        with aside(path) as part:
            with urllib.request.urlopen(url, timeout=60) as answer, part.open("wb") as stream:
                shutil.copyfileobj(answer, stream)
            found = sha256(part)
            if not found.startswith(file.sha256 or ""):
                raise RepriseError(f"{url}: its sha256 is {found}, not {file.sha256}; not kept")
    except OSError as error:
        raise RepriseError(
            f"{url}: cannot be fetched ({error}); fetch it elsewhere and put it at {path}"
        ) from None
    logging.info("%s: fetched and verified", path)


def address(file: WeightsFile) -> str | None:
    """Where the file is published: its url, or torchvision's own address of its entry.

    Raises RepriseError for a name that torchvision does not have.
    """
    if file.torchvision is None:
        return file.url
    from torchvision.models import get_weight  # takes a second

    try:
        return str(get_weight(file.torchvision).url)
    except (AttributeError, KeyError, ValueError):
        raise RepriseError(
            f"{file.path}: torchvision has no weights '{file.torchvision}'; correct its name"
        ) from None


if __name__ == "__main__":
    run(main)
