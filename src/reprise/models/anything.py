"""Segment Anything (Kirillov et al. 2023): masks of everything in named images of a prepared set.

`python -m reprise.models.anything --data results/prepare/satellite --images 0050 0130 0256
--model vit_h --weights sam_vit_h --out results/anything` writes a folder of masks for each image,
the image with their outlines, and scores.csv. The network is its authors' package, the checkpoint a
file of the weights block of params.yaml.
"""

import argparse
import colorsys
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from reprise.cli import run
from reprise.data.store import open_set
from reprise.errors import RepriseError
from reprise.files import folder_aside, read_json, write_csv
from reprise.models.weights import load_state, read_weights
from reprise.params import load_params

MODELS = ("vit_b", "vit_l", "vit_h")
COLUMNS = ("image", "mask", "area", "x", "y", "width", "height", "predicted_iou", "stability")
Bytes = NDArray[np.uint8]


def main() -> None:
    """Write the masks of named images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of a prepared set")
    parser.add_argument("--images", nargs="+", required=True, help="ids of the set")
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--weights", required=True, help="a name of the weights block")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--points", type=int, default=32, help="points a side that are asked")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    given = parser.parse_args()
    files = load_params(given.params).weights
    if given.weights not in files:
        raise RepriseError(f"{given.params}: weights has no '{given.weights}'; add it there")
    images = named_images(given.data, given.images)
    model = sam(given.model)
    file = files[given.weights]
    load_state(model, read_weights(given.weights, file), file.path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    write_masks(given.out, model.to(device), images, given.points)


def sam(name: str) -> nn.Module:
    """A Segment Anything network of the published size, randomly initialised, in evaluation."""
    from segment_anything import sam_model_registry  # takes seconds

    model: nn.Module = sam_model_registry[name]()
    return model


def named_images(folder: Path, names: Sequence[str]) -> dict[str, Bytes]:
    """Images (H, W, 3) of a prepared set by their ids. Raises RepriseError for an unknown id."""
    about = open_set(folder, read_json(folder / "dataset.json")["task"])
    rows = {name: row for row, name in enumerate(about.index["id"])}
    for name in names:
        if name not in rows:
            some = ", ".join(list(rows)[:5])
            raise RepriseError(f"{folder / 'index.csv'}: no image '{name}'; there are {some}, ...")
    return {name: np.array(about.images[rows[name]]) for name in names}


def masks_of(
    model: nn.Module, image: Bytes, points: int = 32, least_iou: float = 0.88,
    least_stability: float = 0.95,
) -> list[dict[str, Any]]:  # fmt: skip
    """All masks of an image, the largest first, as the authors' automatic generator finds them.

    Each has `segmentation` (H, W) bool, `area`, `bbox` (x, y, width, height), `predicted_iou` and
    `stability_score`. points: the grid's points a side; the two least scores are the authors'.
    """
    from segment_anything import SamAutomaticMaskGenerator

    generator = SamAutomaticMaskGenerator(
        model, points, pred_iou_thresh=least_iou, stability_score_thresh=least_stability
    )
    found: list[dict[str, Any]] = generator.generate(image)
    return sorted(found, key=lambda mask: (-mask["area"], mask["bbox"]))


def write_masks(
    folder: Path, model: nn.Module, images: dict[str, Bytes], points: int = 32, **least: float
) -> None:
    """Write `<image>/0000.png` and so on, black and white, `<image>.png` with outlines, scores.csv.

    The folder is replaced as a whole.
    """
    rows = []
    with folder_aside(folder) as part:
        for name, image in images.items():
            masks = masks_of(model, image, points, **least)
            logging.info("%s: %d masks", name, len(masks))
            (part / name).mkdir()
            for number, mask in enumerate(masks):
                pixels = mask["segmentation"].astype(np.uint8) * np.uint8(255)
                Image.fromarray(pixels).save(part / name / f"{number:04d}.png")
                rows.append(score(name, number, mask))
            outlined = outlines(image, [mask["segmentation"] for mask in masks])
            Image.fromarray(outlined).save(part / f"{name}.png")
        write_csv(part / "scores.csv", pd.DataFrame(rows, columns=list(COLUMNS)))


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


if __name__ == "__main__":
    run(main)
