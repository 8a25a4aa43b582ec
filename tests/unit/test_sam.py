"""Segment Anything: the published sizes; masks, scores and outlines as files.

There is no checkpoint here, so the masks of these tests come from a small untrained network: they
show that the parts fit, not that anything is segmented.
"""

import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from support.small_datasets import small_dataset, write_and_read
from torch import nn

from reprise.atomic_io import sha256
from reprise.engines.preset import render
from reprise.errors import RepriseError
from reprise.models.sam import build_sam, draw_outlines, generate_masks, write_masks
from reprise.models.weights import load_state, read_weights
from reprise.params.load import load_params
from reprise.params.segment_anything import SegmentAnythingRecipe
from reprise.params.training import WeightsFile

# the scores of an untrained network are low
ALL = SegmentAnythingRecipe(
    model="small", weights="none", points_per_side=4, min_predicted_iou=0, min_stability=0
)
ROOT = Path(__file__).parents[2]


def small() -> nn.Module:
    """The small network, initialised with one seed."""
    torch.manual_seed(0)
    return build_sam("small")


def with_min_iou(value: float) -> SegmentAnythingRecipe:
    return ALL.model_copy(update={"min_predicted_iou": value})


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "count"), [("vit_b", 93_735_472), ("vit_l", 312_342_832), ("vit_h", 641_090_608)]
)
def test_the_networks_have_their_published_sizes(name: str, count: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in build_sam(name).parameters()) == count


def test_masks_become_files_with_their_scores_and_outlines(
    tmp_path: Path, image: np.ndarray
) -> None:
    write_masks(tmp_path / "out", small(), {"0050": image}, ALL)
    scores = pd.read_csv(tmp_path / "out" / "scores.csv", dtype={"image": str})
    masks = sorted((tmp_path / "out" / "masks" / "0050").iterdir())
    assert len(masks) == len(scores) > 0 and (scores["image"] == "0050").all()
    assert scores["area"].is_monotonic_decreasing
    assert scores["stability"].between(0, 1).all()
    for path, row in zip(masks, scores.to_dict("records"), strict=True):
        pixels = np.asarray(Image.open(path))
        assert pixels.shape == (48, 64) and set(np.unique(pixels)) <= {0, 255}
        assert (pixels == 255).sum() == row["area"]
    drawn = np.asarray(Image.open(tmp_path / "out" / "outlines" / "0050.png"))
    assert drawn.shape == image.shape and (drawn != image).any()
    write_masks(tmp_path / "again", small(), {"0050": image}, ALL)
    for path in sorted((tmp_path / "out").rglob("*.*")):
        again = tmp_path / "again" / path.relative_to(tmp_path / "out")
        assert path.read_bytes() == again.read_bytes()


def test_masks_below_the_minimum_scores_are_dropped(image: np.ndarray) -> None:
    masks = generate_masks(small(), image, ALL)
    middle = float(np.median([mask["predicted_iou"] for mask in masks]))
    fewer = generate_masks(small(), image, with_min_iou(max(middle, 1e-6)))
    assert len(fewer) < len(masks) and all(m["predicted_iou"] > middle for m in fewer)
    assert generate_masks(small(), image, with_min_iou(1e9)) == []


def test_an_image_without_masks_has_an_empty_folder_and_a_table_of_no_rows(
    tmp_path: Path, image: np.ndarray
) -> None:
    write_masks(tmp_path / "out", small(), {"a": image}, with_min_iou(1e9))
    assert list((tmp_path / "out" / "masks" / "a").iterdir()) == []
    assert pd.read_csv(tmp_path / "out" / "scores.csv").empty
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "outlines" / "a.png")), image)


def test_outlines_are_the_inner_edges() -> None:
    mask = np.zeros((6, 6), bool)
    mask[1:5, 1:5] = True
    drawn = draw_outlines(np.zeros((6, 6, 3), np.uint8), [mask])
    edge = mask.copy()
    edge[2:4, 2:4] = False
    assert np.array_equal(drawn.any(axis=2), edge) and (drawn[1, 1] == (255, 0, 0)).all()
    whole = draw_outlines(np.zeros((3, 3, 3), np.uint8), [np.ones((3, 3), bool)])
    assert whole.any(axis=2).sum() == 8


def test_a_checkpoint_is_loaded_and_one_of_another_size_refused(tmp_path: Path) -> None:
    path = tmp_path / "sam.pth"
    torch.save(small().state_dict(), path)
    files = {"sam": WeightsFile(path=str(path), sha256=sha256(path))}
    state, again = read_weights("sam", files), small()
    nn.init.zeros_(again.mask_decoder.iou_token.weight)
    load_state(again, state, str(path))
    assert torch.equal(again.mask_decoder.iou_token.weight, state["mask_decoder.iou_token.weight"])
    with torch.device("meta"):
        other = build_sam("vit_b")
    with pytest.raises(RepriseError, match=r"sam.pth: does not fit the network"):
        load_state(other, state, str(path))


def run_stage(
    monkeypatch: pytest.MonkeyPatch, folder: Path, image: np.ndarray, text: str, run: str
) -> None:
    """The stage's script on a dataset of nine copies of the image."""
    maps = np.zeros((9, 48, 64), np.uint8)
    write_and_read(folder / "data", small_dataset(np.stack([image] * 9), maps, 1))
    (folder / "params.yaml").write_text(text)
    words = ["--task", "dlcv2024", "--run", run, "--data", "data", "--out", "out"]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["segment_anything.py", *words])
    script = ROOT / "workflow" / "scripts" / "segment_anything.py"
    runpy.run_path(str(script), run_name="__main__")


def test_the_stage_writes_the_masks_of_the_images_that_params_name(
    tmp_path: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = render("course-smoke", ROOT / "presets")
    run_stage(monkeypatch, tmp_path, image, text, "vit_h")
    scores = pd.read_csv(tmp_path / "out" / "scores.csv", dtype={"image": str})
    assert set(scores["image"]) == {"0000", "0003"}
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    run_stage(monkeypatch, tmp_path, image, text, "vit_h")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == before


@pytest.mark.parametrize(
    ("preset", "run", "images", "message"),
    [
        ("course", "vit_h", '"0003"', "sam_vit_h_4b8939.pth: not found; `make weights NAME=sam"),
        ("course", "vit_h", '"0050"', "index.csv: no image '0050'"),
        ("course-smoke", "vit", "", "segment_anything.dlcv2024.recipes.vit: not found"),
        ("earth", "vit_h", "", "segment_anything.dlcv2024: not found"),
    ],
)
def test_a_missing_checkpoint_image_or_run_is_one_line(
    tmp_path: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, preset: str, run: str, images: str, message: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("segment_anything.sam_model_registry", {"vit_h": small})
    text = render(preset, ROOT / "presets").replace('"0050", "0130", "0256"', images)
    with pytest.raises(SystemExit) as ended:
        run_stage(monkeypatch, tmp_path, image, text, run)
    assert ended.value.code == 1 and not (tmp_path / "out").exists()
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1 and message in errors[0].getMessage()


@pytest.mark.parametrize("preset", ["earth", "smoke"])
def test_presets_without_a_task_of_it_are_valid(preset: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(render(preset, ROOT / "presets"))
    assert load_params(tmp_path / "params.yaml").segment_anything == {}


def test_the_2024_homeworks_images_and_network_are_in_the_preset(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(render("course", ROOT / "presets"))
    params = load_params(tmp_path / "params.yaml")
    task = params.segment_anything["dlcv2024"]
    assert task.images == ["0050", "0130", "0256"]
    recipe = task.recipes["vit_h"]
    assert (recipe.model, recipe.weights) == ("vit_h", "sam_vit_h")
    assert len(str(params.weights["sam_vit_h"].sha256)) == 64
    # the authors' defaults
    assert recipe == SegmentAnythingRecipe(model="vit_h", weights="sam_vit_h")
