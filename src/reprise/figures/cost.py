"""Test score against the cost of one image: which runs no other run beats in both."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from reprise.evaluation.costs import FAMILY, pareto_optimal, read_costs
from reprise.evaluation.markdown import Missing, groups
from reprise.figures import style
from reprise.params.load import Params

NAMES = {"accuracy": "accuracy", "miou": "mIoU"}
PANELS_IN_ROW = 3
LARGEST = 180  # area of the mark of the network with the most parameters, in square points
SMALLEST = 20


def cost(results: Path, params: Params, missing: Missing) -> Figure:
    """Draw a panel for each task and set of classes, a mark for each run.

    Runs that all have one network cannot be compared by its cost, and have no panel where others
    can.
    """
    table = read_costs(results)
    return draw_costs(table, "multiply_adds", 1e6, "multiply-adds for one image (millions)")


def draw_costs(table: pd.DataFrame, column: str, unit: float, label: str) -> Figure:
    """Draw the scores of COSTS against one of its columns, in a unit, on a logarithmic axis."""
    table = table[table[column].notna()]
    families = list(groups(table, *FAMILY))
    panels = [family for family in families if family[1][column].nunique() > 1] or families
    if not panels:
        return style.empty_figure("No run has a test score.")
    figure, grid = style.panel_grid(len(panels), PANELS_IN_ROW, (3.3, 3.1), (0.4, 0.2))
    for axes, ((stage, task, _), rows) in zip(grid, panels, strict=True):
        _panel(axes, rows.assign(cost=rows[column] / unit))
        axes.set_xlabel(label)
        axes.set_title(f"{stage}, {task}", loc="left")
        axes.set_ylabel(f"{NAMES[rows['metric'].iloc[0]]} on the test split")
    return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    front = rows[pareto_optimal(rows["cost"], rows["score"])].sort_values(["cost", "score"])
    axes.plot(front["cost"], front["score"], color=style.OUTLINE, lw=1.2, zorder=1)
    most = rows["parameters"].max()
    for number, row in enumerate(rows.to_dict("records")):
        color, x = style.color(number), row["cost"]
        axes.plot([x, x], [row["lowest"], row["highest"]], color=color, lw=1.0, zorder=2)
        area = max(SMALLEST, LARGEST * row["parameters"] / most)
        fill = color if row["run"] in set(front["run"]) else "white"
        axes.scatter([x], [row["score"]], area, fill, edgecolors=color, zorder=3)
        look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7.5, "va": "center"}
        label = f"{row['run']}, {row['parameters'] / 1e6:.1f} M"
        axes.annotate(label, (x, row["score"]), (8, 0), **look)
    low, high = rows["cost"].min(), rows["cost"].max()
    axes.set_xscale("log")
    axes.set_xlim(low / 1.5, 1.8 * high * (high / low) ** 0.6)  # names are right of the marks
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())
