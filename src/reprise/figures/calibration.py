"""Accuracy against confidence: whether the confidences of the runs hold."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reprise.csv_io import read_csv
from reprise.evaluation.markdown import Missing, groups
from reprise.figures import style
from reprise.params.load import Params

COLUMNS = ["stage", "task", "run", "predictions", "confidence", "accuracy", "ece"]
FEW = 10  # predictions of a bin that is drawn hollow
PANELS_IN_ROW = 4


def calibration(results: Path, params: Params, missing: Missing) -> Figure:
    """Draw tables/calibration.csv: a panel for each task, a line for each run."""
    table = read_csv(results / "tables" / "calibration.csv", COLUMNS, ["task", "run"])
    panels = list(groups(table, "stage", "task"))
    if not panels:
        return style.empty_figure("No results of classification.")
    figure, grid = style.panel_grid(len(panels), PANELS_IN_ROW, (2.9, 3.6), (0.3, 0.2))
    for axes, ((stage, task), rows) in zip(grid, panels, strict=True):
        axes.plot([0, 1], [0, 1], color=style.OUTLINE, lw=1.0, ls="--")
        for number, ((run,), bins) in enumerate(groups(rows, "run")):
            _run(axes, bins, f"{run}: ECE {bins['ece'].iloc[0]:.3f}", style.color(number))
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence")
        axes.set_title(f"{stage}, {task}", loc="left")
        axes.set_box_aspect(1)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=7)
    grid[0].set_ylabel("accuracy on the test split")
    return figure


def _run(axes: Axes, bins: pd.DataFrame, label: str, color: str) -> None:
    """The bins of a run; those with few predictions are hollow."""
    axes.plot(bins["confidence"], bins["accuracy"], "o-", color=color, ms=4, lw=1.3, label=label)
    few = bins[bins["predictions"] < FEW]
    axes.plot(few["confidence"], few["accuracy"], "o", ms=4, mfc="white", mec=color)
