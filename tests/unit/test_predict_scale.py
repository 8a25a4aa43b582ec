"""The scale and the orientation at which a trained run reads images of any size."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.trained_project import predict

from reprise.predict.trained_run import TrainedRun

CLASSES = "classify/dlcv2023/resnet101/0"
MASKS = "segment/dlcv2023/deeplabv3/0"


@pytest.fixture
def shades(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes by the brightness of a pixel: the tiny networks predict one class everywhere."""

    def logits(run: TrainedRun, images: np.ndarray) -> torch.Tensor:
        brightness = torch.from_numpy(images).float().mean(dim=3)
        levels = torch.linspace(40, 215, len(run.classes.names))[:, None, None]
        return -(brightness[:, None] - levels).abs()

    monkeypatch.setattr(TrainedRun, "logits", logits)


def copy_of(project: Path, folder: Path, name: str, scaling: str | None) -> Path:
    """A copy of a project with another `scaling` in one dataset.json, or without one."""
    shutil.copytree(project, folder, symlinks=True)
    path = folder / "results" / "prepare" / name / "dataset.json"
    info = json.loads(path.read_text())
    info.pop("scaling", None)
    path.write_text(json.dumps(info | ({"scaling": scaling} if scaling else {})))
    return folder


@pytest.mark.usefixtures("shades")
def test_masks_are_predicted_at_the_scale_of_the_training_images(
    project: Path, tmp_path: Path
) -> None:
    """Own scale where those were cut, else scaled; an older dataset.json does not say which."""
    tiles = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    picture = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
    Image.fromarray(picture).save(tmp_path / "images" / "large.png")
    Image.fromarray(tiles[0]).save(tmp_path / "images" / "tile.png")

    def masks(folder: Path, *options: str) -> dict[str, bytes]:
        out = tmp_path / "out"
        predict(folder, MASKS, "--images", tmp_path / "images", "--out", out, *options)
        assert Image.open(out / "large_mask.png").size == picture.shape[1::-1]
        return {path.stem: path.read_bytes() for path in out.iterdir()}

    datasets = {
        value: copy_of(project, tmp_path / f"{value}", "deepglobe", value)
        for value in ("cut", "resized", None)
    }
    native, covering = (masks(project, "--scale", scale) for scale in ("1", "cover"))
    assert native["large_mask"] != covering["large_mask"]
    assert native["tile_mask"] == covering["tile_mask"]
    assert masks(datasets["cut"]) == native
    assert masks(datasets["resized"]) == masks(datasets[None]) == covering
    assert masks(datasets["cut"], "--scale", "cover") == covering
    assert masks(project, "--scale", "0.5")["large_mask"] == covering["large_mask"]  # 128 to 64


def test_a_classifier_of_images_that_were_cut_says_that_it_scales_others(
    project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut = copy_of(project, tmp_path / "cut", "dlcv_50", "cut")
    height, width = np.load(project / "results/prepare/dlcv_50/images.npy").shape[1:3]
    for size, folder, warned in (
        ((width, height), cut, False),
        ((2 * width, height), cut, True),
        ((2 * width, height), project, False),
    ):
        Image.new("RGB", size).save(tmp_path / "a.png")
        caplog.clear()
        predict(folder, CLASSES, "--images", tmp_path, "--out", tmp_path / "x.csv")
        assert ("seen at another scale than in training" in caplog.text) == warned


@pytest.mark.usefixtures("shades")
def test_a_picture_that_a_camera_turned_gets_the_mask_of_the_upright_one(
    project: Path, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    upright = Image.fromarray(pixels)
    upright.save(tmp_path / "images" / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored after a quarter turn to the left
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "images" / "turned.png", exif=exif)
    predict(project, MASKS, "--images", tmp_path / "images", "--out", tmp_path / "out")
    masks = [Image.open(tmp_path / "out" / f"{name}_mask.png") for name in ("turned", "upright")]
    assert masks[0].size == masks[1].size == (64, 40)
    assert np.array_equal(*map(np.asarray, masks))
    assert len(np.unique(np.asarray(masks[0]))) > 1
