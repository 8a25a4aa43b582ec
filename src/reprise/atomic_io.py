"""Files that are either complete or absent: written to a temporary file, then renamed."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprise.errors import RepriseError

if TYPE_CHECKING:  # Snakemake reads this module whenever it reads the Snakefile
    import pandas as pd

IGNORED = {"__pycache__", ".snakemake_timestamp"}  # as in .dvcignore, with *.part
WRITTEN: set[Path] = set()  # files and folders that this process renamed into place


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; rename it to `path` when the block succeeds."""
    with _temporary(path) as temporary:
        yield temporary
        os.replace(temporary, path)
        WRITTEN.add(path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Like `atomic_file` for a folder: replace `path` as a whole when the block succeeds."""
    with _temporary(path) as temporary:
        temporary.mkdir()
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)
        WRITTEN.add(path)


@contextmanager
def move_into_folder(path: Path) -> Iterator[Path]:
    """Like `atomic_folder`, but keep the other files of `path`; move the new ones in at the end."""
    remove_leftovers(path.parent, f"{path.name}.")
    with _temporary(path) as temporary:
        temporary.mkdir()
        yield temporary
        path.mkdir(exist_ok=True)
        for file in sorted(temporary.iterdir()):
            os.replace(file, path / file.name)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A path next to `path` for this process alone; what is there in the end is deleted."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    delete(temporary)
    try:
        yield temporary
    finally:
        delete(temporary)


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Delete temporary files that a killed process left in `folder`: those of `name`, or all."""
    for temporary in folder.glob(f".{name}*.part"):
        delete(temporary)


def delete(path: Path) -> None:
    """Delete a file or a folder, if it exists."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """The files among these paths, and those in folders and below that DVC does not ignore."""
    for file in (file for path in paths for file in [path, *path.rglob("*")] if file.is_file()):
        if file.suffix != ".part" and not IGNORED & set(file.parts):
            yield file


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes to a temporary file and rename it."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with LF line ends."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, an indent of two spaces and a final newline."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame", float_format: str = "%.6f") -> None:
    """Write a table without its index, with one float format and LF line ends."""
    text = table.to_csv(index=False, float_format=float_format, lineterminator="\n")
    write_text(path, text)


def read_json(path: Path) -> Any:
    """Read JSON. Raises RepriseError when the file is missing or not valid JSON."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; run the stage that writes it first") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RepriseError(f"{path}: not valid JSON ({error}); delete it and rebuild") from None


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_lines(files: Iterable[Path], folder: Path = Path()) -> str:
    """What `sha256sum` prints for files when it runs in `folder`."""
    return "".join(f"{sha256(file)}  {file.relative_to(folder).as_posix()}\n" for file in files)
