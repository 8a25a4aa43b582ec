"""The courses' folders: every layout is found and listed, and every fault is named."""

import shutil
from pathlib import Path

import pytest
from support.course_folders import Folders, load_folder, spoil_office_home

from reprise.datasets.layouts import (
    list_folder,
    matching_folders,
    read_rows,
    safe_join,
)
from reprise.errors import RepriseError


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory.mktemp("folders"))


def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_an_archive_may_nest_its_folder_and_leave_rubbish(folders: Folders, tmp_path: Path) -> None:
    folder = copy(folders("dlcv_50"), tmp_path)
    data = tmp_path / "hw1_data"
    nested = data / "hw1_data"
    nested.mkdir(parents=True)
    (folder / "p1_data").rename(nested / "p1_data")
    for name in ("train_50", "val_50"):
        (data / "__MACOSX" / "p1_data" / name).mkdir(parents=True)
    (nested / "p1_data" / "train_50" / "._0_1.png").write_bytes(b"x")
    assert matching_folders(data, "dlcv_50") == [nested / "p1_data"]
    listing = list_folder(data, "dlcv_50")
    assert listing.root == nested / "p1_data" and listing.faults == []
    for name in ("train_50", "val_50"):
        (data / "copy" / name).mkdir(parents=True)
    with pytest.raises(RepriseError, match="both have the layout dlcv_50"):
        list_folder(data, "dlcv_50")
    with pytest.raises(RepriseError, match="no folder here holds train, validation"):
        list_folder(data, "deepglobe")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("outside", r"val.csv: line \d+: '\.\./train/0_0.jpg' does not name a file in"),
        ("twice", r"val.csv: line \d+: duplicate name '0_0'"),
        ("no label", r"train.csv: line 2: no label \(found 'None'\)"),
        ("mixed labels", r"train.csv: line \d+: label 'Couch', but other labels are numbers"),
        ("no file", r"train.csv: line \d+: .*3_1.jpg does not exist"),
        ("no row", r"new.jpg: not listed in .*train.csv"),
        ("no header", r"train.csv: line 1: no header id,filename,label"),
    ],
)
def test_a_fault_of_a_csv_file_is_named_with_file_and_line(
    folders: Folders, tmp_path: Path, fault: str, message: str
) -> None:
    folder = copy(folders("office_home"), tmp_path)
    spoil_office_home(folder, fault)
    with pytest.raises(RepriseError, match=message):
        load_folder(folder, "office_home", size=32)


def test_nothing_outside_the_folder_is_read(folders: Folders, tmp_path: Path) -> None:
    folder = copy(folders("office_home"), tmp_path)
    spoil_office_home(folder, "outside")
    listing = list_folder(folder, "office_home")
    assert sum("does not name a file" in fault for fault in listing.faults) == 3
    assert all(folder in path.parents and ".." not in path.parts for path in listing.files)


def test_unpaired_masks_are_faults(folders: Folders, tmp_path: Path) -> None:
    folder = copy(folders("deepglobe"), tmp_path)
    mask = next(folder.rglob("train/0001_mask.png"))
    mask.rename(mask.with_name("0009_mask.png"))
    assert len(list_folder(folder, "deepglobe").faults) == 2
    with pytest.raises(RepriseError, match=r"0001_sat.jpg: there is no 0001_mask.png.*and 1 more"):
        load_folder(folder, "deepglobe")


def test_val_gt_must_agree_with_the_names(folders: Folders, tmp_path: Path) -> None:
    folder = copy(folders("dlcv_50"), tmp_path)
    path = next(folder.rglob("val_gt.csv"))
    path.write_text(path.read_text().replace("2_1.png,2", "2_1.png,5") + "7_99.png,7\n")
    faults = list_folder(folder, "dlcv_50").faults
    assert len(faults) == 2 and "label 5, but the name has 2" in faults[0]
    assert "val_50/7_99.png does not exist" in faults[1]


@pytest.mark.parametrize("name", ["", "../a", "/a", "C:\\a", "a\\b", "a\0b", "b/../../a"])
def test_a_name_that_leaves_the_folder_is_refused(name: str) -> None:
    assert safe_join(Path("folder"), name) is None
    assert safe_join(Path("folder"), "b/a.png") == Path("folder/b/a.png")


def test_rows_have_their_lines_and_stripped_cells(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("\ufeffid, label\r\n\r\n1 ,\tx\r\n".encode())
    assert read_rows(path) == [(1, ["id", "label"]), (3, ["1", "x"])]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RepriseError, match="rows.csv: not a readable csv file"):
        read_rows(path)
    path.unlink()
    with pytest.raises(RepriseError, match="rows.csv: not found; copy it from the course's"):
        read_rows(path)
