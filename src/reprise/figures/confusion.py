"""Confusion matrices of the test split: rows are the truth, shares are of a row.

With more than MANY classes, cells have a color only, by the square root of the share;
tables/confusion.md has the most frequent confusions in numbers, and the csv all of them.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

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
    side = (0.24 if classes <= MANY else 0.095) * classes
    letters = max(len(str(name)) for _, rows in panels for name in rows["truth"])
    margin = 0.4 + 0.062 * (letters + 7)  # of the names of the rows, and of the columns
    figure = style.new_figure(columns * (side + margin) + 0.6, lines * (side + margin + 0.3) + 0.1)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, ((run,), rows) in zip(grid, panels, strict=False):
        image, accuracy = _panel(axes, rows)
        unit = "pixel accuracy" if stage == "segment" else "accuracy"
        axes.set_title(f"{run}: {unit} {accuracy:.3f}", fontsize=9)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    figure.supylabel("true class (count)", fontsize=8)
    figure.supxlabel("predicted class", fontsize=8)
    bar = figure.colorbar(image, ax=list(grid), fraction=0.02, pad=0.01, shrink=0.7)
    bar.set_label("share of the true class", fontsize=7.5)
    bar.ax.tick_params(labelsize=7)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> tuple[AxesImage, float]:
    """The matrix of a run, the most frequent class first; its image and the accuracy."""
    names = np.array(list(dict.fromkeys(rows["truth"])))
    counts = rows["count"].to_numpy().reshape(len(names), len(names))
    order = np.argsort(-counts.sum(axis=1), kind="stable")
    names, counts = names[order], counts[np.ix_(order, order)]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    many = len(names) > MANY
    # without numbers, a few per cent must be seen
    norm = PowerNorm(0.5, 0, 1) if many else Normalize(0, 1)
    image = axes.imshow(share, cmap=COLORMAP, norm=norm)
    for (row, column), value in np.ndenumerate(share):
        if counts[row, column] and not many:
            ink = "white" if value > 0.6 else style.INK
            look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 6.5, "color": ink}
            axes.text(column, row, f"{100 * value:.0f}", **look)
    size = 6 if many else 7
    axes.set_xticks(range(len(names)), names.tolist(), rotation=90, fontsize=size)
    totals = counts.sum(axis=1).tolist()
    labels = [f"{name} ({_short(n)})" for name, n in zip(names, totals, strict=True)]
    axes.set_yticks(range(len(names)), labels, fontsize=size)
    axes.grid(False)
    return image, float(np.trace(counts) / max(counts.sum(), 1))


def _short(count: int) -> str:
    """A count in at most five characters."""
    return f"{count:d}" if count < 10_000 else f"{count / 1000:.0f}k"
