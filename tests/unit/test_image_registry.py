"""A user's images are checked with all faults in one list, listed, linked and shown."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.own_folders import LEGEND, class_folders, mask_folders, register, save

from reprise.atomic_io import sha256
from reprise.datasets import registry
from reprise.datasets.contact_sheet import COLUMNS, GAP, SIDE
from reprise.errors import RepriseError


@pytest.fixture(autouse=True)
def log_everything(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO)


def test_registering_writes_a_list_a_link_and_a_contact_sheet(tmp_path: Path) -> None:
    folder, raw = class_folders(tmp_path / "mine", 3), tmp_path / "raw"
    registered = register(folder, raw)
    assert registered.digest == sha256(raw / "mine.csv") and registered.side == 40
    rows = pd.read_csv(raw / "mine.csv", keep_default_na=False)
    columns = ["file", "label", "mask", "split", "group", "sha256", "mask_sha256"]
    assert rows.columns.tolist() == columns and len(rows) == 9
    assert rows["sha256"][0] == sha256(folder / rows["file"][0])
    assert (raw / "mine").resolve() == folder.resolve()
    with Image.open(raw / "mine.png") as sheet:
        assert sheet.width == COLUMNS * (SIDE + GAP) + GAP
        pixels = np.asarray(sheet)
    assert (pixels[30, 10] != 255).any() and (pixels[30, -10] == 255).all()
    assert register(folder, raw) == registered
    assert not registry.is_course_table(raw / "mine.csv")


def test_a_zip_file_and_a_csv_file_are_registered_too(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "mine", 2)
    archive = Path(shutil.make_archive(str(tmp_path / "mine"), "zip", folder))
    digest = register(folder, tmp_path / "raw").digest
    assert register(archive, tmp_path / "raw").digest == digest
    (folder / "list.csv").write_text("path,label\ndisc/00.png,a\nsquare/00.png,b\n")
    assert len(register(folder / "list.csv", tmp_path / "raw").items) == 2


def test_all_problems_are_named_at_once_and_nothing_is_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = class_folders(tmp_path / "mine", 2)
    (folder / "disc" / "00.png").write_bytes(b"not an image")
    save(folder / "DISC" / "0.png", np.zeros((8, 8, 3), np.uint8))
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(folder / "disc" / "moving.webp", save_all=True, append_images=frames[1:])
    Image.new("1", (10_001, 5_000)).save(folder / "disc" / "huge.png")
    with pytest.raises(RepriseError, match=r"4 problems \(listed above\)"):
        register(folder, tmp_path / "raw")
    for part in (
        "00.png: cannot be decoded as an image", "it has several images; save one",
        "10001 x 5000 pixels are more than 50 million", "'disc' differ only in case",
    ):  # fmt: skip
        assert part in caplog.text
    assert not (tmp_path / "raw").exists()


def test_many_problems_are_counted_and_written_to_a_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = class_folders(tmp_path / "mine", 10)
    for path in folder.rglob("*.png"):
        path.write_bytes(b"x")
    match = r"30 problems \(listed in logs/data_problems.txt\)"
    with pytest.raises(RepriseError, match=match):
        register(folder, tmp_path / "raw")
    assert "and 10 more, all in logs/data_problems.txt" in caplog.messages
    lines = registry.PROBLEMS.read_text().splitlines()
    assert len(lines) == 30 and all("cannot be decoded" in line for line in lines)


def test_identical_images_are_one_group_unless_splits_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = class_folders(tmp_path / "mine", 3)
    pixels = np.asarray(Image.open(folder / "disc" / "00.png"))
    for name in ("disc/copy.bmp", "square/copy.tif"):  # other files, the same pixels
        save(folder / name, pixels)
    registered = register(folder, tmp_path / "raw")
    assert (
        "mine: 1 pairs of identical images of one class, if any: disc/00.png = disc/copy.bmp"
        in (caplog.messages)
    )
    assert "of two classes: disc/00.png = square/copy.tif" in caplog.text
    groups = [item.group for item in registered.items if "copy" in item.id or item.id == "disc_00"]
    assert groups == ["disc_00"] * 3
    for split in ("train", "test"):
        shutil.copytree(folder, tmp_path / "split" / split)
    caplog.clear()
    assert {i.group for i in register(tmp_path / "split", tmp_path / "raw").items} - {""} >= {
        "train_disc_00"
    }
    assert "pairs of identical images in two splits" in caplog.text


def test_one_class_and_a_class_without_training_images_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = class_folders(tmp_path / "mine" / "train", 2).parent
    class_folders(folder / "test", 2)
    shutil.rmtree(folder / "train" / "stripe")
    with pytest.raises(RepriseError, match="1 problem "):
        register(folder, tmp_path / "raw")
    assert "class 'stripe' has no image in the train split; add some" in caplog.text
    for name in ("square", "stripe"):
        shutil.rmtree(folder / "test" / name)
    shutil.rmtree(folder / "train" / "square")
    with pytest.raises(RepriseError, match="1 problem "):
        register(folder, tmp_path / "raw")
    assert "has only the class 'disc'; add the others" in caplog.text


def test_a_class_with_a_line_break_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = class_folders(tmp_path / "mine", 2)
    (folder / "disc").rename(folder / "di\nsc")
    with pytest.raises(RepriseError, match="1 problem "):
        register(folder, tmp_path / "raw")
    assert r"class 'di\nsc' has characters that are not shown; rename it" in caplog.text
    assert not any((tmp_path / "raw").glob("*"))


def test_a_folder_of_a_class_without_images_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = class_folders(tmp_path / "mine" / "train", 2).parent
    for name in ("oval", ".hidden"):
        (folder / "train" / name).mkdir()
        (folder / "train" / name / "a.heic").touch()
    (folder / "val" / "disc").mkdir(parents=True)
    register(folder, tmp_path / "raw")
    lines = [line for line in caplog.messages if "no image in it" in line]
    assert lines == [
        f"mine: {folder}/train/oval: no image in it (.jpg, .jpeg, .png, .tif, .tiff, .webp, .bmp), "
        "so it is not a class"
    ]


def test_too_many_classes_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "mine" / "a.png", np.zeros((4, 4, 3), np.uint8))
    os_link = tmp_path / "mine" / "images"
    os_link.mkdir()
    rows = ["path,label"]
    for number in range(4):
        (os_link / f"{number}.png").hardlink_to(tmp_path / "mine" / "a.png")
        rows.append(f"images/{number}.png,{number}")
    (tmp_path / "mine" / "list.csv").write_text("\n".join(rows))
    monkeypatch.setattr("reprise.datasets.image_registry.MAX_CLASSES", 3)
    with pytest.raises(RepriseError, match="1 problem "):
        register(tmp_path / "mine", tmp_path / "raw")
    assert "4 classes; at most 3 are supported" in caplog.text


def test_masks_and_their_legend_are_checked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = mask_folders(tmp_path / "mine", 6)
    registered = register(folder, tmp_path / "raw")
    assert registered.legend == {"ground": (0, 0, 0), "disc": (255, 0, 0), "square": (0, 0, 255)}
    mask = np.zeros((40, 40, 3), np.uint8)
    mask[:9] = (0, 255, 0)
    save(folder / "masks" / "000.png", mask)
    save(folder / "masks" / "001.png", mask[:20] * 0)
    save(folder / "masks" / "002.png", mask[..., 1])
    with pytest.raises(RepriseError, match="3 problems "):
        register(folder, tmp_path / "raw")
    assert (
        "000.png: has color #00ff00, which is not in the legend (masks with it: 1)" in caplog.text
    )
    assert "001.png: (40, 20) (width, height), its image (40, 40); the sizes must be" in caplog.text
    assert "002.png: mode L, but the legend has colors; save it as RGB" in caplog.text


def test_masks_without_a_legend_get_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = mask_folders(tmp_path / "mine", 6)
    (folder / "legend.csv").unlink()
    legend = register(folder, tmp_path / "raw").legend
    assert legend["color_ff0000"] == (255, 0, 0) and len(legend) == 3
    for number, path in enumerate(sorted((folder / "masks").iterdir())):
        ids = np.full((40, 40), 255 if number == 0 else 300 * (number % 2), np.uint16)
        ids[:4] = 255
        save(path, ids)
    registered = register(folder, tmp_path / "raw")
    assert registered.legend == {"class_0": 0, "class_300": 300} and registered.ignore == [255]
    assert "masks without a labelled pixel: 1, such as masks/000.png" in caplog.text
    assert "masks with one class only: 5" in caplog.text
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    for path in (folder / "masks").iterdir():
        save(path, noise)
    with pytest.raises(RepriseError, match="1 problem "):
        register(folder, tmp_path / "raw")
    assert "colors, more than 64; pass a LEGEND, and masks as PNG files" in caplog.text


def test_crops_need_large_enough_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RepriseError, match="1 problem "):
        register(class_folders(tmp_path / "mine", 2), tmp_path / "raw", crop=64)
    assert "6 images are smaller than the crop of 64 pixels, such as 40 x 40" in caplog.text


def test_a_folder_that_holds_data_raw_and_a_bad_name_are_refused(tmp_path: Path) -> None:
    class_folders(tmp_path, 2)
    with pytest.raises(RepriseError, match="contains .*raw, which links to folders"):
        register(tmp_path, tmp_path / "raw")
    (tmp_path / "raw" / "mine").mkdir(parents=True)
    with pytest.raises(RepriseError, match="mine: already exists; move it away"):
        register(class_folders(tmp_path / "x", 2), tmp_path / "raw")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,value\na,1\na,2\n", "line 3: 'a' is there twice"),
        ("a,#12345\n", "line 1: write name,id or name,#rrggbb or name,red,green,blue"),
        ("a,70000\n", "line 1: write"),
        ("a,1,2\n", "line 1: write"),
        ("void,0\n", "names no class"),
    ],
)
def test_a_fault_of_a_legend_is_named(text: str, message: str, tmp_path: Path) -> None:
    folder = mask_folders(tmp_path / "mine", 2)
    (folder / "legend.csv").write_text(text)
    with pytest.raises(RepriseError, match=message):
        register(folder, tmp_path / "raw")
    assert LEGEND.startswith("name,value")
