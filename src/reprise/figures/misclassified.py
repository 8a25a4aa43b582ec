"""The wrong predictions of each run with the highest confidence, as images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.evaluation.job_outputs import PREDICTIONS, read_predictions
from reprise.evaluation.markdown import Missing
from reprise.figures import style
from reprise.jobs import Job
from reprise.params.load import Params

IMAGES = 8  # of each run


def misclassified(results: Path, params: Params, missing: Missing, stage: str, task: str) -> Figure:
    """Draw misclassified test images, the most confident first, of each run's first seed.

    `stage` is "finetune" or "classify". `missing` collects which predictions are missing or cannot
    be read; the figure marks them.
    """
    block = getattr(params, stage)[task]
    if not block.runs or not block.seeds:
        return style.empty_figure(f"No run or seed of {stage} {task} in params.yaml.")
    dataset = read_prepared(results / "prepare" / block.data)
    figure = style.new_figure(9.4, 1.62 * len(block.runs) + 0.3)
    grid = figure.subplots(len(block.runs), IMAGES, squeeze=False)
    for line, run in zip(grid, block.runs, strict=True):
        path = Job(stage, task, run, block.seeds[0]).folder(results) / "predictions.csv"
        note = "missing"
        wrong = pd.DataFrame(columns=PREDICTIONS)
        with missing.collecting(f"{stage} {task}"):
            wrong, note = most_confident(read_predictions(path, dataset)), "no mistake"
        line[0].set_ylabel(run, fontsize=8.5, fontweight="bold")
        for axes in line:
            style.frame(axes, visible=False)
        for axes, row in zip(line, wrong.to_dict("records"), strict=False):
            _image(axes, dataset, row)
        if wrong.empty:
            line[0].text(0.5, 0.5, note, ha="center", va="center", fontsize=7)
    return figure


def most_confident(predictions: pd.DataFrame) -> pd.DataFrame:
    """The wrong predictions on the test split with the highest confidence, at most IMAGES."""
    test = predictions["split"] == "test"
    wrong = predictions[test & (predictions["label"] != predictions["prediction"])]
    order = wrong.sort_values(["confidence", "id"], ascending=[False, True], kind="stable")
    return order.head(IMAGES)


def _image(axes: Axes, dataset: PreparedDataset, row: Mapping[Any, Any]) -> None:
    """An image with the predicted class and its confidence above, the true class below."""
    names = dataset.classes.names
    axes.imshow(dataset.images[dataset.row(str(row["id"]))], interpolation="nearest")
    predicted, true = (style.truncate(names[row[key]], 17) for key in ("prediction", "label"))
    title = f"{predicted}\n{row['confidence']:.2f}"
    axes.set_title(title, fontsize=7, fontweight="normal", pad=2)
    axes.set_xlabel(f"is {true}", fontsize=7, labelpad=2)
