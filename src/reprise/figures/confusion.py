"""Confusion matrices of the report role: rows are the truth, shares are of a row."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reprise.evaluation.prepared import read_table
from reprise.figures import style

MAP = "Blues"  # from white to dark: read by lightness alone
WIDEST = 3  # panels in a row
COLUMNS = ["part", "run", "setting", "truth", "prediction", "count"]


def confusions(results: Path, part: str) -> Figure:
    """Draw tables/confusion.csv: a panel for each run (or setting) of a part."""
    table = read_table(results / "tables" / "confusion.csv", COLUMNS, ["setting"])
    own = table[table["part"] == part]
    panels = [(key, rows) for key, rows in own.groupby(["run", "setting"], sort=False)]
    if not panels:
        return style.notice(f"No run of {part} in params.yaml.")
    columns = min(WIDEST, len(panels))
    lines = -(-len(panels) // columns)
    size = 1.3 + 0.24 * max(rows["truth"].nunique() for _, rows in panels)
    figure = style.new_figure(columns * (size + 0.5) + 0.7, lines * (size + 0.6) + 0.2)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, ((run, setting), rows) in zip(grid, panels, strict=False):
        _panel(axes, rows)
        axes.set_title(f"{run} {setting}".strip())
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    names = list(dict.fromkeys(rows["truth"]))
    counts = rows["count"].to_numpy().reshape(len(names), len(names))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap=MAP, vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(share):
        if counts[row, column]:
            ink = "white" if value > 0.6 else style.INK
            look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 5.5, "color": ink}
            axes.text(column, row, f"{100 * value:.0f}", **look)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    labels = [f"{name} ({n})" for name, n in zip(names, _short(counts.sum(axis=1)), strict=True)]
    axes.set_yticks(range(len(names)), labels, fontsize=7)
    axes.set_xlabel("taken for", fontsize=7.5)
    axes.set_ylabel("truth (count)", fontsize=7.5)
    axes.grid(False)


def _short(counts: np.ndarray) -> list[str]:
    """Counts in at most five signs."""
    return [f"{n:d}" if n < 10_000 else f"{n / 1000:.0f}k" for n in counts.tolist()]
