"""Segment Anything (Kirillov et al. 2023): masks of everything in an image.

The network is the authors' package, the checkpoint a file of the block `weights` of params.yaml.
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

from reprise.atomic_io import atomic_folder, write_csv
from reprise.params.segment_anything import SegmentAnythingRecipe

COLUMNS = ("image", "mask", "area", "x", "y", "width", "height", "predicted_iou", "stability")
Bytes = NDArray[np.uint8]


def build_sam(name: str) -> nn.Module:
    """A randomly initialised Segment Anything network in evaluation mode.

    name: a published size, vit_b, vit_l or vit_h; or small: two thin layers for images of 64
    pixels, without published weights.
    """
    from segment_anything import modeling, sam_model_registry  # takes seconds to import

    if name != "small":
        published: nn.Module = sam_model_registry[name]()
        return published
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


def image_size(name: str) -> tuple[int, int]:
    """(H, W) of the images that a network of `build_sam` takes; others are scaled and padded."""
    return (64, 64) if name == "small" else (1024, 1024)


def generate_masks(
    model: nn.Module, image: Bytes, recipe: SegmentAnythingRecipe
) -> list[dict[str, Any]]:
    """All masks of an image (H, W, 3), the largest first, by the authors' automatic generator.

    Each has `segmentation` (H, W) bool, `area`, `bbox` (x, y, width, height), `predicted_iou` and
    `stability_score`.
    """
    from segment_anything import SamAutomaticMaskGenerator

    generator = SamAutomaticMaskGenerator(
        model,
        recipe.points_per_side,
        pred_iou_thresh=recipe.min_predicted_iou,
        stability_score_thresh=recipe.min_stability,
    )
    masks: list[dict[str, Any]] = generator.generate(image)
    return sorted(masks, key=lambda mask: (-mask["area"], mask["bbox"]))


def write_masks(
    folder: Path, model: nn.Module, images: Mapping[str, Bytes], recipe: SegmentAnythingRecipe
) -> None:
    """Write masks/<image>/0000.png and so on, black and white, outlines/<image>.png, scores.csv.

    Each of the three is replaced as a whole.
    """
    rows = []
    with atomic_folder(folder / "masks") as masks, atomic_folder(folder / "outlines") as outlines:
        for name, image in images.items():
            generated = generate_masks(model, image, recipe)
            logging.info("%s: %d masks", name, len(generated))
            (masks / name).mkdir()
            for number, mask in enumerate(generated):
                pixels = mask["segmentation"].astype(np.uint8) * np.uint8(255)
                Image.fromarray(pixels).save(masks / name / f"{number:04d}.png")
                box = [int(length) for length in mask["bbox"]]
                scores = (float(mask["predicted_iou"]), float(mask["stability_score"]))
                rows.append((name, number, int(mask["area"]), *box, *scores))
            drawn = draw_outlines(image, [mask["segmentation"] for mask in generated])
            Image.fromarray(drawn).save(outlines / f"{name}.png")
    write_csv(folder / "scores.csv", pd.DataFrame(rows, columns=list(COLUMNS)))


def draw_outlines(image: Bytes, masks: Sequence[NDArray[np.bool_]]) -> Bytes:
    """The image with the inner edge of each mask in its colour, (H, W, 3)."""
    drawn = image.copy()
    for number, mask in enumerate(masks):
        padded = np.pad(mask, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        # hues in steps of the golden ratio differ for masks of similar area
        color = colorsys.hsv_to_rgb(number * 0.618034 % 1, 1, 1)
        drawn[mask & ~inner] = np.round(np.array(color) * 255).astype(np.uint8)
    return drawn
