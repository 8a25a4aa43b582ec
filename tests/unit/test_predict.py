"""A trained run answers images as it did where it was judged; a mistake is one line."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from torch.nn import functional
from trained import predict, tiny

from reprise.__main__ import main
from reprise.data.course.listing import read_rows
from reprise.data.course.sample import Form, write_sample
from reprise.data.store import PreparedSet, Task, open_set
from reprise.palette import decode_mask
from reprise.prediction.windows import cut, joined


def refused(project: Path, caplog: pytest.LogCaptureFixture, *words: object) -> str:
    """The one line that a wrong command ends in."""
    caplog.clear()
    with pytest.raises(SystemExit) as ended:
        predict(project, *words)
    assert ended.value.code == 1
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1 and errors[0].exc_info is None
    return errors[0].getMessage()


def exported(project: Path, name: str, task: Task, folder: Path) -> PreparedSet:
    """Write the prepared images that runs were judged on as files."""
    data = open_set(project / "results" / "prepare" / name, task)
    folder.mkdir()
    for role in ("select", "report"):
        for row in data.rows(role):
            Image.fromarray(data.images[row]).save(folder / f"{data.index['id'][row]}.png")
    return data


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("classify/dlcv2023_resnet101/0", "fifty"),
        ("finetune/dlcv2023/C/0", "office"),
    ],
)
def test_classes_are_those_that_the_run_was_judged_by(
    project: Path, tmp_path: Path, run: str, name: str
) -> None:
    data = exported(project, name, "classification", tmp_path / "images")
    predict(project, run, "--images", tmp_path / "images", "--out", tmp_path / "out.csv")
    said = pd.read_csv(tmp_path / "out.csv", dtype=str)
    assert list(said) == ["id", "filename", "label"]
    judged = pd.read_csv(project / "results" / run / "predictions.csv", dtype={"id": str})
    wanted = dict(
        zip(judged["id"], judged["prediction"].map(data.classes.__getitem__), strict=True)
    )
    assert (
        dict(zip(said["filename"].str.removesuffix(".png"), said["label"], strict=True)) == wanted
    )
    assert len(set(wanted.values())) > 1
    before = (tmp_path / "out.csv").read_bytes()
    predict(project, run, "--images", tmp_path / "images", "--out", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("segment/dlcv2023_deeplabv3/0", "satellite"),
        ("street/cs6550_fcn8s_noskip_3/0", "camvid"),
    ],
)
def test_masks_are_those_that_the_run_was_judged_by(
    project: Path, tmp_path: Path, run: str, name: str
) -> None:
    data = exported(project, name, "segmentation", tmp_path / "images")
    predict(project, run, "--images", tmp_path / "images", "--out", tmp_path / "out")
    colours = data.info["merged"]["3"]["classes"] if name == "camvid" else data.info["classes"]
    palette = np.array([entry["color"] for entry in colours], np.uint8)
    judged = sorted((project / "results" / run / "predictions").iterdir())
    assert len(judged) == len(list((tmp_path / "out").iterdir())) > 4
    for path in judged:
        mask = np.asarray(Image.open(tmp_path / "out" / f"{path.stem}_mask.png"))
        assert np.array_equal(mask, palette[np.asarray(Image.open(path))])


def test_a_mask_has_its_images_own_size_and_the_courses_palette(
    project: Path, tmp_path: Path
) -> None:
    source = next((project / "results" / "prepare" / "satellite").glob("images.npy"))
    image = Image.fromarray(np.load(source)[0])
    (tmp_path / "images").mkdir()
    sizes = {"0001": (128, 128), "0002": (200, 90), "0003": (31, 77), "0004": (64, 64)}
    for name, size in sizes.items():
        image.resize(size).save(tmp_path / "images" / f"{name}_sat.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("of somebody else")
    run = "segment/dlcv2023_deeplabv3/0"
    for _ in range(2):
        predict(project, run, "--images", tmp_path / "images", "--out", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *(f"{name}_mask.png" for name in sizes), "notes.txt",
    ]  # fmt: skip
    for name, size in sizes.items():
        mask = Image.open(tmp_path / "out" / f"{name}_mask.png")
        assert mask.size == size and mask.mode == "RGB"
        assert (decode_mask(np.asarray(mask)) < 6).all()  # no colour but those of classes
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("words", [False, True])
def test_a_csv_is_answered_in_its_order_with_the_years_labels(
    project: Path, tmp_path: Path, words: bool
) -> None:
    """Labels are words where the course gave words, numbers where it gave numbers."""
    own = tmp_path / "project"
    shutil.copytree(project, own, symlinks=True)
    if words:
        path = own / "results" / "prepare" / "office" / "dataset.json"
        about = json.loads(path.read_text())
        for entry in about["classes"]:
            entry["name"] = f"Thing{entry['id']}"
        path.write_text(json.dumps(about))
    write_sample(tmp_path / "data", "office", 4, Form(words=words))
    root = tmp_path / "data" / "office"
    rows = [row for _, row in read_rows(root / "val.csv")]
    asked = [rows[0], *([*row[:2], "None"] for row in reversed(rows[1:]))]
    with (tmp_path / "ask.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(asked)
    predict(own, "finetune/dlcv2023/C/0", "--csv", tmp_path / "ask.csv",
            "--images", root / "val", "--out", tmp_path / "out.csv")  # fmt: skip
    answers = [row for _, row in read_rows(tmp_path / "out.csv")]
    assert [row[:2] for row in answers] == [row[:2] for row in asked]
    assert all(row[2].isdecimal() != words for row in answers[1:])
    assert not words or {row[2] for row in answers[1:]} <= {f"Thing{n}" for n in range(8)}
    judged = pd.read_csv(own / "results/finetune/dlcv2023/C/0/predictions.csv", dtype={"id": str})
    if not words:  # the very files of the report role
        of = dict(zip(judged["id"], judged["prediction"], strict=True))
        for _, name, label in answers[1:]:
            assert of.get(Path(name).stem, int(label)) == int(label)


def test_a_run_that_is_not_there_is_answered_with_those_that_are(
    project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = ("--images", project / "course", "--out", tmp_path / "x")
    (tmp_path / "a.png").touch()
    more = ("--images", tmp_path, "--out", tmp_path / "x.csv")
    said = refused(project, caplog, "classify/dlcv2023_resnet/0", *more)
    assert "no trained run 'classify/dlcv2023_resnet/0'" in said
    assert "did you mean 'classify/dlcv2023_resnet101/0'?" in said
    assert "segment/dlcv2024_unet/0" in said and "\n" not in said
    said = refused(project, caplog, "../classify/dlcv2023_resnet101/0", *more)
    assert "no trained run" in said
    (tmp_path / "empty").mkdir()
    shutil.copy(project / "params.yaml", tmp_path / "empty")
    assert "holds no trained run" in refused(tmp_path / "empty", caplog, "classify/cnn/0", *more)


def test_a_changed_recipe_and_a_damaged_model_are_refused(
    project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = tmp_path / "project"
    shutil.copytree(project, own, symlinks=True)
    (tmp_path / "images").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "images" / "a.png")
    run = "classify/dlcv2023_resnet101/0"
    line = (run, "--images", tmp_path / "images", "--out", tmp_path / "x.csv")
    values = tiny()
    values["classify"]["recipes"]["dlcv2023_resnet101"]["normalise"] = "imagenet"
    (own / "params.yaml").write_text(yaml.safe_dump(values))
    said = refused(own, caplog, *line)
    assert "classify.recipes.dlcv2023_resnet101 has changed since" in said
    values = tiny()
    values["plot"]["dpi"] = 50  # nothing to this run
    (own / "params.yaml").write_text(yaml.safe_dump(values))
    predict(own, *line)
    (tmp_path / "x.csv").unlink()
    model = own / "results" / run / "model.safetensors"
    model.write_bytes(model.read_bytes()[:1000])
    assert "model.safetensors: is not a safetensors file" in refused(own, caplog, *line)
    assert not (tmp_path / "x.csv").exists()


def test_the_vote_of_several_epochs_is_not_claimed(
    project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    with caplog.at_level("INFO"):
        predict(project, "classify/dlcv2021_resnet101/0", "--images", tmp_path,
                "--out", tmp_path / "x.csv")  # fmt: skip
    assert "2 epochs voted in its table; here its single best epoch answers" in caplog.text


CSV = "id,filename,label\n"
MISTAKES = {
    "no folder": ("classify", "--images {t}/none", "none: is no folder"),
    "empty": ("classify", "--images {t}/empty", "empty: holds no .jpg or .png"),
    "outside": ("classify", "--csv {t}/outside.csv", "line 2: '../x.png' is no name of a file"),
    "absent": ("classify", "--csv {t}/absent.csv", "line 3: {t}/images/b.png is not there"),
    "no csv": ("classify", "--csv {t}/none.csv", "none.csv: not found"),
    "header": ("classify", "--csv {t}/header.csv", "line 1: no column 'filename'"),
    "cells": ("classify", "--csv {t}/cells.csv", "line 2: 2 cells, the header has 3"),
    "no rows": ("classify", "--csv {t}/rows.csv", "rows.csv: names no image"),
    "damaged": ("classify", "--images {t}/damaged", "b.png: does not decode as an image"),
    "damaged mask": ("segment", "--images {t}/damaged", "b.png: does not decode as an image"),
    "strip": ("segment", "--images {t}/strip", "a.png: 900 x 3 pixels"),
    "two": ("segment", "--images {t}/two", "its mask would be a_mask.png, as that of"),
    "column": ("classify", "--header id,name", "column 'name' is unknown; choose from id"),
    "line": ("classify", "--header id\n", "--header: is not one line"),
    "mask": ("segment", "--mask ../{}.png", "is no name of a PNG"),
    "mask without name": ("segment", "--mask a.png", "is no name of a PNG"),
}


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders and csv files with one fault each."""
    folder = tmp_path_factory.mktemp("wrong")
    picture = Image.new("RGB", (32, 32))
    for name in ("images", "empty", "damaged", "strip", "two"):
        (folder / name).mkdir()
    picture.save(folder / "images" / "a.png")
    picture.save(folder / "damaged" / "a.png")
    (folder / "damaged" / "b.png").write_bytes(b"no image")
    Image.new("RGB", (900, 3)).save(folder / "strip" / "a.png")
    picture.save(folder / "two" / "a.png")
    picture.save(folder / "two" / "a_sat.jpg")
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
    part, more, said = MISTAKES[name]
    run = "classify/dlcv2023_resnet101/0" if part == "classify" else "segment/dlcv2024_unet/0"
    words = [word.replace("{t}", str(wrong)) for word in more.split(" ")]
    if "--images" not in words:
        words += ["--images", str(wrong / "images")]
    message = refused(project, caplog, run, *words, "--out", tmp_path / "out")
    assert " ".join(said.replace("{t}", str(wrong)).split()) in message
    assert list(tmp_path.iterdir()) == []


def test_an_output_of_the_wrong_kind_or_in_the_inputs_place_is_refused(
    project: Path, wrong: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = tmp_path / "images"
    shutil.copytree(wrong / "images", images)
    before = (images / "a.png").read_bytes()
    classes, masks = "classify/dlcv2023_resnet101/0", "segment/dlcv2024_unet/0"
    for run, out, said in (
        (classes, images, "is a folder; classify/dlcv2023_resnet101/0 gives classes"),
        (masks, images / "a.png", "is a file; segment/dlcv2024_unet/0 gives masks"),
        (classes, images / "a.png", "is what is read"),
        (masks, images, "is what is read"),
    ):
        assert said in refused(project, caplog, run, "--images", images, "--out", out)
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "x.csv"
    assert "cannot be written" in refused(
        project, caplog, classes, "--images", images, "--out", out
    )
    assert [path.name for path in images.iterdir()] == ["a.png"]
    assert (images / "a.png").read_bytes() == before


def test_help_says_what_predict_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, words in (
        ("--help", ["predict"]),
        ("predict --help", ["--images", "--csv", "--out"]),
    ):
        monkeypatch.setattr(sys, "argv", ["reprise", *line.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        said = capsys.readouterr().out
        assert all(word in said for word in words)


@pytest.mark.parametrize("size", [(64, 64), (64, 151), (200, 64), (64, 65)])
def test_windows_cover_an_image_and_come_back_to_their_places(size: tuple[int, int]) -> None:
    ids = np.random.default_rng(0).integers(0, 5, size, dtype=np.uint8)
    one = cut(np.repeat(ids[..., None], 3, axis=2), (64, 64), "a.png")
    assert one.windows.shape[1:] == (64, 64, 3) and len(one.windows) == len(one.places)
    # a network that sees each pixel's class
    logits = (
        functional.one_hot(torch.from_numpy(one.windows[..., 0]).long(), 5)
        .permute(0, 3, 1, 2)
        .float()
    )
    assert np.array_equal(joined(logits, one).numpy(), ids)


def test_an_image_is_scaled_until_it_covers_the_size_that_was_learnt() -> None:
    for own, scaled in (((32, 48), (64, 96)), ((300, 128), (150, 64)), ((10, 10), (64, 64))):
        one = cut(np.zeros((*own, 3), np.uint8), (64, 64), "a.png")
        assert one.scaled == scaled
        logits = torch.zeros(len(one.windows), 2, 64, 64)
        assert tuple(joined(logits, one).shape) == own
