"""Named images with the outlines of every mask that Segment Anything finds in them."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from reprise.errors import RepriseError
from reprise.evaluation.holes import Holes
from reprise.evaluation.prepared import read_prepared, read_table
from reprise.figures import style
from reprise.params import Params

COLUMNS = ["image", "predicted_iou", "stability"]
SIDE = 3.4  # inches


def anything(results: Path, params: Params, run: str, holes: Holes) -> Figure:
    """Draw results/anything/<run>: a row an image, as it is and with its outlines.

    `holes` learn which outlines are missing or cannot be read; the figure says so there. Raises
    RepriseError when the scores are.
    """
    block = params.anything
    if not block.images:
        return style.notice("No image of anything in params.yaml.")
    folder = results / "anything" / run
    prepared = read_prepared(results / "prepare" / block.data)
    scores = read_table(folder / "scores.csv", COLUMNS, ["image"])
    random = block.recipes[run].weights == "none"
    count = len(block.images)
    figure = style.new_figure(2 * SIDE, count * (SIDE + 0.3) + 0.3)
    grid = figure.subplots(count, 2, squeeze=False)
    for (left, right), image in zip(grid, block.images, strict=True):
        style.picture(left, np.asarray(prepared.images()[prepared.row(image)]), image)
        drawn = None
        with holes.leave_out("anything"):
            drawn = _outlined(folder / "outlines" / f"{image}.png")
        if drawn is None:
            style.missing(right, prepared.images().shape[1:3])
        else:
            style.picture(right, drawn, _note(scores[scores["image"] == image]))
    grid[0, 0].set_title("image")
    grid[0, 1].set_title("masks of a RANDOM network" if random else "outlines of its masks")
    return figure


def _note(scores: pd.DataFrame) -> str:
    if scores.empty:
        return "no masks"
    middle = scores[COLUMNS[1:]].median()
    count = "1 mask" if len(scores) == 1 else f"{len(scores)} masks"
    return (
        f"{count}, medians: predicted IoU {middle['predicted_iou']:.3f}, "
        f"stability {middle['stability']:.3f}"
    )


def _outlined(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; run `anything` first") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise RepriseError(f"{path}: cannot be decoded ({error}); run `anything` again") from None
