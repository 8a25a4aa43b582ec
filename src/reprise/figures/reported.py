"""Each number of the reports beside the spread of other solutions and what was measured here."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reprise.evaluation.prepared import read_table
from reprise.evaluation.reported import EPOCHS, METRICS, OF_CLASS
from reprise.figures import style

COLUMNS = ["report", "recipe", "setting", "metric", "value", "low", "high", "others_min"]
COLUMNS += ["others_median", "others_max", "run", "same_data", "ours", "ours_low", "ours_high"]
THEIRS, OURS, OTHERS = style.CYCLE[1], style.CYCLE[0], "#cccccc"


def reported(results: Path) -> Figure:
    """Draw the shares of tables/reported.csv, a panel a report, without those of single classes."""
    texts = ["setting", "run"]
    table = read_table(results / "tables" / "reported.csv", COLUMNS, texts)
    table = table[~table["metric"].isin([*EPOCHS, OF_CLASS])]
    panels = [
        (str(name), rows.reset_index(drop=True))
        for name, rows in table.groupby("report", sort=False)
    ]
    if not panels:
        return style.notice("No number of a report in numbers.csv.")
    heights = [len(rows) + 1.6 for _, rows in panels]
    figure = style.new_figure(8.0, 0.24 * sum(heights) + 0.9)
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
    for axes, (name, rows) in zip(grid, panels, strict=True):
        _panel(axes, rows)
        axes.set_title(name, loc="left")
    grid[-1].set_xlabel("accuracy, pixel accuracy or mIoU, each as its course's script counts it")
    grid[-1].set_xlim(0, 1.03)  # a mark at 1 is drawn whole
    grid[0].legend(*_legend(grid[0]), loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    for place, row in enumerate(rows.to_dict("records")):
        ends = [row["others_min"], row["others_max"]]
        axes.plot(ends, [place] * 2, color=OTHERS, lw=7, solid_capstyle="butt", zorder=1)
        axes.plot([row["others_median"]], [place], "|", color="#888888", ms=9, mew=1.6, zorder=2)
        axes.plot([row["low"], row["high"]], [place - 0.16] * 2, color=THEIRS, lw=1.4)
        axes.plot([row["value"]], [place - 0.16], "D", color=THEIRS, ms=4.5)
        axes.plot([row["ours_low"], row["ours_high"]], [place + 0.16] * 2, color=OURS, lw=1.4)
        fill = OURS if row["same_data"] else "white"
        axes.plot([row["ours"]], [place + 0.16], "o", ms=5, mfc=fill, mec=OURS, mew=1.3)
    axes.set_yticks(range(len(rows)), [_name(row) for row in rows.to_dict("records")])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(False, axis="y")


def _name(row: dict[Any, Any]) -> str:
    """What was measured, and our run in brackets."""
    own = row["recipe"].removeprefix(row["report"]).removeprefix("_")
    what = f"setting {row['setting']}" if row["setting"] else own
    metric = "" if row["metric"] == "accuracy" else f", {METRICS[row['metric']].split(',', 1)[0]}"
    moment = row["metric"].partition("_")[0]
    if moment in ("early", "middle"):
        metric += f" at the {moment} epoch"
    ran = row["run"] if row["run"] != row["recipe"] else ""
    return f"{what}{metric}" + (f" ({ran})" if ran else "")


def _legend(axes: Axes) -> tuple[list[Any], list[str]]:
    """Made by hand, so that it is the same whatever numbers there are."""

    def entry(*args: Any, **look: Any) -> Any:
        (line,) = axes.plot([], [], *args, **look)
        return line

    entries = {
        "the report": entry("D-", color=THEIRS, ms=4.5, lw=1.4),
        "ours, the report's data": entry("o-", color=OURS, ms=5, lw=1.4),
        "ours, other images": entry("o-", color=OURS, mfc="white", ms=5, mew=1.3, lw=1.4),
        "other solutions": entry(color=OTHERS, lw=7),
        "their median": entry("|", color="#888888", ms=9, mew=1.6),
    }
    return list(entries.values()), list(entries)
