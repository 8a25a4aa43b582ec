"""Pairs of runs on the same images: their differences, tests and summaries in words."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from math import isnan
from typing import Any

import pandas as pd

from reprise.datasets.prepared import Classes
from reprise.evaluation import markdown as md
from reprise.evaluation.job_outputs import METRICS
from reprise.evaluation.scores import BEST_EPOCH
from reprise.evaluation.statistics import LEVEL, N_RESAMPLES, POWER, holm, mcnemar
from reprise.params.load import Params

FAMILY = ["a", "b", "metric", "images", "seeds", "difference", "seeds_sd", "images_se"]
FAMILY += ["images_low", "images_high", "ci_low", "ci_high", "test", "p", "p_holm"]
FAMILY += ["significant", "seeds_needed", "named", "summary"]
COLUMNS = ["stage", "task", *FAMILY]

Run = Mapping[Any, Any]  # a row of `scores.summarize`


def compare(runs: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Compare the runs of each task with each other; Holm's correction is over each family.

    `runs` are from `scores.summarize`. Returns COLUMNS and `family`, one row per pair (see
    `compare_family`).
    """
    columns = [*COLUMNS, "family"]
    frames = []
    for (stage, task), rows in md.groups(runs, "stage", "task"):
        named = getattr(params, stage)[task].named_pairs
        for suffix, members in families(rows.to_dict("records")):
            frame = compare_family(METRICS[stage], members, named)
            frame = frame.assign(stage=stage, task=task, family=f"{stage}, {task}{suffix}")
            frames += [frame[columns]] if len(frame) else []
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def families(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """The runs of a task that are compared with each other, with a suffix for their heading.

    Runs with the same classes are a family; an ensemble and its best epoch, two readings of one
    training, are a separate family. Only runs that have all seeds take part.
    """
    by_name = {run["run"]: run for run in runs}
    same_classes: dict[Classes, list[Run]] = {}
    ensembles = []
    for name, run in by_name.items():
        if name.endswith(BEST_EPOCH):
            ensemble = name.removesuffix(BEST_EPOCH)
            ensembles.append((f", {ensemble}", [run, by_name[ensemble]]))
        else:
            same_classes.setdefault(run["counts"][0].classes, []).append(run)
    trained = []
    for classes, members in same_classes.items():
        suffix = f", {len(classes.ids)} classes" if len(same_classes) > 1 else ""
        seeds = max((run["seed_list"] for run in members), key=len)
        trained.append((suffix, [run for run in members if run["seed_list"] == seeds]))
    return [*trained, *ensembles]


def compare_family(
    metric: str, runs: Sequence[Run], named: Sequence[tuple[str, str]]
) -> pd.DataFrame:
    """Compare each pair of runs, which have the same seeds and classes, on the same images.

    `metric` is accuracy or miou, `named` are pairs (a, b) that the task asks for by name.

    Returns FAMILY, one row per pair: a minus b, in 0..1; b is the earlier run unless the pair is
    named the other way round. `p` is of a difference of 0; `test` says which: Student's over images
    and seeds, or, with one seed, McNemar's exact test (accuracy) or Student's over images (mIoU).
    `seeds_needed` is a whole number or NaN, given where the difference is not significant. NaN:
    unknown with one seed.
    """
    rows = []
    for earlier, later in combinations(runs, 2):
        swapped = (earlier["run"], later["run"]) in named
        a, b = (earlier, later) if swapped else (later, earlier)
        result = (a["scores"][metric] - b["scores"][metric]).estimate()
        row = {"a": a["run"], "b": b["run"], "metric": metric, "difference": result.value}
        row |= {"test": "Student", "p": result.p(), "seeds_needed": result.seeds_needed()}
        if metric == "accuracy" and result.seeds == 1:
            right_a, right_b = a["counts"][0].correct, b["counts"][0].correct
            p = mcnemar(int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum()))
            row |= {"test": "McNemar", "p": p}
        row["named"] = (row["a"], row["b"]) in named or row["a"] + BEST_EPOCH == row["b"]
        rows.append(asdict(result) | row)
    frame = pd.DataFrame(rows, columns=FAMILY)
    frame["p_holm"] = holm(frame["p"].tolist())
    frame["significant"] = frame["p_holm"] < 1 - LEVEL
    frame["seeds_needed"] = frame["seeds_needed"].astype(float).where(~frame["significant"])
    frame["summary"] = [sentence(row, len(frame)) for row in frame.to_dict("records")]
    return frame


def sentence(row: Mapping[Any, Any], pairs: int) -> str:
    """What a comparison shows; `pairs` were corrected together."""
    gap = round(100 * row["difference"], 1) + 0.0  # no -0.0
    size = f"{gap:+.1f} point" + ("" if abs(gap) == 1 else "s")
    source, only = ("images", " (images only)") if isnan(row["ci_low"]) else ("ci", "")
    low, high = 100 * row[f"{source}_low"], 100 * row[f"{source}_high"]
    interval = f"95 % CI [{low:.1f}, {high:.1f}]{only}"
    conclusion = f"{_conclusion(row, pairs)}.{_seeds_needed(row)}"
    return f"{row['a']} - {row['b']}: {size}, {interval}; {conclusion}"


def _conclusion(row: Mapping[Any, Any], pairs: int) -> str:
    """Whether the difference is significant, by itself and among all pairs."""
    corrected = f" after Holm's correction for {pairs} comparisons" if pairs > 1 else ""
    if row["significant"]:
        networks = " for these two trained networks (one seed each)" if isnan(row["ci_low"]) else ""
        return f"significant{networks}{corrected}"
    if row["p"] < 1 - LEVEL:
        return f"not significant{corrected} (significant without it)"
    return "not significant"


def _seeds_needed(row: Mapping[Any, Any]) -> str:
    """How many seeds would be needed; "" where that is unknown."""
    if isnan(row["seeds_needed"]):
        return ""
    seeds = int(row["seeds_needed"])
    rounded = round(seeds, min(0, 2 - len(str(seeds))))  # two digits: it is no more precise
    return f" At this effect size about {rounded} seeds would be needed."


def comparisons_table(frame: pd.DataFrame) -> md.Table:
    """A section for each family of comparisons, with the sentences and the method."""
    columns = [
        md.Column("Comparison", lambda row: f"{row['a']} - {row['b']}"),
        md.Column("Difference (points)", md.number("difference", "+.1f", 100)),
        md.Column("sd over seeds", md.number("seeds_sd", ".1f", 100)),
        md.Column("95 % CI (images)", md.interval("images", ".1f", 100)),
        md.Column("95 % CI (images + seeds)", md.interval("ci", ".1f", 100)),
        md.Column("p", _p("p")),
        md.Column("p (Holm)", _p("p_holm")),
        md.Column("Significant", lambda row: "yes" if row["significant"] else "no"),
        md.Column("Seeds needed", md.number("seeds_needed", ".0f")),
    ]
    blocks = md.sections(
        frame, ["family"], lambda rows: [md.table(rows, columns), *rows["summary"], _method(rows)]
    )
    return md.page(frame[COLUMNS], blocks, empty="No task has two runs to compare.\n")


def _p(name: str) -> md.Cell:
    return lambda row: "< 0.001" if row[name] < 0.001 else f"{row[name]:.3f}"


def _method(rows: pd.DataFrame) -> str:
    """How the intervals and tests of a family were made."""
    seeds = " and seeds (Student's t)"
    if rows["ci_low"].isna().all():
        seeds = "; one seed, so other seeds may differ"
    pairs = f"{len(rows)} comparison{'s' if len(rows) > 1 else ''}"
    return (
        f"95 % CI: over images ({N_RESAMPLES} paired resamples){seeds}. Significant: "
        f"p < {1 - LEVEL:.2f} after Holm's correction for {pairs}. Seeds needed: for a power of "
        f"{100 * POWER:.0f} % in one comparison."
    )
