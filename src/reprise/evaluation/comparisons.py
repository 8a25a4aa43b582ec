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
from reprise.evaluation.statistics import LEVEL, POWER, group_sums, holm, holm_levels, sign_flip
from reprise.jobs import shared_pretraining
from reprise.params.load import Params

FAMILY = ["a", "b", "metric", "images", "groups", "seeds", "difference", "seeds_sd", "groups_se"]
FAMILY += ["groups_low", "groups_high", "ci_low", "ci_high", "test", "p", "p_holm"]
FAMILY += ["no_verdict", "significant", "seeds_needed", "named", "summary"]
COLUMNS = ["stage", "task", *FAMILY]
MIN_SEEDS = 3  # whole chains on each side, for a verdict on methods
FEW = {1: "one training each: a difference of two networks, not of two methods"}
FEW |= {2: f"two trainings each: too few to compare methods, which takes {MIN_SEEDS}"}
ONE_GROUP = "one group of test images: no interval"
SHARED = "of one pretraining: no verdict on the methods of pretraining"

Run = Mapping[Any, Any]  # a row of `summaries.summarize`


def compare(runs: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Compare the runs of each task with each other; Holm's correction is over each family.

    `runs` are from `summaries.summarize`. Returns COLUMNS and `family`, one row per pair (see
    `compare_family`). Runs that are not above a constant prediction are not compared.
    """
    columns = [*COLUMNS, "family"]
    frames = []
    for (stage, task), rows in md.groups(
        runs[runs["above_constant"].astype(bool)], "stage", "task"
    ):
        named = getattr(params, stage)[task].named_pairs
        finetuned = rows["run"].tolist() if stage == "finetune" else []
        shared = [run for run in finetuned if shared_pretraining(params, task, run)]
        for suffix, members in families(rows.to_dict("records")):
            frame = compare_family(METRICS[stage], members, named, shared)
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
    metric: str,
    runs: Sequence[Run],
    named: Sequence[tuple[str, str]],
    shared: Sequence[str] = (),
) -> pd.DataFrame:
    """Compare each pair of runs on the same images.

    Args:
        metric: accuracy or miou.
        runs: with the same seeds and classes.
        named: pairs (a, b) that the task asks for by name.
        shared: runs whose seeds all start from one pretraining.

    Returns:
        FAMILY, one row per pair: a minus b, in 0..1; b is the earlier run unless the pair is named
        the other way round. `p` is of a difference of 0; `test` says which: Student's over groups
        and seeds, or, with one seed, the exact sign flip over groups (accuracy) or Student's over
        groups (mIoU). `no_verdict` says why there is none, "" where there is one; `significant` is
        false without a verdict. `seeds_needed` is a whole number or NaN, given where the difference
        is not significant. NaN: unknown with one seed.
    """
    rows, estimates = [], []
    for earlier, later in combinations(runs, 2):
        swapped = (earlier["run"], later["run"]) in named
        a, b = (earlier, later) if swapped else (later, earlier)
        result = (a["scores"][metric] - b["scores"][metric]).estimate()
        row = {"a": a["run"], "b": b["run"], "metric": metric, "difference": result.value}
        row |= {"test": "Student", "p": result.p()}
        if metric == "accuracy" and result.seeds == 1:
            right_a, right_b = (one["counts"][0].correct.astype(int) for one in (a, b))
            by_group = group_sums((right_a - right_b)[:, None], a["counts"][0].groups)
            row |= {"test": "sign flip", "p": sign_flip(by_group[:, 0].astype(int))}
        of_one = {a["run"], b["run"]} & set(shared)
        row["no_verdict"] = FEW.get(result.seeds, SHARED if of_one else "")
        if result.groups == 1:
            row["no_verdict"] = ONE_GROUP
        row["named"] = (row["a"], row["b"]) in named or row["a"] + BEST_EPOCH == row["b"]
        rows.append(asdict(result) | row)
        estimates.append(result)
    frame = pd.DataFrame(rows, columns=FAMILY)
    p = frame["p"].fillna(1).tolist()  # unknown with one group
    frame["p_holm"] = holm(p)
    frame["significant"] = (frame["p_holm"] < 1 - LEVEL) & (frame["no_verdict"] == "")
    needed = [one.seeds_needed(level) for one, level in zip(estimates, holm_levels(p), strict=True)]
    forecast = (frame["no_verdict"] == "") & ~frame["significant"]
    frame["seeds_needed"] = pd.Series(needed, dtype=float).where(forecast)
    frame["summary"] = [sentence(row, len(frame)) for row in frame.to_dict("records")]
    return frame


def sentence(row: Mapping[Any, Any], pairs: int) -> str:
    """What a comparison shows; `pairs` were corrected together."""
    gap = round(100 * row["difference"], 1) + 0.0  # no -0.0
    size = f"{gap:+.1f} point" + ("" if abs(gap) == 1 else "s")
    if isnan(row["groups_low"]):
        return f"{row['a']} - {row['b']}: {size}; {row['no_verdict']}."
    one_seed = isnan(row["ci_low"])
    source = "groups" if one_seed else "ci"
    low, high = 100 * row[f"{source}_low"], 100 * row[f"{source}_high"]
    interval = f"95 % CI [{low:.1f}, {high:.1f}]" + (" (images only)" if one_seed else "")
    conclusion = row["no_verdict"] or _conclusion(row, pairs)
    return f"{row['a']} - {row['b']}: {size}, {interval}; {conclusion}.{_seeds_needed(row)}"


def _conclusion(row: Mapping[Any, Any], pairs: int) -> str:
    """Whether the difference is significant, by itself and among all pairs."""
    corrected = f" after Holm's correction for {pairs} comparisons" if pairs > 1 else ""
    if row["significant"]:
        return f"significant{corrected}"
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
        md.Column("95 % CI (images)", md.interval("groups", ".1f", 100)),
        md.Column("95 % CI (images + seeds)", md.interval("ci", ".1f", 100)),
        md.Column("p", _p("p")),
        md.Column("p (Holm)", _p("p_holm")),
        md.Column("Significant", _significant),
        md.Column("Seeds needed", md.number("seeds_needed", ".0f")),
    ]
    blocks = md.sections(
        frame, ["family"], lambda rows: [md.table(rows, columns), *rows["summary"], _method(rows)]
    )
    return md.page(frame[COLUMNS], blocks, empty="No task has two runs to compare.\n")


def _significant(row: Any) -> str:
    return "-" if row["no_verdict"] else "yes" if row["significant"] else "no"


def _p(name: str) -> md.Cell:
    return lambda row: "< 0.001" if row[name] < 0.001 else md.number(name, ".3f")(row)


def _method(rows: pd.DataFrame) -> str:
    """How the intervals and tests of a family were made."""
    images, groups = int(rows["images"].iloc[0]), int(rows["groups"].iloc[0])
    drawn = f"{images} images" if images == groups else f"{images} images in {groups} groups"
    test = "Student's t"
    if (rows["test"] == "sign flip").all():
        test = "the exact test that flips the signs of groups"
    pairs = f"{len(rows)} comparison{'s' if len(rows) > 1 else ''}"
    return (
        f"95 % CI: over {drawn}, leaving out one group at a time, and over seeds where there are "
        f"several. p: {test}, with Holm's correction for {pairs}; significant: below "
        f"{1 - LEVEL:.2f} with at least {MIN_SEEDS} seeds. Seeds needed: for a power of "
        f"{100 * POWER:.0f} % at the level of the correction; '-': significant, without a "
        "verdict, or no number is enough, because the groups of images differ too much."
    )
