"""A trained run predicts images as it did in its evaluation; a mistake ends in one line."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.trained_project import error_of, predict

from reprise.__main__ import main
from reprise.datasets.classes import decode_mask
from reprise.datasets.prepared import Kind, PreparedDataset, read_prepared
from reprise.datasets.synthetic import LayoutVariant, write_synthetic
from reprise.datasets.tables import read_rows
from reprise.metrics.confusion import center_crop

CLASSES = "classify/dlcv2023/resnet101/0"
MASKS = "segment/dlcv2024/unet/0"


def exported(
    project: Path, name: str, kind: Kind, folder: Path, crop: int | None = None
) -> PreparedDataset:
    """Write the images that runs were evaluated on, or their centers, as files."""
    dataset = read_prepared(project / "results" / "prepare" / name, kind)
    folder.mkdir()
    for split in ("val", "test"):
        for row in dataset.require_rows(split):
            image = (
                dataset.images[row]
                if crop is None
                else center_crop(dataset.images[row], crop, crop)
            )
            Image.fromarray(image).save(folder / f"{dataset.index['id'][row]}.png")
    return dataset


@pytest.mark.parametrize(
    ("run", "name"), [(CLASSES, "dlcv_50"), ("finetune/dlcv2023/C/0", "office_home")]
)
def test_classes_are_those_of_the_evaluation(
    project: Path, tmp_path: Path, run: str, name: str
) -> None:
    dataset = exported(project, name, "classification", tmp_path / "images")
    out = tmp_path / "out.csv"
    predict(project, run, "--images", tmp_path / "images", "--out", out)
    written = pd.read_csv(out, dtype=str)
    assert list(written) == ["id", "filename", "label"]
    evaluated = pd.read_csv(project / "results" / run / "predictions.csv", dtype={"id": str})
    names = evaluated["prediction"].map(dataset.classes.names.__getitem__)
    expected = dict(zip(evaluated["id"], names, strict=True))
    ids = written["filename"].str.removesuffix(".png")
    assert dict(zip(ids, written["label"], strict=True)) == expected
    assert len(set(expected.values())) > 1
    before = out.read_bytes()
    predict(project, run, "--images", tmp_path / "images", "--out", out)
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("run", "name", "merge_classes", "crop"),
    [
        ("segment/dlcv2023/deeplabv3/0", "deepglobe", None, None),
        ("segment/cs6550/fcn8s_noskip_3/0", "camvid", 3, 64),
    ],
)
def test_masks_are_those_of_the_evaluation(
    project: Path, tmp_path: Path, run: str, name: str, merge_classes: int | None, crop: int | None
) -> None:
    """Of a network of crops at the center, which is what it was evaluated on."""
    dataset = exported(project, name, "segmentation", tmp_path / "images", crop)
    predict(project, run, "--images", tmp_path / "images", "--out", tmp_path / "out")
    colors = np.array(dataset.merged(merge_classes)[0].colors, np.uint8)
    evaluated = sorted((project / "results" / run / "predictions").iterdir())
    assert len(evaluated) == len(list((tmp_path / "out").iterdir())) > 4
    for path in evaluated:
        mask = np.asarray(Image.open(tmp_path / "out" / f"{path.stem}_mask.png"))
        assert np.array_equal(mask, colors[np.asarray(Image.open(path))])


def test_a_mask_has_the_size_of_its_image_and_the_courses_palette(
    project: Path, tmp_path: Path
) -> None:
    image = Image.fromarray(np.load(project / "results/prepare/deepglobe/images.npy")[0])
    (tmp_path / "images").mkdir()
    sizes = {"0001": (128, 128), "0002": (200, 90), "0003": (31, 77), "0004": (64, 64)}
    for name, size in sizes.items():
        image.resize(size).save(tmp_path / "images" / f"{name}_sat.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("of another program")
    run = "segment/dlcv2023/deeplabv3/0"
    for _ in range(2):
        predict(project, run, "--images", tmp_path / "images", "--out", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *(f"{name}_mask.png" for name in sizes), "notes.txt",
    ]  # fmt: skip
    for name, size in sizes.items():
        mask = Image.open(tmp_path / "out" / f"{name}_mask.png")
        assert mask.size == size and mask.mode == "RGB"
        assert (decode_mask(np.asarray(mask)) < 6).all()  # only colours of classes
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("words", [False, True])
def test_a_csv_gives_the_order_and_the_years_labels(
    project: Path, tmp_path: Path, words: bool
) -> None:
    """Labels are words where the course gave words, and numbers where it gave numbers."""
    copy = tmp_path / "project"
    shutil.copytree(project, copy, symlinks=True)
    if words:
        path = copy / "results" / "prepare" / "office_home" / "dataset.json"
        info = json.loads(path.read_text())
        for entry in info["classes"]:
            entry["name"] = f"Thing{entry['id']}"
        path.write_text(json.dumps(info))
    write_synthetic(tmp_path / "data", "office_home", 4, LayoutVariant(word_labels=words))
    root = tmp_path / "data" / "office"
    rows = [row for _, row in read_rows(root / "val.csv")]
    listed = [rows[0], *([*row[:2], "None"] for row in reversed(rows[1:]))]
    with (tmp_path / "list.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(listed)
    run = "finetune/dlcv2023/C/0"
    predict(copy, run, "--csv", tmp_path / "list.csv", "--images", root / "val",
            "--out", tmp_path / "out.csv")  # fmt: skip
    written = [row for _, row in read_rows(tmp_path / "out.csv")]
    assert [row[:2] for row in written] == [row[:2] for row in listed]
    assert all(row[2].isdecimal() != words for row in written[1:])
    assert not words or {row[2] for row in written[1:]} <= {f"Thing{n}" for n in range(8)}
    evaluated = pd.read_csv(copy / "results" / run / "predictions.csv", dtype={"id": str})
    if not words:  # the very files of the test split
        expected = dict(zip(evaluated["id"], evaluated["prediction"], strict=True))
        for _, name, label in written[1:]:
            assert expected.get(Path(name).stem, int(label)) == int(label)


def test_a_warning_says_that_the_best_epoch_predicts_without_the_ensemble(
    project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    run = "classify/dlcv2021/resnet101/0"
    with caplog.at_level("INFO"):
        predict(project, run, "--images", tmp_path, "--out", tmp_path / "x.csv")
    assert "vote of 2 epochs; only its best epoch predicts here" in caplog.text


CSV = "id,filename,label\n"
MISTAKES = {
    "no folder": (CLASSES, "--images {t}/none", "none: not a directory; pass the directory"),
    "empty": (CLASSES, "--images {t}/empty", "empty: contains no .jpg or .png"),
    "outside": (CLASSES, "--csv {t}/outside.csv", "line 2: '../x.png' is not a file name inside"),
    "absent": (CLASSES, "--csv {t}/absent.csv", "line 3: {t}/images/b.png not found"),
    "no csv": (CLASSES, "--csv {t}/none.csv", "none.csv: not found"),
    "header": (CLASSES, "--csv {t}/header.csv", "line 1: no column 'filename'"),
    "cells": (CLASSES, "--csv {t}/cells.csv", "line 2: 2 cells, but the header has 3"),
    "no rows": (CLASSES, "--csv {t}/rows.csv", "rows.csv: lists no image"),
    "damaged": (CLASSES, "--images {t}/damaged", "b.png: cannot be decoded as an image"),
    "damaged mask": (MASKS, "--images {t}/damaged", "b.png: cannot be decoded as an image"),
    "strip": (MASKS, "--images {t}/strip", "a.png: 900 x 3 pixels"),
    "same mask": (MASKS, "--images {t}/two", "its mask would be a_mask.png, as would that of"),
    "column": (CLASSES, "--header id,name", "unknown column 'name'; choose from id"),
    "line": (CLASSES, "--header id\n", "--header: not one line"),
    "scale": (MASKS, "--scale large", "--scale 'large': must be a factor above 0, such as 0.5, or"),
    "no scale": (MASKS, "--scale 0", "--scale '0': must be a factor above 0"),
    "infinite": (MASKS, "--scale inf", "--scale 'inf': must be a factor above 0"),
    "huge": (MASKS, "--scale 1e9", "a.png: 32 x 32 pixels, 32000000000 x 32000000000 with"),
    "scale of classes": (CLASSES, "--scale 1", f"--scale 1: {CLASSES} predicts classes"),
    "mask": (MASKS, "--mask ../{}.png", "must be a PNG file name containing {}, e.g. {}_mask.png"),
    "mask without name": (MASKS, "--mask a.png", "must be a PNG file name containing {}"),
}


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders and CSV files with one mistake each."""
    folder = tmp_path_factory.mktemp("wrong")
    image = Image.new("RGB", (32, 32))
    for name in ("images", "empty", "damaged", "strip", "two"):
        (folder / name).mkdir()
    image.save(folder / "images" / "a.png")
    image.save(folder / "damaged" / "a.png")
    (folder / "damaged" / "b.png").write_bytes(b"not an image")
    Image.new("RGB", (900, 3)).save(folder / "strip" / "a.png")
    image.save(folder / "two" / "a.png")
    image.save(folder / "two" / "a_sat.jpg")
    (folder / "outside.csv").write_text(f"{CSV}0,../x.png,None\n")
    (folder / "absent.csv").write_text(f"{CSV}0,a.png,None\r\n1,b.png,None\r\n")
    (folder / "header.csv").write_text("0,a.png,None\n")
    (folder / "cells.csv").write_text(f"{CSV}0,a.png\n")
    (folder / "rows.csv").write_text(CSV)
    return folder


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(
    project: Path, wrong: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    run, options, expected = MISTAKES[name]
    words = [word.replace("{t}", str(wrong)) for word in options.split(" ")]
    if "--images" not in words:
        words += ["--images", str(wrong / "images")]
    message = error_of(project, caplog, run, *words, "--out", tmp_path / "out")
    assert expected.replace("{t}", str(wrong)) in message
    assert list(tmp_path.iterdir()) == []


def test_an_output_of_the_wrong_kind_or_that_replaces_an_input_is_an_error(
    project: Path, wrong: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = tmp_path / "images"
    shutil.copytree(wrong / "images", images)
    before = (images / "a.png").read_bytes()
    for run, out, expected in (
        (CLASSES, images, f"is a folder, but {CLASSES} predicts classes"),
        (MASKS, images / "a.png", f"is a file, but {MASKS} predicts masks"),
        (CLASSES, images / "a.png", "is an input"),
        (MASKS, images, "is an input"),
    ):
        assert expected in error_of(project, caplog, run, "--images", images, "--out", out)
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "x.csv"
    message = error_of(project, caplog, CLASSES, "--images", images, "--out", out)
    assert "cannot be written" in message
    assert [path.name for path in images.iterdir()] == ["a.png"]
    assert (images / "a.png").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "words"), [("--help", ["predict"]), ("predict --help", ["--images", "--csv", "--out"])]
)
def test_help_lists_the_commands_and_the_options(
    line: str,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["reprise", *line.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    printed = capsys.readouterr().out
    assert all(word in printed for word in words)
