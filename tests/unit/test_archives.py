"""Archives are unpacked safely: what could leave the folder or fill the disk is refused by name."""

import io
import os
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from reprise.datasets import archives
from reprise.datasets.archives import unpack
from reprise.errors import RepriseError

FILES = {"data/a.png": b"image", "data/b/c.csv": b"x,y\n", "data/notes.pdf": b"pdf"}
FILES |= {
    "__MACOSX/data/._a.png": b"x",
    "__MACOSX/x.zip": b"PK",
    "data/.hidden/a.png": b"x",
    "data/.DS_Store": b"x",
}
Entry = tuple[str, bytes, str]  # name, content or target, kind


def write_zip(path: Path, entries: list[Entry]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, kind in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            mode = {"link": stat.S_IFLNK, "pipe": stat.S_IFIFO}.get(kind, stat.S_IFREG)
            info.external_attr = (mode | 0o644) << 16
            archive.writestr(info, content)


def write_tar(path: Path, entries: list[Entry]) -> None:
    kinds = {"link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE}
    with tarfile.open(path, "w:gz") as archive:
        for name, content, kind in entries:
            info = tarfile.TarInfo(name)
            info.type = kinds.get(kind, tarfile.REGTYPE)
            if kind in ("link", "hard"):
                info.linkname = content.decode()
            elif kind != "pipe":
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


WRITERS = {"zip": write_zip, "tar.gz": write_tar}
Write = Callable[[Path, list[Entry]], None]


def entries(files: dict[str, bytes] = FILES) -> list[Entry]:
    return [(name, content, "file") for name, content in files.items()]


@pytest.mark.parametrize("ending", WRITERS)
def test_images_and_tables_are_unpacked_once(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"hw1.{ending}"
    WRITERS[ending](path, entries())
    folder = unpack(path, tmp_path / "raw")
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    assert files == {name: FILES[name] for name in ("data/a.png", "data/b/c.csv")}
    (folder / "data/a.png").write_bytes(b"seen")
    assert unpack(path, tmp_path / "raw") == folder
    assert (folder / "data/a.png").read_bytes() == b"seen"


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (("../evil.png", b"x", "file"), "'../evil.png': is a path outside"),
        (("data/../../evil.png", b"x", "file"), "is a path outside"),
        (("/evil.png", b"x", "file"), "'/evil.png': is a path outside"),
        (("C:\\evil.png", b"x", "file"), "is a path outside"),
        (("data/link.png", b"/etc/passwd", "link"), "'data/link.png': is a link or a device"),
        (("data/folder", b"..", "link"), "'data/folder': is a link or a device"),
        (("data/pipe.png", b"", "pipe"), "'data/pipe.png': is a link or a device"),
        (("data/inner.zip", b"PK", "file"), "'data/inner.zip': is an archive in the archive"),
        (("data/inner.tar.gz", b"x", "file"), "is an archive in the archive"),
        (
            ("data\\a.png", b"x", "file"),
            "has backslashes in its name, as some programs for Windows",
        ),
        (("data/a.png", b"other", "file"), "'data/a.png': is in the archive twice"),
        (("data/zero.png", bytes(200 * 2**20), "file"), "'data/zero.png': with it the archive has"),
    ],
)
def test_what_is_not_a_plain_file_in_the_folder_is_refused_by_name(
    ending: str, entry: Entry, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / f"hw1.{ending}"
    WRITERS[ending](path, [*entries(), entry])
    with pytest.raises(RepriseError, match="hw1.*unpack|hw1.*pass the folder") as error:
        unpack(path, tmp_path / "raw")
    assert reason in str(error.value)
    assert [p for p in (tmp_path / "raw").rglob("*") if p.is_file()] == []
    assert not (tmp_path / "evil.png").exists()


def test_a_hard_link_is_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", [*entries(), ("data/b.png", b"data/a.png", "hard")])
    with pytest.raises(RepriseError, match="'data/b.png': is a link or a device"):
        unpack(tmp_path / "a.tar", tmp_path / "raw")


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_a_truncated_archive_is_refused_and_leaves_nothing(
    ending: str, share: float, tmp_path: Path
) -> None:
    path = tmp_path / f"hw1.{ending}"
    WRITERS[ending](path, [(f"data/{i}.png", os.urandom(9000), "file") for i in range(9)])
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(RepriseError, match=r"hw1.*download (it|the archive) again"):
        unpack(path, tmp_path / "raw")
    assert [p for p in (tmp_path / "raw").rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("ending", WRITERS)
def test_changed_bytes_are_unpacked_or_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"hw1.{ending}"
    WRITERS[ending](path, [(f"data/{i}.png", os.urandom(300), "file") for i in range(5)])
    data = path.read_bytes()
    for place in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x5A]) + data[place + 1 :])
        try:
            unpack(path, tmp_path / "raw")
        except RepriseError as error:
            assert str(error).startswith(f"{path}")


def test_an_encrypted_entry_and_a_file_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, entries())
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    path.write_bytes(data)
    with pytest.raises(RepriseError, match="'data/a.png': is encrypted"):
        unpack(path, tmp_path / "raw")
    path.write_bytes(b"Rar!")
    with pytest.raises(RepriseError, match="not a whole zip or tar file"):
        unpack(path, tmp_path / "raw")


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 3)
    write_zip(tmp_path / "a.zip", entries())
    with pytest.raises(RepriseError, match="in 4 entries, more than .* or 3; unpack it"):
        unpack(tmp_path / "a.zip", tmp_path / "raw")


def test_a_huge_header_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as archive:
            info = tarfile.TarInfo("data/a.png")
            archive.addfile(info, io.BytesIO())
            header = tarfile.TarInfo("header")
            header.type, header.size = kind, 300 * 2**20
            archive.addfile(header, io.BytesIO(bytes(header.size)))
        tracemalloc.start()
        with pytest.raises(RepriseError, match="a header has 314,572,800 bytes"):
            unpack(path, tmp_path / "raw")
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
        tracemalloc.stop()
