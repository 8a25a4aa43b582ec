"""Segment Anything: the published sizes; masks, scores and outlines as files.

No checkpoint is here, so the masks of these tests come from a small network that never learnt: they
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
from torch import nn

from reprise.data.store import Prepared, write_set
from reprise.errors import RepriseError
from reprise.files import sha256
from reprise.models.anything import (
    masks_of,
    named_images,
    outlines,
    sam,
    start_sam,
    write_masks,
)
from reprise.models.weights import load_state, read_weights
from reprise.params import AnythingRecipe, WeightsFile, load_params
from reprise.pipeline.preset import render

# what never learnt has no score to be proud of
ALL = AnythingRecipe(model="small", weights="none", points=4, least_iou=0, least_stability=0)
ROOT = Path(__file__).parents[2]


def small() -> nn.Module:
    """The small network, drawn with one seed."""
    torch.manual_seed(0)
    return sam("small")


def with_least_iou(value: float) -> AnythingRecipe:
    return ALL.model_copy(update={"least_iou": value})


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "count"), [("vit_b", 93_735_472), ("vit_l", 312_342_832), ("vit_h", 641_090_608)]
)
def test_the_networks_have_their_published_sizes(name: str, count: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in sam(name).parameters()) == count


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


def test_masks_below_the_least_scores_are_dropped(image: np.ndarray) -> None:
    every = masks_of(small(), image, ALL)
    middle = float(np.median([mask["predicted_iou"] for mask in every]))
    fewer = masks_of(small(), image, with_least_iou(max(middle, 1e-6)))
    assert len(fewer) < len(every) and all(m["predicted_iou"] > middle for m in fewer)
    assert masks_of(small(), image, with_least_iou(1e9)) == []


def test_an_image_without_masks_has_an_empty_folder_and_a_table_of_no_rows(
    tmp_path: Path, image: np.ndarray
) -> None:
    write_masks(tmp_path / "out", small(), {"a": image}, with_least_iou(1e9))
    assert list((tmp_path / "out" / "masks" / "a").iterdir()) == []
    assert pd.read_csv(tmp_path / "out" / "scores.csv").empty
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "outlines" / "a.png")), image)


def test_outlines_are_the_inner_edges() -> None:
    mask = np.zeros((6, 6), bool)
    mask[1:5, 1:5] = True
    drawn = outlines(np.zeros((6, 6, 3), np.uint8), [mask])
    edge = mask.copy()
    edge[2:4, 2:4] = False
    assert np.array_equal(drawn.any(axis=2), edge) and (drawn[1, 1] == (255, 0, 0)).all()
    whole = outlines(np.zeros((3, 3, 3), np.uint8), [np.ones((3, 3), bool)])
    assert whole.any(axis=2).sum() == 8


def test_a_checkpoint_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sam.pth"
    torch.save(small().state_dict(), path)
    state = read_weights("sam", WeightsFile(path=str(path), sha256=sha256(path)))
    again = small()
    nn.init.zeros_(again.mask_decoder.iou_token.weight)
    load_state(again, state, str(path))
    assert torch.equal(again.mask_decoder.iou_token.weight, state["mask_decoder.iou_token.weight"])
    with torch.device("meta"):
        other = sam("vit_b")
    with pytest.raises(RepriseError, match=r"sam.pth: is of another architecture"):
        load_state(other, state, str(path))


def test_an_image_that_is_not_in_the_set_is_named(tmp_path: Path, image: np.ndarray) -> None:
    write_set(tmp_path, "set", Prepared(
        images=np.stack([image] * 3), labels=np.zeros((3, 48, 64), np.uint8), columns={},
        roles=np.array(["train", "select", "report"]), task="segmentation",
        classes=[{"id": 0, "name": "a"}], source="", licence="", note="",
    ))  # fmt: skip
    assert np.array_equal(named_images(tmp_path, ["0001"])["0001"], image)
    with pytest.raises(RepriseError, match=r"index.csv: no image '0050'; there are 0000, 0001"):
        named_images(tmp_path, ["0050"])


def run_stage(
    monkeypatch: pytest.MonkeyPatch, folder: Path, image: np.ndarray, text: str, run: str
) -> None:
    """The stage's script on a set of nine copies of the image."""
    roles = np.repeat(["train", "select", "report"], 3)
    write_set(folder / "set", "set", Prepared(
        images=np.stack([image] * 9), labels=np.zeros((9, 48, 64), np.uint8), columns={},
        roles=roles, task="segmentation", classes=[{"id": 0, "name": "a"}], source="",
        licence="", note="",
    ))  # fmt: skip
    (folder / "params.yaml").write_text(text)
    words = ["--run", run, "--data", "set", "--out", "out"]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["anything.py", *words])
    runpy.run_path(str(ROOT / "workflow" / "scripts" / "anything.py"), run_name="__main__")


def test_the_stage_writes_the_masks_of_the_images_that_params_name(
    tmp_path: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = render("course-smoke", ROOT / "presets")
    run_stage(monkeypatch, tmp_path, image, text, "dlcv2024")
    scores = pd.read_csv(tmp_path / "out" / "scores.csv", dtype={"image": str})
    assert set(scores["image"]) == {"0000", "0003"}
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    run_stage(monkeypatch, tmp_path, image, text, "dlcv2024")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == before


@pytest.mark.parametrize(
    ("preset", "run", "said"),
    [
        ("course", "dlcv2024", "sam_vit_h_4b8939.pth: not there; `make weights NAME=sam_vit_h`"),
        ("course-smoke", "vit", "run 'vit' is not in anything.recipes"),
        ("earth", "dlcv2024", "run 'dlcv2024' is not in anything.recipes"),
    ],
)
def test_a_missing_checkpoint_or_run_is_one_line(
    tmp_path: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, preset: str, run: str, said: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("segment_anything.sam_model_registry", {"vit_h": small})
    text = render(preset, ROOT / "presets").replace('"0050", "0130", "0256"', '"0003"')
    with pytest.raises(SystemExit) as ended:
        run_stage(monkeypatch, tmp_path, image, text, run)
    assert ended.value.code == 1 and not (tmp_path / "out").exists()
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1 and said in errors[0].getMessage()


def test_published_weights_are_loaded_by_their_name(tmp_path: Path) -> None:
    path = tmp_path / "sam.pth"
    state = {name: value + 1 for name, value in small().state_dict().items()}
    torch.save(state, path)
    model = small()
    start_sam(model, "sam", {"sam": WeightsFile(path=str(path), sha256=sha256(path))})
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("preset", ["earth", "smoke"])
def test_presets_without_a_run_of_it_are_valid(preset: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(render(preset, ROOT / "presets"))
    assert load_params(tmp_path / "params.yaml").anything.runs == []


def test_the_2024_reports_images_and_network_are_in_the_preset(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(render("course", ROOT / "presets"))
    params = load_params(tmp_path / "params.yaml")
    assert params.anything.images == ["0050", "0130", "0256"]
    recipe = params.anything.recipes["dlcv2024"]
    assert (recipe.model, recipe.weights) == ("vit_h", "sam_vit_h")
    assert len(str(params.weights["sam_vit_h"].sha256)) == 64
    assert recipe == AnythingRecipe(model="vit_h", weights="sam_vit_h")  # the authors' defaults
