"""The numbers of tables as bars, and as dots with their intervals."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reprise.csv_io import read_csv
from reprise.evaluation.markdown import Missing, groups
from reprise.evaluation.statistics import Floats
from reprise.evaluation.tables import class_groups
from reprise.figures import style
from reprise.params.load import Params

ACCURACY = "test_accuracy"
INTERVALS = [f"{ACCURACY}_{kind}_{end}" for kind in ("groups", "ci") for end in ("low", "high")]
SEEDS = ["stage", "task", "run", "seed", "test"]
CONVERGENCE = ["stage", "task", "run", "seed", "epochs", "best_epoch", "epochs_to_95pct"]
TEXTS = ["task", "run", "start", "class"]


def finetune(results: Path, params: Params, missing: Missing, task: str) -> Figure:
    """Draw tables/finetune_<task>.csv and the seeds of tables/seeds.csv: a row for each run."""
    columns = ["run", "start", "tuned", ACCURACY, "constant", *INTERVALS]
    table = _read(results, f"finetune_{task}", columns)
    seeds = _read(results, "seeds", SEEDS)
    if table.empty:
        return style.empty_figure(f"No results of finetune {task}.")
    figure = style.new_figure(6.6, 0.42 * len(table) + 1.0)
    axes = figure.subplots()
    seeds = seeds[(seeds["stage"] == "finetune") & (seeds["task"] == task)]
    constant = axes.axvline(table["constant"].iloc[0], color=style.INK, lw=1.0, ls="--")
    starts = list(dict.fromkeys(table["start"]))
    for y, row in enumerate(table.to_dict("records")):
        scores = seeds.loc[seeds["run"] == row["run"], "test"].to_numpy()
        _accuracy(axes, y, row, scores, style.color(starts.index(row["start"])))
    style.name_rows(axes, [_setting(row) for row in table.to_dict("records")])
    axes.set_xlabel(f"test accuracy, task {task}")
    look: dict[str, Any] = {"ls": "-", "color": style.OUTLINE}
    handles = [
        style.line("mean", "o", color=style.OUTLINE, ms=7),
        style.line("mean, frozen backbone", "o", mfc="white", mec=style.OUTLINE, ms=7, mew=1.6),
        style.line("one seed", "|", color=style.INK, ms=7),
        style.line("95 % CI, images", lw=6, alpha=0.4, **look),
        style.line("95 % CI, images + seeds", lw=1.5, **look),
    ]
    constant.set_label("most frequent class")
    style.legend(axes, handles=[*handles, constant])
    return figure


def _setting(row: Mapping[Any, Any]) -> str:
    """A run of fine-tuning in words."""
    start = "from scratch" if row["start"] == "none" else row["start"]
    return f"{row['run']}: {start}, {row['tuned']}"


def _accuracy(axes: Axes, y: int, row: Mapping[Any, Any], seeds: Floats, color: str) -> None:
    """A run: its intervals, the score of each seed, and the mean as text and mark."""
    groups_low, groups_high, ci_low, ci_high = (row[name] for name in INTERVALS)
    look: dict[str, Any] = {"color": color, "solid_capstyle": "butt"}
    axes.plot([groups_low, groups_high], [y] * 2, lw=6, alpha=0.35, **look)
    axes.plot([ci_low, ci_high], [y] * 2, lw=1.5, **look)
    axes.plot(seeds, [y] * len(seeds), "|", color=style.INK, ms=8, mew=1.0)
    fill = "white" if str(row["tuned"]).startswith("frozen") else color
    axes.plot([row[ACCURACY]], [y], "o", ms=7, mfc=fill, mec=color, mew=1.6, zorder=4)
    look = {"textcoords": "offset points", "ha": "center", "fontsize": 8, "fontweight": "bold"}
    axes.annotate(f"{row[ACCURACY]:.3f}", (row[ACCURACY], y), (0, 7), **look)


def iou(results: Path, params: Params, missing: Missing) -> Figure:
    """Draw tables/class_iou.csv: a panel for each task and set of classes, a color for each run."""
    panels = class_groups(_read(results, "class_iou", ["task", "run", "class", "iou", "share"]))
    if not panels:
        return style.empty_figure("No segmentation results.")
    heights = [
        0.3 + rows["class"].nunique() * (0.14 + 0.15 * rows["run"].nunique()) for _, rows in panels
    ]
    figure = style.new_figure(8.0, sum(heights) + 0.5 * len(heights))
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (task, rows) in zip(grid, panels, strict=True):
        _classes(axes, rows)
        axes.set_title(f"segment {task}: {rows['class'].nunique()} classes", loc="left")
    grid[-1].set_xlabel("IoU on the test split")
    return figure


def _classes(axes: Axes, table: pd.DataFrame) -> None:
    runs = list(dict.fromkeys(table["run"]))
    first = table[table["run"] == runs[0]]
    y = np.arange(len(first))
    height = 0.8 / len(runs)
    look: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 7}
    for i, run in enumerate(runs):
        values = table.loc[table["run"] == run, "iou"].to_numpy()
        middle = y + (i - (len(runs) - 1) / 2) * height
        axes.barh(middle, np.nan_to_num(values), height * 0.92, color=style.color(i), label=run)
        for at, value in zip(middle, values, strict=True):
            text = "absent" if np.isnan(value) else f"{value:.2f}"
            axes.annotate(text, (np.nan_to_num(value), at), (3, 0), **look)
    names = [f"{n} ({100 * s:.1f} %)" for n, s in zip(first["class"], first["share"], strict=True)]
    style.name_rows(axes, names, 0.5)
    axes.set_xlim(0, 1)
    style.legend(axes)


def convergence(results: Path, params: Params, missing: Missing) -> Figure:
    """Draw tables/convergence.csv: a line for each run, its seeds above each other."""
    table = _read(results, "convergence", CONVERGENCE)
    # published weights were not trained here
    runs = list(groups(table[table["epochs"] > 0], "stage", "task", "run"))
    if not runs:
        return style.empty_figure("No training runs in params.yaml.")
    figure = style.new_figure(7.4, 0.26 * len(runs) + 0.9)
    axes = figure.subplots()
    look: dict[str, Any] = {"ls": "", "ms": 6, "zorder": 3}
    square = look | {"marker": "s", "color": style.CYCLE[0]}
    ring = look | {"marker": "o", "mfc": "none", "mec": style.CYCLE[1], "mew": 1.4}
    for y, (_, rows) in enumerate(runs):
        axes.plot([1, rows["epochs"].max()], [y] * 2, color="#cccccc", lw=4, zorder=1)
        # seeds at slightly different heights, so that equal epochs stay visible
        heights = y - (np.arange(len(rows)) - (len(rows) - 1) / 2) * 0.2
        labels = ("epochs to 95 % of the best", "best epoch") if y == 0 else (None, None)
        axes.plot(rows["epochs_to_95pct"], heights, label=labels[0], **square)
        axes.plot(rows["best_epoch"], heights, label=labels[1], **ring)
    style.name_rows(axes, [" ".join(name) for name, _ in runs])
    axes.set_xlabel("epoch; a bar ends at the last epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.legend(axes)
    return figure


def _read(results: Path, name: str, columns: list[str]) -> pd.DataFrame:
    return read_csv(results / "tables" / f"{name}.csv", columns, TEXTS)
