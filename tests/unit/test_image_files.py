"""A user's folder becomes a list of images, or all of its faults."""

import os
from pathlib import Path

import numpy as np
import pytest
from support.own_folders import class_folders, mask_folders, save

from reprise.datasets.image_files import ImageFiles, list_image_files
from reprise.errors import RepriseError

GRAY = np.full((8, 8, 3), 100, np.uint8)


def listed(files: ImageFiles) -> dict[str, tuple[str, str, str]]:
    """Label, split and group by id."""
    assert files.faults == []
    return {item.id: (item.label, item.split, item.group) for item in files.items}


def test_class_folders_with_and_without_splits(tmp_path: Path) -> None:
    files = list_image_files(class_folders(tmp_path / "plain", 2))
    assert files.kind == "classification"
    assert listed(files)["disc_00"] == ("disc", "", "") and len(files.items) == 6
    for split in ("train", "validation", "Test"):
        class_folders(tmp_path / "split" / split, 2)
    items = listed(list_image_files(tmp_path / "split"))
    assert items["validation_stripe_01"] == ("stripe", "val", "")
    assert items["Test_disc_00"] == ("disc", "test", "") and len(items) == 18


def test_a_nested_folder_hidden_files_and_rubbish_are_seen_through(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos" / "photos", 1)
    save(tmp_path / "photos" / "photos" / ".hidden" / "a.png", GRAY)
    save(tmp_path / "photos" / "photos" / "disc" / "._00.png", GRAY)
    save(tmp_path / "__MACOSX" / "disc" / "a.png", GRAY)
    (tmp_path / "photos" / "photos" / "notes.txt").touch()
    assert len(listed(list_image_files(tmp_path))) == 3


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".tif", ".tiff", ".webp", ".bmp"])
def test_every_format_is_listed(suffix: str, tmp_path: Path) -> None:
    assert len(list_image_files(class_folders(tmp_path, 1, suffix=suffix)).items) == 3


def test_images_alone(tmp_path: Path) -> None:
    for name in ("a.png", "b/c.png"):
        save(tmp_path / name, GRAY)
    files = list_image_files(tmp_path, "unlabelled")
    assert listed(files) == {"a": ("", "", ""), "b_c": ("", "", "")}


def test_masks_are_paired_by_stem(tmp_path: Path) -> None:
    files = list_image_files(mask_folders(tmp_path / "plain", 3))
    assert files.kind == "segmentation"
    assert [(item.file, item.mask) for item in files.items][0] == (
        "images/000.jpg",
        "masks/000.png",
    )
    assert [*listed(files)] == ["000", "001", "002"]
    for split in ("train", "val"):
        save(tmp_path / "b" / "img_dir" / split / "x.png", GRAY)
        save(tmp_path / "b" / "ann_dir" / split / "x_labels.png", GRAY)
    assert listed(list_image_files(tmp_path / "b"))["val_x"] == ("", "val", "")
    save(tmp_path / "c" / "x.jpg", GRAY)
    save(tmp_path / "c" / "x_mask.png", GRAY)
    assert [*listed(list_image_files(tmp_path / "c", "segmentation"))] == ["x"]
    (tmp_path / "plain" / "masks" / "000.png").unlink()
    (tmp_path / "plain" / "images" / "001.jpg").unlink()
    save(tmp_path / "plain" / "images" / "002.png", GRAY)
    faults = list_image_files(tmp_path / "plain").faults
    assert [line.rpartition(": ")[2] for line in faults] == [
        "images/002.jpg has the same name; keep one of them",
        "has no mask of that name; add it",
        "has no image of that name; add it",
    ]


def test_a_csv_file_has_labels_splits_and_groups(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / "all" / f"{name}.png", GRAY)
    table = tmp_path / "list.csv"
    rows = ["Path,label,split,group", "all/a.png,cat,train,p1", "all/b.png,07,valid,p2"]
    table.write_text("\r\n".join([*rows, "all/c.png,dog,test,p3", ""]))
    expected = {
        "all_a": ("cat", "train", "p1"),
        "all_b": ("7", "val", "p2"),
        "all_c": ("dog", "test", "p3"),
    }
    assert listed(list_image_files(table)) == listed(list_image_files(tmp_path)) == expected
    (tmp_path / "other.csv").write_text("file,class\nall/a.png,x\n")
    with pytest.raises(RepriseError, match=r"list.csv and other.csv both list images; pass one"):
        list_image_files(tmp_path)
    table.write_text("path,mask\nall/a.png,all/b.png\n")
    assert list_image_files(table).kind == "segmentation"
    table.write_text("path\nall/a.png\n")
    assert list_image_files(table).kind == "unlabelled"


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("../a.png,x,train,g", "line 2: '../a.png' does not name a file in"),
        ("/etc/passwd,x,train,g", "line 2: '/etc/passwd' does not name a file in"),
        ("C:\\a.png,x,train,g", "does not name a file in"),
        ("b.png,x,train,g", "b.png does not exist"),
        ("a.png,,train,g", "line 2: no label; fill the cell"),
        ("a.png,x,training,g", "line 2: split 'training'; use train, val or test"),
        ("a.png,x,train,", "line 2: no group"),
        ("a.png,x,train", "line 2: 3 cells, the header has 4"),
        ("a.png,x,train,g\na.png,x,train,g", "another image is named 'a' too; rename one"),
        ("a.png,x,train,g\nc.png,y,test,g", "group 'g' is in the splits train and test"),
        ("a.png,x,test,g", "no image is in the split train"),
        ("", "0 images"),
    ],
)
def test_a_fault_of_a_csv_file_is_a_line(row: str, fault: str, tmp_path: Path) -> None:
    for name in "ac":
        save(tmp_path / "mine" / f"{name}.png", GRAY)
    save(tmp_path / "a.png", GRAY)
    table = tmp_path / "mine" / "list.csv"
    table.write_text(f"path,label,split,group\n{row}\n")
    assert any(fault in line for line in list_image_files(table).faults)


def test_faults_of_folders_are_all_listed(tmp_path: Path) -> None:
    class_folders(tmp_path, 2)
    save(tmp_path / "stray.png", GRAY)
    save(tmp_path / "disc" / "00.jpg", GRAY)
    save(tmp_path / "disc" / ("x" * 210 + ".png"), GRAY)
    os.symlink(tmp_path, tmp_path / "disc" / "round")
    (tmp_path / "disc" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    faults = "\n".join(list_image_files(tmp_path, "classification").faults)
    for part in (
        "stray.png: is in no folder of a class", "another image is named 'disc_00' too",
        "the name is too long; shorten it", "the name is not UTF-8; rename it",
    ):  # fmt: skip
        assert part in faults
    class_folders(tmp_path / "half" / "train", 2)
    save(tmp_path / "half" / "disc" / "a.png", GRAY)
    half = list_image_files(tmp_path / "half").faults
    assert any("is in no split, but others are in train" in line for line in half)


def test_a_header_that_lacks_what_the_kind_needs_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("path,group\na.png,1\n")
    with pytest.raises(RepriseError, match="no column mask, which KIND=segmentation needs"):
        list_image_files(table, "segmentation")
    table.write_text("name,label\na.png,1\n")
    with pytest.raises(RepriseError, match="no column path; write the header path,label"):
        list_image_files(table)
    with pytest.raises(RepriseError, match="is not a directory, archive or csv file"):
        list_image_files(tmp_path / "nowhere")
