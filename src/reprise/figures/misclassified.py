"""The wrong predictions of each run with the highest confidence, each above a training image."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.evaluation.job_outputs import PREDICTIONS, read_predictions
from reprise.evaluation.markdown import Missing
from reprise.figures import style
from reprise.jobs import Job
from reprise.params.load import Params

IMAGES = 8  # of each run
THUMBNAIL = 16  # pixels per side, at which images are compared
MOST_COMPARED = 2000  # train images


def misclassified(results: Path, params: Params, missing: Missing, stage: str, task: str) -> Figure:
    """Draw misclassified test images, the most confident first, of each run's first seed.

    `stage` is "finetune" or "classify". `missing` collects which predictions are missing or cannot
    be read; the figure marks them.
    """
    block = getattr(params, stage)[task]
    if not block.runs or not block.seeds:
        return style.empty_figure(f"No run or seed of {stage} {task} in params.yaml.")
    dataset = read_prepared(results / "prepare" / block.data)
    figure = style.new_figure(9.4, 2.6 * len(block.runs) + 0.3)
    grid = figure.subplots(2 * len(block.runs), IMAGES, squeeze=False)
    for axes in grid.ravel():
        style.frame(axes, visible=False)
    nearest = NearestImages(dataset)
    for number, run in enumerate(block.runs):
        line, below = grid[2 * number : 2 * number + 2]
        path = Job(stage, task, run, block.seeds[0]).folder(results) / "predictions.csv"
        note = "missing"
        wrong = pd.DataFrame(columns=PREDICTIONS)
        with missing.collecting(f"{stage} {task}"):
            predictions = read_predictions(path, dataset)
            wrong, note = most_confident(predictions, dataset), "no mistake"
        line[0].set_ylabel(run, fontsize=8.5, fontweight="bold")
        if len(wrong):
            below[0].set_ylabel("nearest\nof train", fontsize=7)
        for pair, row in zip(zip(line, below, strict=True), wrong.to_dict("records"), strict=False):
            _image(pair[0], dataset, row)
            _neighbor(pair[1], dataset, nearest.row(dataset.row(str(row["id"]))))
        if wrong.empty:
            line[0].text(0.5, 0.5, note, ha="center", va="center", fontsize=7)
    return figure


def most_confident(predictions: pd.DataFrame, dataset: PreparedDataset) -> pd.DataFrame:
    """The wrong predictions on the test split with the highest confidence, at most IMAGES.

    One of each group of images (a person, a block of the globe); those of another pair of true and
    predicted class come first.
    """
    test = predictions["split"] == "test"
    wrong = predictions[test & (predictions["label"] != predictions["prediction"])]
    order = wrong.sort_values(["confidence", "id"], ascending=[False, True], kind="stable")
    rows = np.array([dataset.row(str(image)) for image in order["id"]], np.int64)
    groups = dataset.groups(rows) if len(rows) else rows
    order = order[~pd.Series(groups, order.index).duplicated()]
    again = order.duplicated(["label", "prediction"])
    return order.loc[again.sort_values(kind="stable").index].head(IMAGES)


class NearestImages:
    """Finds the train image that is nearest to another image, pixel by pixel."""

    def __init__(self, dataset: PreparedDataset) -> None:
        self.dataset = dataset
        rows = dataset.rows("train")
        self.rows = rows[:: -(-len(rows) // MOST_COMPARED)]
        self.train = np.stack([_thumbnail(dataset, row) for row in self.rows.tolist()])

    def row(self, row: int) -> int:
        """The row of the nearest train image; of many, every n-th is compared."""
        distances = ((self.train - _thumbnail(self.dataset, row)) ** 2).sum(axis=(1, 2, 3))
        return int(self.rows[distances.argmin()])


def _thumbnail(dataset: PreparedDataset, row: int) -> NDArray[np.float64]:
    """An image of THUMBNAIL pixels per side, (THUMBNAIL, THUMBNAIL, 3) float64."""
    small = Image.fromarray(np.asarray(dataset.images[row])).resize((THUMBNAIL, THUMBNAIL))
    return np.asarray(small, np.float64)


def _image(axes: Axes, dataset: PreparedDataset, row: Mapping[Any, Any]) -> None:
    """An image with the predicted class and its confidence above, the true class below."""
    names = dataset.classes.names
    axes.imshow(dataset.images[dataset.row(str(row["id"]))], interpolation="nearest")
    predicted, true = (style.truncate(names[row[key]], 17) for key in ("prediction", "label"))
    title = f"{predicted}\n{row['confidence']:.2f}"
    axes.set_title(title, fontsize=7, fontweight="normal", pad=2)
    axes.set_xlabel(f"is {true}", fontsize=7, labelpad=2)


def _neighbor(axes: Axes, dataset: PreparedDataset, row: int) -> None:
    """A train image with its class."""
    axes.imshow(dataset.images[row], interpolation="nearest")
    name = dataset.classes.names[int(dataset.index["label"].iloc[row])]
    axes.set_xlabel(style.truncate(name, 17), fontsize=7, labelpad=2)
