"""Files that are either whole or absent: written aside, then renamed."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reprise.errors import RepriseError
from reprise.record import WRITTEN


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes the name `path` only when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)  # mkstemp makes private files; outputs are ordinary ones
        os.replace(part, path)
        WRITTEN.add(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """Like `aside`, for a folder: `path` is replaced as a whole when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    try:
        yield part
        part.chmod(0o755)
        shutil.rmtree(path, ignore_errors=True)
        os.replace(part, path)
        WRITTEN.add(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def into_folder(path: Path) -> Iterator[Path]:
    """Like `folder_aside`, but `path` keeps its other files; the new ones move in at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drop_parts(path.parent, f"{path.name}.")
    part = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    try:
        yield part
        path.mkdir(exist_ok=True)
        for file in sorted(part.iterdir()):
            os.replace(file, path / file.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def drop_parts(folder: Path, name: str = "") -> None:
    """Delete what a killed process left half-written in `folder`, of the file `name` or of any."""
    for part in folder.glob(f".{name}*.part"):
        shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` aside and rename."""
    with aside(path) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with LF line ends, aside and renamed."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, two spaces of indent and a final line end."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame, float_format: str = "%.6f") -> None:
    """Write a table without its index; floats in one fixed format, LF line ends."""
    text = table.to_csv(index=False, float_format=float_format, lineterminator="\n")
    write_text(path, text)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one array in NumPy's npy format."""
    with aside(path) as part, part.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def read_json(path: Path) -> Any:
    """Read JSON. Raises RepriseError when the file is absent or is no JSON."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; run the stage that makes it first") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RepriseError(f"{path}: not valid JSON ({error}); delete it and rebuild") from None


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
