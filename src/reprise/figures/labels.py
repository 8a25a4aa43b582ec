"""Accuracy against the number of labels, a line for each setting."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from reprise.csv_io import read_csv
from reprise.evaluation.markdown import Missing
from reprise.figures import style
from reprise.params.load import Params

ENDS = ["test_accuracy_ci_low", "test_accuracy_ci_high"]
COLUMNS = ["run", "start", "tuned", "labels", "test_accuracy", *ENDS]


def labels(results: Path, params: Params, missing: Missing, task: str) -> Figure:
    """Draw tables/finetune_<task>.csv: test accuracy with its 95 % CI against labeled images.

    A line joins the runs that start from the same pretraining and train the same layers; it is
    named after the one with the most labels.
    """
    table = read_csv(results / "tables" / f"finetune_{task}.csv", COLUMNS, COLUMNS[:3])
    if table.empty:
        return style.empty_figure(f"No results of finetune {task}.")
    figure = style.new_figure(7.0, 3.6)
    axes = figure.subplots()
    for position, (_, rows) in enumerate(table.groupby(["start", "tuned"], sort=False)):
        rows = rows.sort_values("labels")
        color, look = style.color(position), "--" if "frozen" in rows["tuned"].iloc[0] else "-"
        most = rows.iloc[-1]
        label = f"{most['run']}: {most['start']}, {most['tuned']}"
        # next to each other, so that the bars can be told apart
        x = rows["labels"] * 1.02 ** (position - 2)
        axes.plot(x, rows["test_accuracy"], look, color=color, marker="o", ms=4, label=label)
        low, high = rows[ENDS[0]], rows[ENDS[1]]
        reach = np.abs([rows["test_accuracy"] - low, high - rows["test_accuracy"]])
        axes.errorbar(x, rows["test_accuracy"], reach, fmt="none", ecolor=color, elinewidth=0.9)
    ticks = sorted({round(count) for count in table["labels"]})
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set(xlabel="labeled train images (mean over seeds)", ylabel="test accuracy")
    axes.set_title(f"Accuracy against labels, task {task}", loc="left")
    style.legend(axes)
    return figure
