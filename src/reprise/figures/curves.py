"""Every training history: the loss, and the score on the select role that is watched."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reprise.evaluation.convergence import histories, score_of
from reprise.evaluation.histories import chosen, read_history
from reprise.evaluation.holes import Holes
from reprise.figures import style
from reprise.params import Params

LABELS = {
    "knn_accuracy": "kNN accuracy",
    "select_accuracy": "select accuracy",
    "select_miou": "select mIoU",
}


@dataclass(frozen=True)
class Panel:
    """One row of the figure: the jobs of a part and the column that their epoch is chosen by."""

    part: str
    score: str
    jobs: list[tuple[str, Path]]  # (legend entry, history.csv); seeds share an entry


def panels(results: Path, params: Params) -> list[Panel]:
    """What the figure shows, in the order of the stages."""
    jobs: dict[str, list[tuple[str, Path]]] = {}
    for part, run, setting, _, path in histories(results, params):
        jobs.setdefault(part, []).append((f"{run} {setting}".strip(), path))
    return [Panel(part, score_of(part), own) for part, own in jobs.items()]


def curves(results: Path, params: Params, holes: Holes) -> Figure:
    """Draw all histories; a ring marks the epoch whose weights were kept.

    A history that is missing or cannot be read is named in the legend; `holes` learn why.
    """
    rows = panels(results, params)
    if not rows:
        return style.notice("No run in params.yaml.")
    figure = style.new_figure(9.5, 2.35 * len(rows) + 0.5)
    grid = figure.subplots(len(rows), 2, squeeze=False, gridspec_kw={"wspace": 0.08})
    for (left, right), panel in zip(grid, rows, strict=True):
        _draw(left, right, panel, holes)
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    figure.suptitle("Training histories; a ring marks the epoch that was kept", fontsize=10)
    return figure


def _draw(left: Axes, right: Axes, panel: Panel, holes: Holes) -> None:
    names = list(dict.fromkeys(name for name, _ in panel.jobs))
    scores: list[float] = []
    width = 1.6 if len(names) == len(panel.jobs) else 1.0  # several seeds a run
    labelled: set[str] = set()
    for name, path in panel.jobs:
        look: dict[str, Any] = {"color": style.color(names.index(name)), "alpha": 0.85, "lw": width}
        kept = None
        with holes.leave_out(panel.part):
            history = read_history(path, ["train_loss", panel.score])
            kept = chosen(history, path)
        if kept is None:
            right.plot([], [], ls="", label=f"{name}: missing")
            continue
        _line(left, history, "train_loss", kept, look, None)
        _line(right, history, panel.score, kept, look, None if name in labelled else name)
        labelled.add(name)
        scores += history[panel.score].tolist()
    left.set_title(panel.part, loc="left")
    left.set_ylabel("training loss")
    right.set_ylabel(LABELS[panel.score])
    style.unit_axis(right, scores)
    right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _line(
    axes: Axes,
    history: pd.DataFrame,
    column: str,
    kept: int,
    look: dict[str, Any],
    label: str | None,
) -> None:
    axes.plot(history["epoch"], history[column], label=label, **look)
    row = history.iloc[kept]
    axes.plot([row["epoch"]], [row[column]], "o", ms=6, mfc="white", mec=look["color"], mew=1.4)
