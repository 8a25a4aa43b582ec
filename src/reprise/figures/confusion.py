"""Confusion matrices of the test split: rows are the truth, shares are of a row.

With more than MANY classes, cells have a color only, by the square root of the share;
tables/confusion.md has the most frequent confusions in numbers, and the csv all of them.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from reprise.csv_io import read_csv
from reprise.evaluation.markdown import Missing, groups
from reprise.figures import style
from reprise.params.load import Params

COLORMAP = "Blues"  # from white to dark, so that lightness alone can be read
PANELS_IN_ROW = 3
MANY = 30  # classes, beyond which the cells have no numbers, and the panels two in a row
COLUMNS = ["stage", "task", "run", "truth", "prediction", "count"]


def confusion(results: Path, params: Params, missing: Missing, stage: str, task: str) -> Figure:
    """Draw tables/confusion.csv: a panel for each run of a task."""
    texts = ["task", "run", "truth", "prediction"]
    table = read_csv(results / "tables" / "confusion.csv", COLUMNS, texts)
    table = table[(table["stage"] == stage) & (table["task"] == task)]
    panels = list(groups(table, "run"))
    if not panels:
        return style.empty_figure(f"No results of {stage} {task}.")
    classes = max(rows["truth"].nunique() for _, rows in panels)
    columns = min(PANELS_IN_ROW if classes <= MANY else 2, len(panels))
    lines = -(-len(panels) // columns)
    # a line of 7 points fits into .24 inches, one of 6 points into .095
    size = 1.3 + (0.24 if classes <= MANY else 0.095) * classes
    figure = style.new_figure(columns * (size + 0.5) + 0.7, lines * (size + 0.6) + 0.2)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, ((run,), rows) in zip(grid, panels, strict=False):
        _panel(axes, rows)
        axes.set_title(run)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    names = list(dict.fromkeys(rows["truth"]))
    counts = rows["count"].to_numpy().reshape(len(names), len(names))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    many = len(names) > MANY
    if many:  # without numbers, a few per cent must be seen
        axes.imshow(share, cmap=COLORMAP, norm=PowerNorm(0.5, 0, 1))
    else:
        axes.imshow(share, cmap=COLORMAP, vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(share):
        if counts[row, column] and not many:
            ink = "white" if value > 0.6 else style.INK
            look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 5.5, "color": ink}
            axes.text(column, row, f"{100 * value:.0f}", **look)
    size = 6 if many else 7
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    totals = counts.sum(axis=1).tolist()
    labels = [f"{name} ({_short(n)})" for name, n in zip(names, totals, strict=True)]
    axes.set_yticks(range(len(names)), labels, fontsize=size)
    axes.set_xlabel("predicted as", fontsize=7.5)
    axes.set_ylabel("truth (count)", fontsize=7.5)
    axes.grid(False)


def _short(count: int) -> str:
    """A count in at most five characters."""
    return f"{count:d}" if count < 10_000 else f"{count / 1000:.0f}k"
