"""The most confident mistakes of each run, as pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reprise.evaluation.holes import Holes
from reprise.evaluation.predictions import COLUMNS, read_predictions
from reprise.evaluation.prepared import Prepared, read_prepared
from reprise.figures import style
from reprise.figures.style import cut
from reprise.params import Params

SHOWN = 8  # of each run or setting


def mistakes(results: Path, params: Params, part: str, holes: Holes) -> Figure:
    """Draw wrongly named images of the report role, the surest first; of each run its first seed.

    Args:
        results: the results folder; predictions.csv and the prepared images are read.
        params: for the runs and the data set.
        part: "classify", "faces" or "finetune".
        holes: learn which predictions are missing or cannot be read; the figure says so there.
    """
    block = params.finetune if part == "finetune" else params.stages[part]
    seeds = getattr(block, "seeds", [])
    settings = params.finetune.settings.all if part == "finetune" else [""]
    jobs = [(run, setting) for run in block.runs for setting in settings] if seeds else []
    if not jobs:
        return style.notice(f"No run or seed of {part} in params.yaml.")
    prepared = read_prepared(results / "prepare" / block.data)
    figure = style.new_figure(9.4, 1.62 * len(jobs) + 0.3)
    grid = figure.subplots(len(jobs), SHOWN, squeeze=False)
    for line, (run, setting) in zip(grid, jobs, strict=True):
        path = results / part / run / setting / str(seeds[0]) / "predictions.csv"
        said = "missing"
        wrong = pd.DataFrame(columns=COLUMNS)
        with holes.leave_out(part):
            wrong, said = surest(read_predictions(path, prepared)), "no mistake"
        line[0].set_ylabel(f"{run} {setting}".strip(), fontsize=8.5, fontweight="bold")
        for axes in line:
            _bare(axes)
        for axes, row in zip(line, wrong.to_dict("records"), strict=False):
            _picture(axes, prepared, str(row["id"]), names(prepared, row), row["confidence"])
        if wrong.empty:
            line[0].text(0.5, 0.5, said, ha="center", va="center", fontsize=7)
    return figure


def surest(predictions: pd.DataFrame) -> pd.DataFrame:
    """The wrong answers on the report role that the network was surest of, at most SHOWN."""
    wrong = predictions[
        (predictions["role"] == "report") & (predictions["label"] != predictions["prediction"])
    ]
    order = wrong.sort_values(["confidence", "id"], ascending=[False, True], kind="stable")
    return order.head(SHOWN)


def names(prepared: Prepared, row: Mapping[Any, Any]) -> tuple[str, str]:
    """The class that an image was taken for, and its true one."""
    classes = prepared.labels.names
    return classes[row["prediction"]], classes[row["label"]]


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _picture(
    axes: Axes, prepared: Prepared, image: str, classes: tuple[str, str], confidence: float
) -> None:
    axes.imshow(np.asarray(prepared.images()[prepared.row(image)]), interpolation="nearest")
    said, truth = (cut(name, 17) for name in classes)
    axes.set_title(f"{said}\n{confidence:.2f}", fontsize=7, fontweight="normal", pad=2)
    axes.set_xlabel(f"is {truth}", fontsize=7, labelpad=2)
