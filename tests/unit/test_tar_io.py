"""An archive is extracted, or refused where it would leave its folder, with any Python 3.11."""

import io
import tarfile
from pathlib import Path

import pytest

from reprise.tar_io import extract


@pytest.fixture(params=["3.11.4 and later", "3.11.0 to 3.11.3"])
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "3.11.0 to 3.11.3":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    elif not hasattr(tarfile, "data_filter"):
        pytest.skip("this Python is older")


def archive(path: Path, *members: tuple[str, bytes, str]) -> tarfile.TarFile:
    """Of names with a type, and the text of a file or the target of a link."""
    with tarfile.open(path, "w") as written:
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o644
            if kind == tarfile.REGTYPE:
                member.size = len(text)
            else:
                member.linkname = text
            written.addfile(member, io.BytesIO(text.encode()))
    return tarfile.open(path)


@pytest.mark.usefixtures("python")
def test_files_and_links_inside_are_extracted(tmp_path: Path) -> None:
    members = ("a/b.txt", tarfile.REGTYPE, "text"), ("a/link", tarfile.SYMTYPE, "b.txt")
    with archive(tmp_path / "x.tar", *members) as opened:
        extract(opened, tmp_path / "out")
    assert (tmp_path / "out/a/link").read_text() == "text"
    assert (tmp_path / "out/a/link").is_symlink()


@pytest.mark.usefixtures("python")
@pytest.mark.parametrize(
    "members",
    [
        [("../b.txt", tarfile.REGTYPE, "text")],
        [("link", tarfile.SYMTYPE, "../..")],
        [("link", tarfile.SYMTYPE, "/etc")],
        [("pipe", tarfile.FIFOTYPE, "")],
    ],
    ids=["a name that climbs", "a link that climbs", "an absolute link", "a pipe"],
)
def test_what_leaves_the_folder_is_refused(
    tmp_path: Path, members: list[tuple[str, bytes, str]]
) -> None:
    with (
        archive(tmp_path / "x.tar", *members) as opened,
        pytest.raises(tarfile.TarError),
    ):
        extract(opened, tmp_path / "in" / "out")
    assert not (tmp_path / "in" / "b.txt").exists()
