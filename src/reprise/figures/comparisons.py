"""The differences that the tasks name, on one axis."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reprise.csv_io import read_csv
from reprise.evaluation.markdown import Missing, groups
from reprise.evaluation.questions import plain_question
from reprise.figures import style
from reprise.params.load import Params

PAIRS = ["stage", "task", "a", "b", "difference", "no_verdict", "significant", "named"]
PAIRS += ["groups_low", "groups_high", "ci_low", "ci_high"]
QUESTIONS = ["question", "stage", "task", "a", "b"]
SEEDS = ["stage", "task", "run", "seed", "test"]
TEXTS = ["question", "task", "run", "a", "b", "no_verdict"]
SIGNIFICANT, NOT_SIGNIFICANT, NO_VERDICT = style.CYCLE[0], style.CYCLE[1], style.OUTLINE
METRICS = {"segment": "mIoU"}  # by stage; of the others: accuracy
MINUS = "\u2212"


def comparisons(results: Path, params: Params, missing: Missing) -> Figure:
    """Draw the named rows of tables/comparisons.csv, in the order of tables/answers.csv."""
    pairs = read_csv(results / "tables" / "comparisons.csv", PAIRS, TEXTS)
    questions = read_csv(results / "tables" / "answers.csv", QUESTIONS, TEXTS)
    seeds = read_csv(results / "tables" / "seeds.csv", SEEDS, TEXTS)
    named = pairs[pairs["named"].astype(bool)]
    rows = questions[QUESTIONS].merge(named, on=QUESTIONS[1:], how="right", sort=False)
    order = {text: place for place, text in enumerate(questions["question"])}
    rows = rows.sort_values("question", key=lambda column: column.map(order), kind="stable")
    if rows.empty:
        return style.empty_figure("No task has two runs to compare.")
    figure = style.new_figure(9.6, 0.27 * len(rows) + 0.75)
    axes = figure.subplots()
    axes.axvline(0, color=style.INK, lw=0.9)
    scores = {key: of_task for key, of_task in groups(seeds, "stage", "task")}
    for y, row in enumerate(rows.to_dict("records")):
        _difference(axes, y, row, scores.get((row["stage"], row["task"])))
    axes.set_yticks(range(len(rows)), [_name(row) for row in rows.to_dict("records")])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.set_xlabel("difference on the test split, in percentage points of accuracy or mIoU")
    _legend(axes)
    return figure


def _name(row: dict[Any, Any]) -> str:
    """The question of a row, if there is one, and its pair."""
    pair = f"{row['a']} {MINUS} {row['b']}"
    metric = METRICS.get(row["stage"], "accuracy")
    question = "" if pd.isna(row["question"]) else str(row["question"])
    if question in ("", plain_question(row)):
        return f"{row['task']}, {metric}: {pair}"
    return f"{question}  {pair}"


def _difference(axes: Axes, y: int, row: dict[Any, Any], seeds: pd.DataFrame | None) -> None:
    """A pair: its intervals, the difference of each seed, and the mean."""
    color = SIGNIFICANT if row["significant"] else NOT_SIGNIFICANT
    color = NO_VERDICT if row["no_verdict"] else color
    look: dict[str, Any] = {"color": color, "solid_capstyle": "butt"}
    axes.plot([100 * row["groups_low"], 100 * row["groups_high"]], [y] * 2, lw=6, alpha=0.3, **look)
    axes.plot([100 * row["ci_low"], 100 * row["ci_high"]], [y] * 2, lw=1.5, **look)
    if seeds is not None and {row["a"], row["b"]} <= set(seeds["run"]):
        table = seeds.pivot(index="seed", columns="run", values="test")
        if len(by_seed := 100 * (table[row["a"]] - table[row["b"]])) > 1:
            axes.plot(by_seed, [y] * len(by_seed), "|", color=style.INK, ms=7, mew=1.0)
    fill = color if row["significant"] else "white"
    axes.plot([100 * row["difference"]], [y], "o", ms=6.5, mfc=fill, mec=color, mew=1.6)


def _legend(axes: Axes) -> None:
    handles = [
        style.line("significant", "o", color=SIGNIFICANT, ms=6),
        style.line("not significant", "o", mfc="white", mec=NOT_SIGNIFICANT, ms=6, mew=1.5),
        style.line("no verdict", "o", mfc="white", mec=NO_VERDICT, ms=6, mew=1.5),
        style.line("one seed", "|", color=style.INK, ms=6),
        style.line("95 % CI, images", ls="-", color=style.OUTLINE, lw=5, alpha=0.5),
        style.line("95 % CI, images + seeds", ls="-", color=style.OUTLINE, lw=1.4),
    ]
    style.legend(axes, handles=handles)
