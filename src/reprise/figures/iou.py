"""IoU of each class as bars, a colour a run; the share of each class stands beside its name."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reprise.evaluation.prepared import read_table
from reprise.figures import style


def iou(results: Path) -> Figure:
    """Draw tables/iou.csv: a panel for each part and set of classes."""
    table = read_table(
        results / "tables" / "iou.csv", ["part", "run", "class", "iou", "pixels", "share"]
    )
    panels = groups(table)
    if not panels:
        return style.notice("No segmentation run in params.yaml.")
    heights = [0.3 + _height(rows) for _, rows in panels]
    figure = style.new_figure(8.0, sum(heights) + 0.5 * len(heights))
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (part, rows) in zip(grid, panels, strict=True):
        _bars(axes, rows)
        axes.set_title(f"{part}: {rows['class'].nunique()} classes", loc="left")
    grid[-1].set_xlabel("IoU on the report role")
    return figure


def groups(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Split the rows by part and by the classes that a run was trained on."""
    found: dict[tuple[str, tuple[str, ...]], list[pd.DataFrame]] = {}
    for (part, _), rows in table.groupby(["part", "run"], sort=False) if len(table) else ():
        found.setdefault((str(part), tuple(rows["class"])), []).append(rows)
    return [(part, pd.concat(rows)) for (part, _), rows in found.items()]


def _height(rows: pd.DataFrame) -> float:
    """Inches of a panel: room for each class, and for each bar in it."""
    return float(rows["class"].nunique() * (0.14 + 0.15 * rows["run"].nunique()))


def _bars(axes: Axes, table: pd.DataFrame) -> None:
    runs = list(dict.fromkeys(table["run"]))
    first = table[table["run"] == runs[0]]
    places = np.arange(len(first))
    height = 0.8 / len(runs)
    for i, run in enumerate(runs):
        values = table.loc[table["run"] == run, "iou"].to_numpy()
        offset = (i - (len(runs) - 1) / 2) * height
        axes.barh(
            places + offset, np.nan_to_num(values), height * 0.92, color=style.color(i), label=run
        )
        for place, value in zip(places + offset, values, strict=True):
            said = "absent" if np.isnan(value) else f"{value:.2f}"
            axes.annotate(
                said,
                (0 if np.isnan(value) else value, place),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
    names = [f"{n} ({100 * s:.1f} %)" for n, s in zip(first["class"], first["share"], strict=True)]
    axes.set_yticks(places, names)
    axes.set_ylim(len(first) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.grid(False, axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
