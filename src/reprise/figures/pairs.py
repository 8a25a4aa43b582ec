"""The difference of each pair with its intervals; the seeds of a pair as points."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reprise.evaluation.prepared import read_table
from reprise.figures import style

SHOWN, OPEN = style.CYCLE[0], style.CYCLE[1]
COLUMNS = ["part", "run", "second", "first", "difference", "low_images", "high_images"]
COLUMNS += ["low_both", "high_both", "shown", "metric"]


def pairs(results: Path) -> Figure:
    """Draw tables/pairs.csv and, for the seeds, tables/seeds.csv; one panel a family of pairs."""
    table = read_table(results / "tables" / "pairs.csv", COLUMNS, ["run"])
    names = ["part", "run", "setting", "seed", "report"]
    seeds = read_table(results / "tables" / "seeds.csv", names)
    families = [
        ((str(part), str(run)), rows)
        for (part, run), rows in table.groupby(["part", "run"], sort=False)
    ]
    if not families:
        return style.notice("Fewer than two runs of each part in params.yaml.")
    heights = [len(rows) + 1.6 for _, rows in families]
    figure = style.new_figure(7.4, 0.27 * sum(heights) + 0.9)
    grid = figure.subplots(len(families), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, ((part, run), rows) in zip(grid, families, strict=True):
        _panel(axes, rows.reset_index(drop=True), by_seed(seeds, part, run))
        axes.set_title(f"{part}, run {run}" if run else str(part), loc="left")
    grid[-1].set_xlabel("difference in points, second minus first (mIoU where masks are compared)")
    grid[0].legend(*_legend(grid[0]), loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def by_seed(seeds: pd.DataFrame, part: str, run: str) -> pd.DataFrame:
    """The score of each seed (rows) of each setting, or run, of a family (columns)."""
    own = seeds[seeds["part"] == part]
    if run:
        own = own[own["run"] == run]
    return own.pivot(index="seed", columns="setting" if run else "run", values="report")


def _panel(axes: Axes, rows: pd.DataFrame, seeds: pd.DataFrame) -> None:
    axes.axvline(0, color=style.INK, lw=0.9)
    for place, row in enumerate(rows.to_dict("records")):
        color = SHOWN if row["shown"] else OPEN
        look: dict[str, Any] = {"color": color, "solid_capstyle": "butt"}
        span = [100 * row["low_images"], 100 * row["high_images"]]
        axes.plot(span, [place] * 2, lw=5, alpha=0.35, **look)
        if row["low_both"] == row["low_both"]:
            axes.plot([100 * row["low_both"], 100 * row["high_both"]], [place] * 2, lw=1.4, **look)
        each = 100 * (seeds[row["second"]] - seeds[row["first"]])
        if len(each) > 1:
            axes.plot(each, [place] * len(each), "|", color=style.INK, ms=6, mew=1.0)
        fill = color if row["shown"] else "white"
        axes.plot([100 * row["difference"]], [place], "o", ms=6, mfc=fill, mec=color, mew=1.5)
    axes.set_yticks(range(len(rows)), (rows["second"] + " - " + rows["first"]).tolist())
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(False, axis="y")


def _legend(axes: Axes) -> tuple[list[Any], list[str]]:
    """Made by hand, so that it is the same whatever pairs there are."""

    def entry(*args: Any, **look: Any) -> Any:
        (line,) = axes.plot([], [], *args, **look)
        return line

    entries = {
        "shown": entry("o", color=SHOWN, ms=6),
        "not shown": entry("o", mfc="white", mec=OPEN, ms=6, mew=1.5),
        "one seed": entry("|", color=style.INK, ms=6),
        "95 %, images": entry(color="#888888", lw=5, alpha=0.5),
        "95 %, images and seeds": entry(color="#888888", lw=1.4),
    }
    return list(entries.values()), list(entries)
