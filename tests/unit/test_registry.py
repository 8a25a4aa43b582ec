"""`make data` registers a folder or an archive: all problems at once, or a link and a list."""

import logging
import shutil
from pathlib import Path

import pytest
from PIL import Image
from support.course_folders import Folders, spoil_office_home

from reprise.atomic_io import sha256
from reprise.datasets.registry import register
from reprise.errors import RepriseError


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory.mktemp("folders"))


@pytest.fixture(autouse=True)
def log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_all_problems_are_named_at_once(
    folders: Folders, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy(folders("office_home"), tmp_path)
    spoil_office_home(folder, "no file")
    spoil_office_home(folder, "mixed labels")
    broken = next(folder.rglob("val/0_1.jpg"))
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(RepriseError, match=r"3 problems \(listed above\)"):
        register(folder, "here", tmp_path / "raw", accept_counts=True)
    assert "3_1.jpg does not exist" in caplog.text and "'Couch'" in caplog.text
    assert "0_1.jpg: cannot be decoded" in caplog.text
    assert not (tmp_path / "raw").exists()


def test_masks_are_checked(
    folders: Folders, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy(folders("camvid"), tmp_path)
    mask = next(folder.rglob("trainannot/0000.png"))
    Image.new("L", (7, 5), 200).save(mask)
    with pytest.raises(RepriseError, match=r"2 problems \(listed above\)"):
        register(folder, "here", tmp_path / "raw", accept_counts=True)
    assert "has id 200" in caplog.text and "(7, 5) (width, height)" in caplog.text


def test_other_numbers_of_images_need_a_yes(
    folders: Folders, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, raw = folders("office_home"), tmp_path / "raw"
    with pytest.raises(RepriseError, match=r"2 problems \(listed above\)"):
        register(folder, "here", raw)
    line = "office_home: train: 32 images, the course published 3951; ACCEPT=1 registers them"
    assert line in caplog.messages and not raw.exists()
    registered = register(folder, "here", raw, accept_counts=True)
    assert "office_home: not files of a known archive" in caplog.messages
    assert (registered.name, registered.layouts) == ("here", ("office_home",))
    assert registered.digest == sha256(raw / "here.csv")
    assert register(folder, "here", raw, accept_counts=True) == registered  # may be repeated
    assert (raw / "here").resolve() == folder.resolve()
    lines = (raw / "here.csv").read_text().splitlines()
    assert lines[0] == "file,bytes,sha256" and len(lines) == 1 + 32 + 24 + 2


def test_what_is_not_there_is_named_with_the_archive_that_has_it(
    folders: Folders, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    register(folders("dlcv_50"), "here", tmp_path, accept_counts=True)
    assert any(
        line.startswith("not in this folder: office_home (in the HW1 archive of NTU DLCV 2023 and")
        and "2024, or that of HW4 2021 and 2022); mini_imagenet (in" in line
        for line in caplog.messages
    )


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("dlcv_50", "dlcv_hw1"),
        ("deepglobe", "dlcv_hw1"),
        ("office_home", "dlcv_hw4"),
        ("camvid", "cs6550_hw4"),
        ("camvid_segnet", "camvid"),
    ],
)
def test_a_folder_has_a_name_by_what_it_holds(
    folders: Folders, tmp_path: Path, layout: str, name: str
) -> None:
    assert register(folders(layout), None, tmp_path, True).name == name


def test_a_second_folder_does_not_take_the_name_of_the_first(
    folders: Folders, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw = tmp_path / "raw"
    first = copy(folders("dlcv_50"), tmp_path)
    assert register(first, None, raw, True).name == "dlcv_hw1"
    assert register(folders("deepglobe"), None, raw, True).name == "dlcv_hw1_2"
    assert register(first, None, raw, True).name == "dlcv_hw1"
    first.rename(tmp_path / "moved")
    assert register(tmp_path / "moved", None, raw, True).name == "dlcv_hw1"
    register(folders("deepglobe"), "dlcv_hw1", raw, True)  # named: it replaces the other one
    assert "dlcv_hw1: was registered for" in caplog.text


@pytest.mark.parametrize("form", ["zip", "gztar"])
def test_an_archive_is_unpacked_and_registered(form: str, folders: Folders, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "hw1"), form, folders("dlcv_50")))
    registered = register(archive, None, tmp_path / "raw", True)
    other = register(folders("dlcv_50"), "folder", tmp_path / "raw", True)
    assert registered.digest == other.digest and registered.name == "dlcv_hw1"


def test_what_is_no_course_folder_is_refused(folders: Folders, tmp_path: Path) -> None:
    folder = folders("office_home")
    with pytest.raises(RepriseError, match="contains none of the courses' layouts"):
        register(next(folder.rglob("office/val")), "here", tmp_path)
    shutil.copytree(next(folders("dlcv_50").rglob("train_50")), tmp_path / "part" / "train_50")
    with pytest.raises(RepriseError, match=r"part lacks val_50 of dlcv_50. For your own images"):
        register(tmp_path / "part", "here", tmp_path)
    with pytest.raises(RepriseError, match="not a directory or archive"):
        register(tmp_path / "nowhere", "here", tmp_path)
    with pytest.raises(RepriseError, match="not a whole zip or tar file"):
        register(next(folder.rglob("val.csv")), "here", tmp_path)
    (tmp_path / "there").mkdir()
    with pytest.raises(RepriseError, match="there: already exists; move it away"):
        register(folder, "there", tmp_path)
    with pytest.raises(RepriseError, match="use letters, digits"):
        register(folder, "a b", tmp_path)
    for name in ("a", "b"):
        shutil.copytree(folder / "office", tmp_path / "two" / name / "office")
    with pytest.raises(RepriseError, match="both have the layout office_home; pass one of them"):
        register(tmp_path / "two", "here", tmp_path / "raw")
