"""Named images with the outlines of every mask that Segment Anything finds in them."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reprise.csv_io import read_csv
from reprise.datasets.prepared import read_prepared
from reprise.evaluation.markdown import Missing
from reprise.figures import style
from reprise.images import read_image
from reprise.params.load import Params

COLUMNS = ["image", "predicted_iou", "stability"]
SIDE = 3.4  # inches
ADVICE = "run `segment_anything` first"


def segment_anything(
    results: Path, params: Params, missing: Missing, task: str, run: str
) -> Figure:
    """Draw results/segment_anything/<task>/<run>: each image as it is and with its outlines.

    `missing` collects which outlines are missing or cannot be read; the figure marks them. Raises
    RepriseError when the scores are missing.
    """
    block = params.segment_anything[task]
    count = len(block.images)
    if not count:
        return style.empty_figure(f"No image of segment_anything {task} in params.yaml.")
    folder = results / "segment_anything" / task / run
    dataset = read_prepared(results / "prepare" / block.data)
    scores = read_csv(folder / "scores.csv", COLUMNS, ["image"])
    figure = style.new_figure(2 * SIDE, count * (SIDE + 0.3) + 0.3)
    grid = figure.subplots(count, 2, squeeze=False)
    for (left, right), image in zip(grid, block.images, strict=True):
        style.show_image(left, np.asarray(dataset.images[dataset.row(image)]), image)
        outlines = None
        with missing.collecting("segment_anything"):
            outlines = read_image(folder / "outlines" / f"{image}.png", "RGB", advice=ADVICE)
        if outlines is None:
            style.show_missing(right, dataset.images.shape[1:3])
        else:
            style.show_image(right, outlines, _note(scores[scores["image"] == image]))
    random = block.recipes[run].weights == "none"
    grid[0, 0].set_title("image")
    grid[0, 1].set_title("masks of a RANDOM network" if random else "outlines of its masks")
    return figure


def _note(scores: pd.DataFrame) -> str:
    if scores.empty:
        return "no masks"
    iou, stability = scores[["predicted_iou", "stability"]].median()
    count = "1 mask" if len(scores) == 1 else f"{len(scores)} masks"
    return f"{count}, medians: predicted IoU {iou:.3f}, stability {stability:.3f}"
