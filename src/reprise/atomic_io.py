"""Files that are either complete or absent: written to a temporary file, then renamed.

A link stays, and the file that it names is replaced. A device or a pipe stays, and gets the bytes.
"""

import errno
import glob
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
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
    """Yield a temporary path; its file replaces `path` when the block succeeds."""
    if _is_stream(path):
        with _temporary(Path(tempfile.gettempdir(), path.name)) as temporary:
            yield temporary
            with temporary.open("rb") as source, path.open("ab") as stream:
                shutil.copyfileobj(source, stream)
        return
    target = _target(path)
    with _temporary(target) as temporary:
        yield temporary
        os.replace(temporary, target)
        WRITTEN.add(path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Like `atomic_file` for a folder: replace `path` as a whole when the block succeeds."""
    target = _target(path)
    with writing(path), _temporary(target) as temporary:
        temporary.mkdir()
        yield temporary
        delete(target)
        os.replace(temporary, target)
        WRITTEN.add(path)


@contextmanager
def move_into_folder(path: Path) -> Iterator[Path]:
    """Like `atomic_folder`, but keep the other files of `path`; move the new ones in at the end.

    Raises RepriseError, before the first one is moved, if a folder has the name of a new file.
    """
    target = _target(path)
    with writing(path), _temporary(target) as temporary:
        temporary.mkdir()
        yield temporary
        target.mkdir(exist_ok=True)
        moves = [(file, target / file.name) for file in sorted(temporary.iterdir())]
        for _, place in moves:
            if place.is_dir():
                raise RepriseError(f"{path / place.name}: is a folder; move it away")
        for file, place in moves:
            if place.is_symlink() or _is_stream(place):
                with atomic_file(place) as copy:
                    shutil.copyfile(file, copy)
            else:
                os.replace(file, place)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into one line that names `path`."""
    try:
        yield
    except BrokenPipeError:  # the reader of our output has read enough
        raise
    except OSError as error:
        reason = error.strerror or os.strerror(errno.ENOSPC)  # NumPy gives no reason for that
        raise RepriseError(f"{path}: cannot be written ({reason}); pass another path") from None


def _is_stream(path: Path) -> bool:
    """Whether a path is a device, a pipe, or an open file such as /dev/stdout."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    regular = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    return not regular or str(path).startswith(("/dev/std", "/dev/fd/", "/proc/self/fd/"))


def _target(path: Path) -> Path:
    """What a write to `path` replaces: the file or folder that a link names.

    It is the link itself where that is read-only, as the files of DVC's cache are.
    """
    if not path.name:  # such as ".", which has no name to add to
        path = path.resolve()
    if not os.path.islink(path):
        return path
    target = Path(os.path.realpath(path))
    kept = os.path.exists(target) and not target.stat().st_mode & stat.S_IWUSR
    return path if kept else target


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A path next to `path` for this process alone; what is there in the end is deleted."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except RecursionError:  # pathlib's own: a thousand folders that do not exist
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)) from None
    remove_leftovers(path.parent, f"{path.name}.")
    try:
        yield temporary
    finally:
        delete(temporary)


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Delete temporary files that a killed process left in `folder`: those of `name`, or all."""
    for temporary in folder.glob(f".{glob.escape(name)}*.part"):
        process = temporary.suffixes[-2][1:] if len(temporary.suffixes) > 1 else ""
        if not (process.isdigit() and _is_other_process(int(process))):
            delete(temporary)


def _is_other_process(number: int) -> bool:
    """Whether another process of this number runs: the owner of a temporary file."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return number != os.getpid()


def file_clock(folder: Path) -> int:
    """Now in ns since 1970, by the clock of the file system that holds a folder.

    A file server dates the files that are written to it, and its clock may differ by seconds from
    that of the node that writes. In a folder that cannot be written to it is the node's.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            return os.fstat(stream.fileno()).st_ctime_ns
    except OSError:
        return time.time_ns()


def move(source: Path, target: Path) -> None:
    """Move a file or folder into the place of another, also to another file system."""
    delete(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)


def delete(path: Path) -> None:
    """Delete a file, a folder, or a link but not what it names, if it exists."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """The files among these paths, and those in folders and below that DVC does not ignore."""
    for file in (file for path in paths for file in [path, *path.rglob("*")] if file.is_file()):
        if file.suffix != ".part" and not IGNORED & set(file.parts):
            yield file


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes to a temporary file and rename it. Raises RepriseError if that is impossible."""
    with writing(path), atomic_file(path) as temporary:
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


def check_file(path: Path, advice: str) -> None:
    """Raise RepriseError, ending in `advice`, unless `path` is a file; a pipe is none."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        fault = "not found"
    except (OSError, ValueError) as error:  # such as a name that is too long
        fault = f"cannot be read ({getattr(error, 'strerror', error)})"
    else:
        if stat.S_ISREG(mode):
            return
        fault = "is a folder" if stat.S_ISDIR(mode) else "is a pipe or a device, not a file"
    raise RepriseError(f"{path}: {fault}; {advice}")


def refuse_overwrite(written: Iterable[Path], read: Iterable[Path]) -> None:
    """Raise RepriseError if a path to be written is one of those to be read, also by a link."""
    inputs = {_identity(path) for path in read} - {None}
    for path in written:
        if _identity(path) in inputs:
            raise RepriseError(f"{path}: is an input; pass another path")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def read_json(path: Path) -> Any:
    """Read JSON. Raises RepriseError when the file is missing or not valid JSON."""
    check_file(path, "run the stage that writes it first")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RepriseError(f"{path}: not valid JSON ({error}); delete it and rebuild") from None


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_lines(files: Iterable[Path], folder: Path = Path()) -> str:
    """What `sha256sum` prints for files when it runs in `folder`."""
    return "".join(f"{sha256(file)}  {file.relative_to(folder).as_posix()}\n" for file in files)
