"""Curves that a homework discusses: train against val accuracy, and the CS6550 starter's scores."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reprise.csv_io import read_csv
from reprise.evaluation.job_outputs import read_history
from reprise.evaluation.markdown import Missing, groups
from reprise.figures import style
from reprise.jobs import Job
from reprise.params.load import Params

STARTER = Path("workflow/published/starter_epochs.csv")
LOGS = ["log", "classes", "epochs", "pixel_accuracy", "miou"]
MANY_CLASSES = 11  # the logs with fewer are of another question, three classes
THEIRS = "#888888"


def gap(results: Path, params: Params, missing: Missing, task: str) -> Figure:
    """Draw the accuracy on train and on val after each epoch of the runs of a task's `gap`.

    A panel for each run, all seeds; the band between the two lines of the first seed is the gap.
    """
    block = params.finetune[task]
    runs = [run for run in block.gap if run in block.runs]
    if not runs or not block.seeds:
        return style.empty_figure(f"No run or seed of finetune {task} in params.yaml.")
    figure = style.new_figure(4.4 * len(runs) + 0.6, 3.0)
    grid = figure.subplots(1, len(runs), squeeze=False, sharey=True)[0]
    for axes, run in zip(grid, runs, strict=True):
        for number, seed in enumerate(block.seeds):
            history = None
            with missing.collecting("curves"):
                path = Job("finetune", task, run, seed).folder(results) / "history.csv"
                history = read_history(path, "finetune")
            if history is not None:
                _gap(axes, history, number == 0)
        axes.set_title(f"{task}, run {run}", loc="left")
        _epoch_axis(axes)
        axes.set_ylim(0, 1.02)
    grid[0].set_ylabel("accuracy")
    look: dict[str, Any] = {"lw": 1.6}
    handles = [
        Line2D([], [], color=style.CYCLE[1], label="train (augmented)", **look),
        Line2D([], [], color=style.CYCLE[0], label="val", **look),
    ]
    style.legend(grid[-1], handles=handles)
    return figure


def _gap(axes: Axes, history: pd.DataFrame, is_first: bool) -> None:
    epochs, train, val = (history[name] for name in ("epoch", "train_accuracy", "val_accuracy"))
    look: dict[str, Any] = {"lw": 1.6 if is_first else 0.9, "alpha": 1.0 if is_first else 0.6}
    axes.plot(epochs, train, color=style.CYCLE[1], **look)
    axes.plot(epochs, val, color=style.CYCLE[0], **look)
    if is_first:
        axes.fill_between(epochs, val, train, color=style.GRID_COLOR, zorder=0)


def published_curve(results: Path, params: Params, missing: Missing, task: str) -> Figure:
    """Draw the scores of a run after each epoch over those of public logs of the starter.

    The logs are of the starter's network, with 11 classes or 12 (void too), on the course's val
    split, per image; ours are on our val split, from one confusion matrix.
    """
    block = params.segment[task]
    run = block.published_curve
    if run not in block.runs or not block.seeds:
        return style.empty_figure(f"No run or seed of segment {task} in params.yaml.")
    logs = read_csv(STARTER, LOGS)
    logs = logs[logs["classes"] >= MANY_CLASSES]
    figure = style.new_figure(9.0, 3.0)
    panels = (("miou", "val_miou", "mIoU"), ("pixel_accuracy", "val_pixel_accuracy", "accuracy"))
    grid = figure.subplots(1, 2)
    for axes, (theirs, ours, label) in zip(grid, panels, strict=True):
        band = logs.groupby("epochs")[theirs].agg(["min", "max"])
        axes.fill_between(band.index, band["min"], band["max"], color=style.GRID_COLOR, zorder=0)
        for _, log in groups(logs, "log"):
            axes.plot(log["epochs"], log[theirs], color=THEIRS, lw=0.9)
        for seed in block.seeds:
            history = None
            with missing.collecting("curves"):
                path = Job("segment", task, str(run), seed).folder(results) / "history.csv"
                history = read_history(path, "segment")
            if history is not None:
                axes.plot(history["epoch"], history[ours], color=style.CYCLE[0])
        axes.set_title(label if label == "mIoU" else "pixel accuracy", loc="left")
        axes.set_ylim(0, 1.0)
        _epoch_axis(axes)
    handles = [
        Line2D([], [], color=THEIRS, lw=0.9, label=f"starter, {logs['log'].nunique()} public logs"),
        Line2D([], [], color=style.CYCLE[0], label=f"ours, run {run}"),
    ]
    style.legend(grid[-1], handles=handles)
    return figure


def _epoch_axis(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
