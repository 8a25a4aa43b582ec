"""The numbers of tables as bars, and as dots with their intervals."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reprise.csv_io import read_csv
from reprise.evaluation.markdown import Missing, groups
from reprise.evaluation.published_numbers import CLASS_METRIC, EPOCH_METRICS, METRICS
from reprise.evaluation.tables import class_groups
from reprise.figures import style
from reprise.params.load import Params

ACCURACY = "test_accuracy"
INTERVALS = [f"{ACCURACY}_{kind}_{end}" for kind in ("groups", "ci") for end in ("low", "high")]
SEEDS = ["stage", "task", "run", "seed", "test"]
COMPARISONS = ["stage", "task", "a", "b", "difference", "no_verdict", "significant"]
COMPARISONS += ["groups_low", "groups_high", "ci_low", "ci_high"]
PUBLISHED = ["homework", "stage", "task", "run", "metric", "value", "low", "high", "other_min"]
PUBLISHED += ["other_median", "other_max", "our_task", "our_run", "same_data"]
PUBLISHED += ["ours", "ours_low", "ours_high"]
CONVERGENCE = ["stage", "task", "run", "seed", "epochs", "best_epoch", "epochs_to_95pct"]
TEXTS = ["task", "run", "start", "class", "a", "b", "no_verdict", "our_task", "our_run"]
SIGNIFICANT, NOT_SIGNIFICANT, NO_VERDICT = style.CYCLE[0], style.CYCLE[1], "#888888"
THEIRS, OURS, OTHERS = style.CYCLE[1], style.CYCLE[0], "#cccccc"
OUTLINE = "#888888"


def finetune(results: Path, params: Params, missing: Missing, task: str) -> Figure:
    """Draw tables/finetune_<task>.csv and the seeds of tables/seeds.csv: a bar for each run."""
    table = _read(results, f"finetune_{task}", ["run", "start", "tuned", ACCURACY, *INTERVALS])
    seeds = _read(results, "seeds", SEEDS)
    if table.empty:
        return style.empty_figure(f"No results of finetune {task}.")
    figure = style.new_figure(7.0, 3.4)
    axes = figure.subplots()
    _accuracies(axes, table, seeds[(seeds["stage"] == "finetune") & (seeds["task"] == task)])
    axes.set_title(f"Fine-tuning, task {task}", loc="left")
    return figure


def _accuracies(axes: Axes, table: pd.DataFrame, seeds: pd.DataFrame) -> None:
    look: dict[str, Any]
    mean = table[ACCURACY]
    for position, start in enumerate(dict.fromkeys(table["start"])):
        rows = table[table["start"] == start]
        hatches = ["//" if tuned.startswith("frozen") else "" for tuned in rows["tuned"]]
        look = {"color": style.color(position), "alpha": 0.8, "edgecolor": "white"}
        label = f"pretraining: {start}"
        axes.bar(rows.index, rows[ACCURACY], 0.62, hatch=hatches, label=label, **look)
    groups_low, groups_high, ci_low, ci_high = (table[name] for name in INTERVALS)
    look = {"fmt": "none", "ecolor": style.INK, "elinewidth": 1.6, "capsize": 4}
    reach = np.array([mean - groups_low, groups_high - mean])
    axes.errorbar(table.index - 0.22, mean, reach, label="95 % CI, images", **look)
    if ci_low.notna().any():
        look |= {"elinewidth": 0.9, "capsize": 2}
        reach = np.array([mean - ci_low, ci_high - mean])
        axes.errorbar(table.index + 0.22, mean, reach, label="95 % CI, images + seeds", **look)
    for x, row in enumerate(table.to_dict("records")):
        scores = seeds.loc[seeds["run"] == row["run"], "test"].to_numpy()
        # next to each other, so that equal ones stay visible
        offsets = (
            np.linspace(-0.14, 0.14, len(scores)) if len(scores) > 1 else np.zeros(len(scores))
        )
        look = {"ms": 5, "mfc": "white", "mec": style.INK, "mew": 1.1, "zorder": 4}
        axes.plot(x + offsets, scores, "o", label="one seed" if x == 0 else None, **look)
        top = np.nanmax([row[INTERVALS[1]], row[INTERVALS[3]], *scores])
        look = {"textcoords": "offset points", "ha": "center", "fontweight": "bold"}
        axes.annotate(f"{row[ACCURACY]:.3f}", (x, top), (0, 6), **look)
    tuned = table["tuned"].str.replace(" ", "\n")
    axes.set_xticks(table.index, (table["run"] + "\n" + tuned).tolist())
    axes.set_ylabel("test accuracy")
    axes.grid(False, axis="x")
    style.unit_axis(axes, [*groups_high, *ci_high, *seeds["test"]])
    style.legend(axes)


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
    _name_rows(axes, names, 0.5)
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
    _name_rows(axes, [" ".join(name) for name, _ in runs])
    axes.set_xlabel("epoch; a bar ends at the last epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.legend(axes)
    return figure


def comparisons(results: Path, params: Params, missing: Missing) -> Figure:
    """Draw tables/comparisons.csv and the seeds of tables/seeds.csv; a panel for each task."""
    panels = list(groups(_read(results, "comparisons", COMPARISONS), "stage", "task"))
    seeds = _read(results, "seeds", SEEDS)
    if not panels:
        return style.empty_figure("No task has two runs to compare.")
    figure, grid = _panels(7.4, 0.27, [len(rows) for _, rows in panels])
    for axes, ((stage, task), rows) in zip(grid, panels, strict=True):
        scores = seeds[(seeds["stage"] == stage) & (seeds["task"] == task)]
        _differences(axes, rows, scores.pivot(index="seed", columns="run", values="test"))
        axes.set_title(f"{stage} {task}", loc="left")
    grid[-1].set_xlabel("difference a - b in percentage points (accuracy; mIoU in segmentation)")
    handles = [
        _line("significant", "o", color=SIGNIFICANT, ms=6),
        _line("not significant", "o", mfc="white", mec=NOT_SIGNIFICANT, ms=6, mew=1.5),
        _line("no verdict", "o", mfc="white", mec=NO_VERDICT, ms=6, mew=1.5),
        _line("one seed", "|", color=style.INK, ms=6),
        _line("95 % CI, images", ls="-", color=OUTLINE, lw=5, alpha=0.5),
        _line("95 % CI, images + seeds", ls="-", color=OUTLINE, lw=1.4),
    ]
    style.legend(grid[0], handles=handles)
    return figure


def _differences(axes: Axes, rows: pd.DataFrame, seeds: pd.DataFrame) -> None:
    """A row for each pair; `seeds` holds the test score of each seed (rows) of each run."""
    axes.axvline(0, color=style.INK, lw=0.9)
    for y, row in enumerate(rows.to_dict("records")):
        color = SIGNIFICANT if row["significant"] else NOT_SIGNIFICANT
        color = NO_VERDICT if row["no_verdict"] else color
        look: dict[str, Any] = {"color": color, "solid_capstyle": "butt"}
        images = [100 * row["groups_low"], 100 * row["groups_high"]]
        axes.plot(images, [y] * 2, lw=5, alpha=0.35, **look)
        if not pd.isna(row["ci_low"]):
            axes.plot([100 * row["ci_low"], 100 * row["ci_high"]], [y] * 2, lw=1.4, **look)
        # an ensemble is also compared with its best epoch, which has no row in seeds.csv
        pair = {row["a"], row["b"]} <= set(seeds)
        if pair and len(by_seed := 100 * (seeds[row["a"]] - seeds[row["b"]])) > 1:
            axes.plot(by_seed, [y] * len(by_seed), "|", color=style.INK, ms=6, mew=1.0)
        fill = color if row["significant"] else "white"
        axes.plot([100 * row["difference"]], [y], "o", ms=6, mfc=fill, mec=color, mew=1.5)
    _name_rows(axes, (rows["a"] + " - " + rows["b"]).tolist())


def published_numbers(results: Path, params: Params, missing: Missing) -> Figure:
    """Draw tables/published_numbers.csv: a panel for each homework.

    Numbers of epochs and of single classes are left out.
    """
    table = _read(results, "published_numbers", PUBLISHED)
    table = table[~table["metric"].isin([*EPOCH_METRICS, CLASS_METRIC])]
    panels = list(groups(table, "homework"))
    if not panels:
        return style.empty_figure("No published numbers in numbers.csv.")
    figure, grid = _panels(8.0, 0.24, [len(rows) for _, rows in panels], sharex=True)
    for axes, ((homework,), rows) in zip(grid, panels, strict=True):
        _numbers(axes, rows)
        axes.set_title(homework, loc="left")
    grid[-1].set_xlabel("accuracy, pixel accuracy or mIoU, each as its course's script computes it")
    grid[-1].set_xlim(0, 1.03)  # so that a mark at 1 is drawn whole
    handles = [
        _line("published", "D", ls="-", color=THEIRS, ms=4.5, lw=1.4),
        _line("ours, the homework's data", "o", ls="-", color=OURS, ms=5, lw=1.4),
        _line("ours, other images", "o", ls="-", color=OURS, mfc="white", ms=5, mew=1.3, lw=1.4),
        _line("other solutions", ls="-", color=OTHERS, lw=7),
        _line("their median", "|", color=OUTLINE, ms=9, mew=1.6),
    ]
    style.legend(grid[0], handles=handles)
    return figure


def _numbers(axes: Axes, rows: pd.DataFrame) -> None:
    for y, row in enumerate(rows.to_dict("records")):
        others = [row["other_min"], row["other_max"]]
        axes.plot(others, [y] * 2, color=OTHERS, lw=7, solid_capstyle="butt", zorder=1)
        axes.plot([row["other_median"]], [y], "|", color=OUTLINE, ms=9, mew=1.6, zorder=2)
        axes.plot([row["low"], row["high"]], [y - 0.16] * 2, color=THEIRS, lw=1.4)
        axes.plot([row["value"]], [y - 0.16], "D", color=THEIRS, ms=4.5)
        axes.plot([row["ours_low"], row["ours_high"]], [y + 0.16] * 2, color=OURS, lw=1.4)
        fill = OURS if row["same_data"] else "white"
        axes.plot([row["ours"]], [y + 0.16], "o", ms=5, mfc=fill, mec=OURS, mew=1.3)
    _name_rows(axes, [_number_name(row) for row in rows.to_dict("records")])


def _number_name(row: Mapping[Any, Any]) -> str:
    """The homework's run and what was measured; in brackets our run, of fine-tuning our task."""
    name = str(row["run"])
    is_own = (row["our_task"], row["our_run"]) == (row["task"], row["run"])
    ours = "" if is_own else row["our_run"]
    if row["stage"] == "finetune":
        name = f"run {name}"
        ours = row["our_task"] if row["our_task"] != row["task"] else ""
    if row["metric"] != "accuracy":
        name += f", {METRICS[row['metric']].split(',', 1)[0]}"
    epoch = row["metric"].partition("_")[0]
    if epoch in ("early", "middle", "final"):
        name += f" at the {epoch} epoch"
    return f"{name} ({ours})" if ours else name


def _read(results: Path, name: str, columns: list[str]) -> pd.DataFrame:
    return read_csv(results / "tables" / f"{name}.csv", columns, TEXTS)


def _panels(width: float, inches: float, counts: list[int], **options: Any) -> tuple[Figure, Any]:
    """A figure with a panel for each count of rows, `inches` per row, and its axes."""
    heights = [count + 1.6 for count in counts]
    figure = style.new_figure(width, inches * sum(heights) + 0.9)
    grid = figure.subplots(len(counts), 1, squeeze=False, height_ratios=heights, **options)
    return figure, grid[:, 0]


def _name_rows(axes: Axes, names: list[str], margin: float = 0.6) -> None:
    """The names of the rows, the first one at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - (1 - margin), -margin)
    axes.grid(False, axis="y")


def _line(label: str, marker: str = "", **look: Any) -> Line2D:
    return Line2D([], [], label=label, marker=marker, **({"ls": ""} | look))
