"""`reprise search STAGE.TASK.RUN`: the best of DVC's experiments on val, and how many there were.

Compared are the commit HEAD and the experiments that start from it. Their predictions of the val
split come from DVC's cache; the test split is not looked at.
"""

import argparse
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reprise.atomic_io import write_csv
from reprise.cli import run
from reprise.compare import aligned, changed_parameters
from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.engines.git import experiments, git
from reprise.errors import RepriseError, did_you_mean
from reprise.evaluation.job_outputs import METRICS, read_predictions
from reprise.evaluation.scores import Score, accuracy, count_split, miou
from reprise.evaluation.statistics import Estimate, SeedScores
from reprise.evaluation.summaries import over_seeds
from reprise.jobs import CLASSIFYING
from reprise.params.base import PARAMS
from reprise.params.load import Params, parse
from reprise.params.reader import parse_yaml

DESCRIBED = ("index.csv", "dataset.json", "labels.npy")  # what scores need of a dataset
COLUMNS = ["trial", "changed", "seeds", "val", "ci_low", "ci_high", "over", "below_best"]
COLUMNS += ["below_best_low", "below_best_high"]
UNCHANGED = "no change"
QUEUE = "`dvc exp run --queue -S 'KEY=a,b,c'`, then `dvc exp run --run-all`"
NOTE = """\
Val chose the best of {tried}, so its val score is too high on average, the more so the more were
tried. Say with its test score how many were tried: {tried}.
"""


@dataclass(frozen=True, eq=False)
class Trial:
    """A revision with its score on val.

    changes: the values of params.yaml that differ from HEAD, by dotted key. images: the ids of the
    val split, in order.
    """

    name: str
    changes: dict[str, str]
    seeds: tuple[int, ...]
    val: SeedScores
    images: tuple[str, ...]


def main() -> None:
    """Print the experiments of DVC by their score on val, and which of them is the best."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", help="stage.task.run in params.yaml, e.g. finetune.earth.B")
    parser.add_argument("--csv", type=Path, help="file to write the table to")
    args = parser.parse_args()
    head = parse(_values("HEAD"), "HEAD:params.yaml")
    stage, task, run = known_run(head, args.run)
    tried, trials = 0, []
    for name, revision in revisions():
        tried += 1
        try:
            trials.append(read_trial(name, revision, stage, task, run))
        except (FileNotFoundError, RepriseError) as error:
            logging.warning("%s: tried, but not compared: %s", name, error)
    if len(trials) < 2:
        raise RepriseError(f"{args.run}: fewer than two trials to compare; {QUEUE}")
    ranked, different = comparable(trials)
    for trial in different:
        logging.warning("%s: tried, but not compared: other images of val", trial.name)
    table = trials_table(ranked)
    if args.csv:
        write_csv(args.csv, table)
    print(text(args.run, METRICS[stage], table, ranked, tried), end="")


def known_run(params: Params, name: str) -> tuple[str, str, str]:
    """Stage, task and run of a dotted name. Raises RepriseError if there is no such run."""
    parts = name.split(".")
    if len(parts) != 3 or parts[0] not in METRICS:
        raise RepriseError(
            f"{name}: is not stage.task.run with a stage of {', '.join(METRICS)}; a value of a "
            "pretraining is chosen by a fine-tuning that starts from it"
        )
    stage, task, run = parts
    tasks: Mapping[str, Any] = getattr(params, stage)
    if task not in tasks:
        raise RepriseError(f"{PARAMS}: {stage}: no task '{task}'; {did_you_mean(task, tasks)}")
    if run not in tasks[task].runs:
        hint = did_you_mean(run, tasks[task].runs)
        raise RepriseError(f"{PARAMS}: {stage}.{task}.runs: no '{run}'; {hint}")
    return stage, task, run


def revisions() -> list[tuple[str, str]]:
    """Name and commit of HEAD and of the experiments that start from it, in the order of names."""
    head = git("rev-parse", "HEAD").strip()
    return [("HEAD", head), *experiments(head).items()]


def read_trial(name: str, revision: str, stage: str, task: str, run: str) -> Trial:
    """The score of a run at a revision.

    Raises RepriseError or FileNotFoundError if its outputs are wrong or are not in DVC's cache.
    """
    values = _values(revision)
    params = parse(values, f"{name}:params.yaml")
    block = getattr(params, stage)[task]
    changes = {key: new for key, _, new in changed_parameters(_values("HEAD"), values)}
    with tempfile.TemporaryDirectory(prefix="reprise-search-") as temporary:
        folder = Path(temporary)
        data = f"results/prepare/{block.data}"
        fetch(revision, [f"{data}/{file}" for file in DESCRIBED], folder)
        dataset = read_prepared(folder / data)
        rows = dataset.require_rows("val")
        predictions = "predictions.csv" if stage in CLASSIFYING else "predictions"
        jobs = [f"results/{stage}/{task}/{run}/{seed}/{predictions}" for seed in block.seeds]
        fetch(revision, jobs, folder)
        scores = [
            val_score(folder / job, dataset, getattr(block.recipes[run], "merge_classes", None),
                      _crop(block, run))
            for job in jobs
        ]  # fmt: skip
        ids = tuple(dataset.index["id"].iloc[rows])
        val = over_seeds(scores, dataset.groups(rows))
    return Trial(name, changes, tuple(block.seeds), val, ids)


def val_score(
    path: Path, dataset: PreparedDataset, merge_classes: int | None, crop: int | None
) -> Score:
    """The accuracy or the mIoU of one job on the val split.

    path: predictions.csv, or the folder of the predicted label maps.
    """
    rows = dataset.require_rows("val")
    if dataset.kind == "classification":
        table = read_predictions(path, dataset).set_index("id").loc[dataset.index["id"].iloc[rows]]
        return accuracy((table["label"] == table["prediction"]).to_numpy())
    classes, new_ids = dataset.merged(merge_classes)
    matrices, _ = count_split("val", path, dataset, classes, new_ids, crop)
    return miou(matrices, classes.ids)


def comparable(trials: list[Trial]) -> tuple[list[Trial], list[Trial]]:
    """The trials on the val images of the first one, best first, and the others."""
    same = [trial for trial in trials if trial.images == trials[0].images]
    others = [trial for trial in trials if trial.images != trials[0].images]
    return sorted(same, key=lambda trial: -float(trial.val.values.mean())), others


def trials_table(ranked: list[Trial]) -> pd.DataFrame:
    """COLUMNS: one row a trial, best first.

    below_best: by how much its score is below that of the best, paired by seed and image, with a
    95 % interval; NaN where the seeds differ. over: what the intervals are over.
    """
    rows = []
    for trial in ranked:
        estimate = trial.val.estimate()
        low, high, over = ends(estimate)
        changed = ", ".join(f"{key}={value}" for key, value in trial.changes.items()) or UNCHANGED
        row = {"trial": trial.name, "changed": changed, "seeds": len(trial.seeds), "over": over}
        row |= {"val": estimate.value, "ci_low": np.clip(low, 0, 1), "ci_high": np.clip(high, 0, 1)}
        if trial is not ranked[0] and trial.seeds == ranked[0].seeds:
            below = (ranked[0].val - trial.val).estimate()
            names = ("below_best", "below_best_low", "below_best_high")
            row |= dict(zip(names, (below.value, *ends(below)[:2]), strict=True))
        rows.append(row)
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def ends(estimate: Estimate) -> tuple[float, float, str]:
    """The ends of an estimate's widest interval, and what it is over."""
    if estimate.seeds > 1 and not isnan(estimate.ci_low):
        return estimate.ci_low, estimate.ci_high, "groups and seeds"
    return estimate.groups_low, estimate.groups_high, "groups only"


def text(name: str, metric: str, table: pd.DataFrame, ranked: list[Trial], tried: int) -> str:
    """What the command prints."""
    shown = pd.DataFrame({"trial": table["trial"], "changed": table["changed"]})
    shown["seeds"] = table["seeds"].astype(str)
    shown[f"val {metric}"] = table["val"].map("{:.4f}".format)
    shown["95 % CI"] = [_interval(*pair) for pair in table[["ci_low", "ci_high"]].to_numpy()]
    shown["below the best"] = [
        "" if isnan(value) else f"{value:.4f}, {_interval(low, high)}"
        for value, low, high in table[COLUMNS[-3:]].to_numpy()
    ]
    best, close = ranked[0], table[table["below_best_low"] <= 0]["trial"]
    images = f"{len(best.images)} images in {len(best.val.left_out)} groups"
    conclusion = f"Best on val: {best.name} ({table['changed'].iloc[0]})."
    if len(close):
        conclusion += (
            f" As good within the 95 % interval of the difference: {', '.join(close)}. More seeds "
            "or images of val may tell them apart."
        )
    apply = "" if best.name == "HEAD" else f"`dvc exp apply {best.name}` brings it here.\n"
    intro = f"{name}: {tried} tried, val of {images}; intervals over {table['over'].iloc[0]}.\n"
    return "\n".join([intro, aligned(shown), f"{conclusion}\n{apply}", NOTE.format(tried=tried)])


def fetch(revision: str, paths: list[str], folder: Path) -> None:
    """Copy outputs of a revision from DVC's cache (or its remote) into a folder.

    Raises FileNotFoundError for one that is in neither.
    """
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    files = DVCFileSystem(rev=revision)
    for path in paths:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            files.get(path, str(place), recursive=True)
        except (OSError, DvcException):
            raise FileNotFoundError(f"{path}: is not in DVC's cache") from None
        if not os.path.exists(place):
            raise FileNotFoundError(f"{path}: is not in DVC's cache")


def _crop(block: Any, run: str) -> int | None:
    augment = getattr(block.recipes[run], "augment", None)
    crop: int | None = augment.crop_pixels if augment else None
    return crop


def _interval(low: float, high: float) -> str:
    return "-" if isnan(low) else f"{low:.4f} to {high:.4f}"


def _values(revision: str) -> Any:
    return parse_yaml(git("show", f"{revision}:./{PARAMS}"))


if __name__ == "__main__":
    run(main)
