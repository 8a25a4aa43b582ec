"""Every training history: the loss, and the validation score."""

from pathlib import Path
from typing import Any

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
    figure.suptitle("Training histories; a ring marks the selected epoch", fontsize=10)
    return figure


def _draw(left: Axes, right: Axes, results: Path, task_jobs: list[Job], missing: Missing) -> None:
    """The loss (left) and the score (right) of the jobs of one task; seeds share a color."""
    score = SCORE_COLUMNS[task_jobs[0].stage]
    runs = list(dict.fromkeys(job.run for job in task_jobs))
    width = 1.6 if len(runs) == len(task_jobs) else 1.0  # thin lines where runs have several seeds
    labeled: set[str] = set()
    scores: list[float] = []
    for job in task_jobs:
        selected = None
        with missing.collecting("curves"):
            history = read_history(job.folder(results) / "history.csv", job.stage)
            selected = history.iloc[history["selected"].argmax()]
        if selected is None:
            right.plot([], [], ls="", label=f"{job.run}: missing")
            continue
        color = style.color(runs.index(job.run))
        line: dict[str, Any] = {"color": color, "alpha": 0.85, "lw": width}
        line["label"] = None if job.run in labeled else job.run
        ring: dict[str, Any] = {"ms": 6, "mfc": "white", "mec": color, "mew": 1.4}
        for axes, column in ((left, "train_loss"), (right, score)):
            axes.plot(history["epoch"], history[column], **line)
            axes.plot([selected["epoch"]], [selected[column]], "o", **ring)
        labeled.add(job.run)
        scores += history[score].tolist()
    left.set_ylabel("training loss")
    right.set_ylabel(LABELS[score])
    style.unit_axis(right, scores)
    style.legend(right)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
