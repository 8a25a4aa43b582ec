"""The questions of params.yaml and what the comparisons say to them: one table for every reader.

The report, README.md, docs/results.md and the terminal show these rows, so that a sentence changes
with its row and nowhere else.
"""

from collections.abc import Mapping
from math import isnan, nan
from typing import Any

import pandas as pd

from reprise.evaluation import markdown as md
from reprise.evaluation.job_outputs import METRICS
from reprise.jobs import tasks
from reprise.params.load import Params

COLUMNS = ["question", "answer", "number", "certainty", "stage", "task", "a", "b", "metric"]
COLUMNS += ["score_a", "score_b", "difference", "low", "high", "images", "groups", "seeds", "why"]
# how sure: whether the difference is significant, or the data give no verdict on it
CERTAINTIES = SIGNIFICANT, NOT_SIGNIFICANT, NO_VERDICT = (
    "significant",
    "not significant",
    "no verdict",
)
FIRST = 6  # rows that are shown first; the others are folded
UNITS = {"accuracy": "points", "miou": "points of mIoU"}


def questions_table(runs: pd.DataFrame, comparisons: pd.DataFrame, params: Params) -> md.Table:
    """COLUMNS, a row for each comparison that the tasks name: those with a question first.

    Args:
        runs: from `summaries.summarize`.
        comparisons: from `comparisons.compare`.
        params: the tasks with their questions.

    `difference` is a - b with the ends of its 95 % CI, in 0..1: over images and seeds, or over
    images only with one seed; NaN where the two are not compared, and `why` says why.
    """
    rows = []
    for stage, task, block in tasks(params, *METRICS):
        for a, b in block.named_pairs:
            row: dict[str, Any] = {
                "stage": stage,
                "task": task,
                "a": a,
                "b": b,
                "metric": METRICS[stage],
            }
            row["question"] = block.questions.get((a, b), "")
            row |= _scores(runs, row) | _difference(comparisons, row)
            if not isnan(row["score_a"]) and not isnan(row["score_b"]):
                rows.append(row | _words(row))
    rows.sort(key=lambda row: not row["question"])  # stable
    for row in rows:
        row["question"] = row["question"] or plain_question(row)
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "no_verdict", "significant"])[COLUMNS]
    notes = [params.warning and f"**{params.warning}**", markdown(frame), NOTE]
    return md.page(frame, [note for note in notes if note], empty="No comparison in params.yaml.\n")


def plain_question(row: Mapping[Any, Any]) -> str:
    """The question of a pair for which params.yaml has none."""
    return f"{row['a']} or {row['b']}? ({row['task']})"


NOTE = (
    "Points are of 100. In brackets: the 95 % CI of the difference, over images and seeds, or over "
    "images only with one training each. Significant: p below 0.05 after Holm's correction, with "
    "three trainings each or more. Not significant is not the same as equal: the interval shows "
    "which differences the data allow."
)


def markdown(frame: pd.DataFrame) -> str:
    """The table for readers: question, answer, number with its interval, certainty, where from."""
    columns = [
        *md.left("question", "answer"),
        md.Column("Difference", md.text("number"), "---"),
        md.Column("How sure", lambda row: how_sure(row.to_dict()), "---"),
    ]
    return md.table(frame, columns)


def how_sure(row: Mapping[Any, Any]) -> str:
    """One of CERTAINTIES, with the reason where there is no verdict."""
    text = str(row["certainty"])
    return f"{text}: {row['why']}" if row["why"] else text


def _scores(runs: pd.DataFrame, row: Mapping[str, Any]) -> dict[str, Any]:
    """The mean test scores of both runs, NaN for one without jobs; and which are not compared."""
    scores: dict[str, Any] = {"below": []}
    for side in "ab":
        rows = runs[[list(key) == [row["stage"], row["task"], row[side]] for key in _keys(runs)]]
        scores[f"score_{side}"] = nan
        for run in rows.to_dict("records"):
            scores[f"score_{side}"] = float(run[f"test_{row['metric']}"])
            if not run["above_constant"]:
                scores["below"].append(row[side])
    return scores


def _keys(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    if frame.empty:
        return []
    return list(frame[["stage", "task", "run"]].itertuples(index=False, name=None))


def _difference(comparisons: pd.DataFrame, row: Mapping[str, Any]) -> dict[str, Any]:
    """The difference of a pair with its interval and verdict; NaN where it was not compared."""
    names = ["stage", "task", "a", "b"]
    pair = comparisons[(comparisons[names] == [row[name] for name in names]).all(axis=1)]
    values: dict[str, Any] = dict.fromkeys(("difference", "low", "high"), nan)
    for compared in pair.to_dict("records"):
        ends = "groups" if isnan(compared["ci_low"]) else "ci"
        values |= {name: compared[name] for name in ("difference", "images", "groups", "seeds")}
        values |= {"low": compared[f"{ends}_low"], "high": compared[f"{ends}_high"]}
        values |= {name: compared[name] for name in ("no_verdict", "significant")}
    return values


def _words(row: Mapping[str, Any]) -> dict[str, str]:
    """What a row says: answer, number, certainty and why."""
    if isnan(row["difference"]):
        if row["below"]:
            why = f"{' and '.join(row['below'])} not significantly above the constant prediction"
        else:
            why = "different seeds or classes"
        return {"answer": "not compared", "number": "-", "certainty": NO_VERDICT, "why": why}
    words = {"number": _number(row), "why": ""}
    if row["no_verdict"]:
        why = str(row["no_verdict"]).partition(":")[0]
        return words | {"answer": "cannot tell", "certainty": NO_VERDICT, "why": why}
    if not row["significant"]:
        return words | {"answer": "cannot tell", "certainty": NOT_SIGNIFICANT}
    better = row["a"] if row["difference"] > 0 else row["b"]
    return words | {"answer": f"{better} is better", "certainty": SIGNIFICANT}


def _number(row: Mapping[str, Any]) -> str:
    """The better run first, such as "C - B: +3.2 points (-6.3 to 12.6)"."""
    signed = [100 * row[name] + 0.0 for name in ("difference", "low", "high")]
    value, low, high = (round(number, 1) + 0.0 for number in signed)
    interval = "no interval" if isnan(low) else f"{low:.1f} to {high:.1f}"
    return f"{row['a']} - {row['b']}: {value:+.1f} {UNITS[row['metric']]} ({interval})"
