"""Every training history: the loss, and the validation score."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reprise.evaluation.job_outputs import SCORE_COLUMNS, read_history
from reprise.evaluation.markdown import Missing
from reprise.figures import style
from reprise.jobs import Job, jobs
from reprise.params.load import Params

LABELS = {"knn_accuracy": "kNN accuracy", "val_accuracy": "val accuracy", "val_miou": "val mIoU"}


def curves(results: Path, params: Params, missing: Missing) -> Figure:
    """Draw all histories, a row for each task; a ring marks the epoch whose weights were kept.

    A history that is missing or cannot be read is named in the legend, and `missing` collects why.
    """
    rows: dict[tuple[str, str], list[Job]] = {}
    for job in jobs(params):
        rows.setdefault((job.stage, job.task), []).append(job)
    if not rows:
        return style.empty_figure("No training runs in params.yaml.")
    figure = style.new_figure(9.5, 2.35 * len(rows) + 0.5)
    grid = figure.subplots(len(rows), 2, squeeze=False, gridspec_kw={"wspace": 0.08})
    for (left, right), (task, task_jobs) in zip(grid, rows.items(), strict=True):
        left.set_title(" ".join(task), loc="left")
        _draw(left, right, results, task_jobs, missing)
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    title = "Mean over seeds, their range, and a ring at the selected epoch of each seed"
    figure.suptitle(title, fontsize=10)
    return figure


def _draw(left: Axes, right: Axes, results: Path, task_jobs: list[Job], missing: Missing) -> None:
    """The loss (left) and the score (right) of the jobs of one task, a line for each run."""
    score = SCORE_COLUMNS[task_jobs[0].stage]
    scores: list[float] = []
    runs: dict[str, list[pd.DataFrame]] = {job.run: [] for job in task_jobs}
    for job in task_jobs:
        with missing.collecting("curves"):
            runs[job.run].append(read_history(job.folder(results) / "history.csv", job.stage))
    for number, (run, histories) in enumerate(runs.items()):
        seeds = sum(job.run == run for job in task_jobs)
        lost = f" ({seeds - len(histories)} of {seeds} missing)" if len(histories) < seeds else ""
        if not histories:
            right.plot([], [], ls="", label=f"{run}: missing")
            continue
        for axes, column in ((left, "train_loss"), (right, score)):
            _run(axes, histories, column, style.color(number), run + lost)
        scores += [value for history in histories for value in history[score].tolist()]
    left.set_ylabel("training loss")
    right.set_ylabel(LABELS[score])
    style.unit_axis(right, scores)
    style.legend(right)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _run(axes: Axes, histories: list[pd.DataFrame], column: str, color: str, label: str) -> None:
    """A run: the mean over its seeds, their range as a band, and the selected epochs as rings."""
    table = pd.concat([history.set_index("epoch")[column] for history in histories], axis=1)
    axes.plot(table.index, table.mean(axis=1), color=color, label=label)
    low, high = table.min(axis=1), table.max(axis=1)
    axes.fill_between(table.index, low, high, color=color, alpha=0.18, lw=0)
    ring: dict[str, Any] = {"ms": 5, "mfc": "white", "mec": color, "mew": 1.2}
    for history in histories:
        selected = history.iloc[history["selected"].argmax()]
        axes.plot([selected["epoch"]], [selected[column]], "o", **ring)
