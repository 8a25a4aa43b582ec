"""Zip and tar files of a course, unpacked safely: nothing but plain files below one folder."""

import logging
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Self

from reprise.atomic_io import atomic_folder, sha256, writing
from reprise.datasets.progress import progress
from reprise.datasets.tables import safe_join
from reprise.errors import RepriseError, one_line
from reprise.images import IMAGE_SUFFIXES, LITTER, check_utf8

WANTED = (*IMAGE_SUFFIXES, ".csv", ".txt", ".pt", ".pth")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
MAX_FILES = 300_000
MAX_BYTES = 20 * 2**30
# of the content to the archive: images are compressed already, so an archive of them has about 1
MAX_RATIO, SMALL = 50, 100 * 2**20
CHUNK = 2**20
EXTENDED = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError,
    NotImplementedError, RuntimeError, ValueError, KeyError, IndexError,
)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """An entry of an archive. fault: why it is not a file or a folder, or cannot be read."""

    name: str
    size: int
    folder: bool
    fault: str
    open: Callable[[], IO[bytes] | None]


def unpack(path: Path, into: Path) -> Path:
    """The folder below `into` with the images, csv and weight files of an archive.

    It is named after the archive and its sha256, and used again if it is there. Raises
    RepriseError, and leaves nothing, for a file that is not a whole zip or tar file, and for an
    archive with a link, a device, a path that leaves the folder, another archive, an encrypted or
    double entry, or far more content than images have.
    """
    folder = into / f"{path.name.partition('.')[0]}_{sha256(path)[:12]}"
    if folder.is_dir():
        logging.info("%s: is unpacked in %s", path, folder)
        return folder
    with _reading(path):
        is_tar = _is_tar(path)  # first: zipfile takes a tar that ends with a zip for a zip
        is_zip = not is_tar and zipfile.is_zipfile(path)
    if not is_zip and not is_tar:
        raise RepriseError(
            f"{path}: not a whole zip or tar file; download it again, or unpack it and pass the "
            "folder"
        )
    limit = min(MAX_BYTES, max(SMALL, MAX_RATIO * path.stat().st_size))
    with atomic_folder(folder) as temporary:
        members = _zip_members(path) if is_zip else _tar_members(path)
        _extract(path, members, temporary, limit)
    logging.info("%s: unpacked in %s", path, folder)
    return folder


def _is_tar(path: Path) -> bool:
    """As tarfile.is_tarfile, but it reads no large header into memory."""
    try:
        with tarfile.open(path, tarinfo=_Header):
            return True
    except tarfile.TarError:
        return False


def _extract(path: Path, members: Iterator[Member], folder: Path, limit: int) -> None:
    """Write the wanted files of an archive, after each entry was found to be safe."""
    size, names = 0, set()
    for count, member in enumerate(progress(members, None, f"{path.name}: entries unpacked")):
        shown = f"{path}: '{one_line(member.name, 80)}'"
        place = safe_join(folder, member.name)
        size += member.size
        names_on_the_way = PurePosixPath(member.name).parts
        litter = any(name[0] == "." or name == LITTER for name in names_on_the_way)
        if fault := member.fault or _fault(member, place, litter):
            raise RepriseError(f"{shown}: {fault}; unpack what you trust and pass the folder")
        if size > limit or count >= MAX_FILES:
            raise RepriseError(
                f"{shown}: with it the archive has {size:,} bytes in {count + 1:,} entries, more "
                f"than {limit:,} or {MAX_FILES:,}; unpack it and pass the folder"
            )
        if place is None or member.folder or litter or not member.name.lower().endswith(WANTED):
            continue
        check_utf8(path, member.name)
        if place in names:
            raise RepriseError(f"{shown}: is in the archive twice; unpack it and pass the folder")
        names.add(place)
        _write(path, member, place)


def _fault(member: Member, place: Path | None, litter: bool) -> str:
    """Why an entry is refused; "" if it is not. litter: whether it would be ignored."""
    if "\\" in member.name and not PureWindowsPath(member.name).anchor:
        return "has backslashes in its name, as some programs for Windows write"
    if place is None:
        return "is a path outside the archive's folder"
    if not member.folder and not litter and member.name.lower().endswith(ARCHIVES):
        return "is an archive in the archive"
    return ""


def _write(path: Path, member: Member, place: Path) -> None:
    """Copy the bytes of an entry; more or fewer than it declares are an error."""
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        output = place.open("xb")
    with output, _reading(path, member.name):
        stream = member.open()
        if stream is None:
            raise EOFError("the entry has no content")
        with stream:
            size = 0
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > member.size:
                    break
                with writing(place):
                    output.write(chunk)
            if size != member.size:
                raise EOFError(f"it has not the {member.size:,} bytes that it declares")


def _zip_members(path: Path) -> Iterator[Member]:
    with _reading(path), zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            kind = stat.S_IFMT(mode)
            fault = "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "is a link or a device"
            fault = "is encrypted" if info.flag_bits & 1 else fault

            def content(info: zipfile.ZipInfo = info) -> IO[bytes]:
                return archive.open(info)

            yield Member(info.filename, info.file_size, info.is_dir(), fault, content)


class _Header(tarfile.TarInfo):
    """A header of a tar file. A large one of the kinds that are read into memory is refused."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.type in EXTENDED and header.size > CHUNK:
            raise tarfile.ReadError(f"a header has {header.size:,} bytes")
        return header


def _tar_members(path: Path) -> Iterator[Member]:
    with _reading(path), tarfile.open(path, tarinfo=_Header) as archive:
        for info in archive:
            plain = (info.isreg() and not info.issparse()) or info.isdir()
            fault = "" if plain else "is a link or a device"

            def content(info: tarfile.TarInfo = info) -> IO[bytes] | None:
                return archive.extractfile(info)

            yield Member(info.name, info.size, info.isdir(), fault, content)


@contextmanager
def _reading(path: Path, name: str = "") -> Iterator[None]:
    """Turn what a damaged archive raises into one line that names it."""
    try:
        yield
    except DAMAGED as error:
        where = f"{path}: '{one_line(name, 80)}'" if name else str(path)
        raise RepriseError(
            f"{where}: cannot be read ({one_line(error, 100)}); download the archive again"
        ) from None
