"""Segment Anything: the published sizes; masks, scores and outlines as files.

No checkpoint is here, so the masks of these tests come from a small network that never learnt: they
show that the parts fit, not that anything is segmented.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)
from torch import nn

from reprise.data.store import Prepared, write_set
from reprise.errors import RepriseError
from reprise.files import sha256
from reprise.models.anything import masks_of, named_images, outlines, sam, write_masks
from reprise.models.weights import load_state, read_weights
from reprise.params import WeightsFile

ALL = {"least_iou": 0.0, "least_stability": 0.0}  # what never learnt has no score to be proud of


def small() -> nn.Module:
    """A SAM of two thin layers for images of 64 pixels, drawn with one seed."""
    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        depth=2, embed_dim=32, img_size=64, mlp_ratio=2, num_heads=2, patch_size=16, qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6), use_rel_pos=True, global_attn_indexes=(1,),
        window_size=3, out_chans=16,
    )  # fmt: skip
    prompts = PromptEncoder(
        embed_dim=16, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=4
    )
    decoder = MaskDecoder(
        num_multimask_outputs=3, transformer_dim=16, iou_head_depth=2, iou_head_hidden_dim=16,
        transformer=TwoWayTransformer(depth=1, embedding_dim=16, mlp_dim=16, num_heads=2),
    )  # fmt: skip
    return Sam(encoder, prompts, decoder).eval()


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
    write_masks(tmp_path / "out", small(), {"0050": image}, points=4, **ALL)
    scores = pd.read_csv(tmp_path / "out" / "scores.csv", dtype={"image": str})
    masks = sorted((tmp_path / "out" / "0050").iterdir())
    assert len(masks) == len(scores) > 0 and (scores["image"] == "0050").all()
    assert scores["area"].is_monotonic_decreasing
    assert scores["stability"].between(0, 1).all()
    for path, row in zip(masks, scores.to_dict("records"), strict=True):
        pixels = np.asarray(Image.open(path))
        assert pixels.shape == (48, 64) and set(np.unique(pixels)) <= {0, 255}
        assert (pixels == 255).sum() == row["area"]
    drawn = np.asarray(Image.open(tmp_path / "out" / "0050.png"))
    assert drawn.shape == image.shape and (drawn != image).any()
    write_masks(tmp_path / "again", small(), {"0050": image}, points=4, **ALL)
    for path in sorted((tmp_path / "out").rglob("*.*")):
        again = tmp_path / "again" / path.relative_to(tmp_path / "out")
        assert path.read_bytes() == again.read_bytes()


def test_masks_below_the_least_scores_are_dropped(image: np.ndarray) -> None:
    every = masks_of(small(), image, 4, **ALL)
    middle = float(np.median([mask["predicted_iou"] for mask in every]))
    fewer = masks_of(small(), image, 4, least_iou=max(middle, 1e-6), least_stability=0.0)
    assert len(fewer) < len(every) and all(m["predicted_iou"] > middle for m in fewer)
    assert masks_of(small(), image, 4, least_iou=1e9) == []


def test_an_image_without_masks_has_an_empty_folder_and_a_table_of_no_rows(
    tmp_path: Path, image: np.ndarray
) -> None:
    write_masks(tmp_path / "out", small(), {"a": image}, points=2, least_iou=1e9)
    assert list((tmp_path / "out" / "a").iterdir()) == []
    assert pd.read_csv(tmp_path / "out" / "scores.csv").empty
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "a.png")), image)


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
