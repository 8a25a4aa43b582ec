"""Segment Anything (Kirillov et al. 2023): masks of everything in named images of a prepared set.

The network is its authors' package, the checkpoint a file of the weights block of params.yaml.
"""

import colorsys
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from reprise.data.store import open_set
from reprise.errors import RepriseError
from reprise.files import folder_aside, read_json, write_csv
from reprise.models.weights import load_state, read_weights
from reprise.params import AnythingRecipe, WeightsFile

COLUMNS = ("image", "mask", "area", "x", "y", "width", "height", "predicted_iou", "stability")
Bytes = NDArray[np.uint8]


def sam(name: str) -> nn.Module:
    """A Segment Anything network, randomly initialised, in evaluation.

    name: a published size, vit_b, vit_l or vit_h; or small, see `small_sam`.
    """
    from segment_anything import sam_model_registry  # takes seconds

    model: nn.Module = small_sam() if name == "small" else sam_model_registry[name]()
    return model


def small_sam() -> nn.Module:
    """A SAM of two thin layers for images of 64 pixels; nobody published weights for it."""
    from segment_anything import modeling

    encoder = modeling.ImageEncoderViT(
        depth=2, embed_dim=32, img_size=64, mlp_ratio=2, num_heads=2, patch_size=16, qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6), use_rel_pos=True, global_attn_indexes=(1,),
        window_size=3, out_chans=16,
    )  # fmt: skip
    prompts = modeling.PromptEncoder(
        embed_dim=16, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=4
    )
    decoder = modeling.MaskDecoder(
        num_multimask_outputs=3, transformer_dim=16, iou_head_depth=2, iou_head_hidden_dim=16,
        transformer=modeling.TwoWayTransformer(1, embedding_dim=16, num_heads=2, mlp_dim=16),
    )  # fmt: skip
    model: nn.Module = modeling.Sam(encoder, prompts, decoder).eval()
    return model


def start_sam(model: nn.Module, name: str, files: Mapping[str, WeightsFile]) -> None:
    """Load what a recipe's `weights` names; `none` leaves the network as it was drawn.

    Raises RepriseError (see `read_weights` and `load_state`).
    """
    if name in files:
        load_state(model, read_weights(name, files[name]), files[name].path)


def named_images(folder: Path, names: Sequence[str]) -> dict[str, Bytes]:
    """Images (H, W, 3) of a prepared set by their ids. Raises RepriseError for an unknown id."""
    about = open_set(folder, read_json(folder / "dataset.json")["task"])
    rows = {name: row for row, name in enumerate(about.index["id"])}
    for name in names:
        if name not in rows:
            some = ", ".join(list(rows)[:5])
            raise RepriseError(f"{folder / 'index.csv'}: no image '{name}'; there are {some}, ...")
    return {name: np.array(about.images[rows[name]]) for name in names}


def masks_of(model: nn.Module, image: Bytes, recipe: AnythingRecipe) -> list[dict[str, Any]]:
    """All masks of an image, the largest first, as the authors' automatic generator finds them.

    Each has `segmentation` (H, W) bool, `area`, `bbox` (x, y, width, height), `predicted_iou` and
    `stability_score`.
    """
    from segment_anything import SamAutomaticMaskGenerator

    generator = SamAutomaticMaskGenerator(
        model,
        recipe.points,
        pred_iou_thresh=recipe.least_iou,
        stability_score_thresh=recipe.least_stability,
    )
    found: list[dict[str, Any]] = generator.generate(image)
    return sorted(found, key=lambda mask: (-mask["area"], mask["bbox"]))


def write_masks(
    folder: Path, model: nn.Module, images: dict[str, Bytes], recipe: AnythingRecipe
) -> None:
    """Write masks/<image>/0000.png and so on, black and white, outlines/<image>.png, scores.csv.

    Each of the three is replaced as a whole.
    """
    rows = []
    with folder_aside(folder / "masks") as masks, folder_aside(folder / "outlines") as outlined:
        for name, image in images.items():
            found = masks_of(model, image, recipe)
            logging.info("%s: %d masks", name, len(found))
            (masks / name).mkdir()
            for number, mask in enumerate(found):
                pixels = mask["segmentation"].astype(np.uint8) * np.uint8(255)
                Image.fromarray(pixels).save(masks / name / f"{number:04d}.png")
                rows.append(score(name, number, mask))
            drawn = outlines(image, [mask["segmentation"] for mask in found])
            Image.fromarray(drawn).save(outlined / f"{name}.png")
    write_csv(folder / "scores.csv", pd.DataFrame(rows, columns=list(COLUMNS)))


def score(image: str, number: int, mask: dict[str, Any]) -> dict[str, Any]:
    """One row of scores.csv; lengths in pixels."""
    box = [int(side) for side in mask["bbox"]]
    values = (image, number, int(mask["area"]), *box)
    scores = (float(mask["predicted_iou"]), float(mask["stability_score"]))
    return dict(zip(COLUMNS, (*values, *scores), strict=True))


def outlines(image: Bytes, masks: Sequence[NDArray[np.bool_]]) -> Bytes:
    """The image with the inner edge of each mask in a colour of its own, (H, W, 3)."""
    drawn = image.copy()
    for number, mask in enumerate(masks):
        padded = np.pad(mask, 1)
        whole = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        # steps of the golden section keep neighbours in the list apart
        colour = colorsys.hsv_to_rgb(number * 0.618034 % 1, 1, 1)
        drawn[mask & ~whole] = np.round(np.array(colour) * 255).astype(np.uint8)
    return drawn
