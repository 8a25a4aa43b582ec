"""The stage evaluate: all jobs are read once, scored, summarized by run, compared and tabulated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.errors import RepriseError
from reprise.evaluation import detail_tables, job_outputs, scores
from reprise.evaluation.comparisons import compare, comparisons_table
from reprise.evaluation.job_outputs import METRICS, SCORE_COLUMNS
from reprise.evaluation.markdown import Missing, Table
from reprise.evaluation.published_numbers import PUBLISHED, published_numbers_table
from reprise.evaluation.scores import BEST_EPOCH, ClassCounts, MaskCounts
from reprise.evaluation.tables import accuracy_table, miou_table, pretrain_table
from reprise.jobs import CLASSIFYING, Job, init_weights, jobs, tasks
from reprise.params.load import Params

JOBS = ["stage", "task", "run", "seed", "weights", "history", "counts"]
HEADLINES = {"pretrain": "knn_accuracy"} | {s: f"test_{name}" for s, name in METRICS.items()}
HISTORIES = "histories"  # what lacks something when a history is missing


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What the stage writes: tables by name, metrics.json (headline numbers), intervals.json."""

    tables: dict[str, Table]
    metrics: dict[str, Any]
    intervals: dict[str, Any]


def evaluate(
    results: Path, params: Params, missing: Missing | None = None, published: Path = PUBLISHED
) -> Evaluation:
    """Score every job named in `params`.

    Args:
        results: folder with prepare/, finetune/ and so on; only predictions, histories, and the
            datasets' dataset.json, index.csv and labels.npy are read.
        params: the configuration.
        missing: collects which jobs are missing or cannot be read, and the rest is scored without
            them; a run that lacks a seed is not compared.
        published: folder of the published numbers (see published_numbers.py).

    Raises:
        RepriseError: names the missing or wrong file of a dataset, or, if `missing` is None, of a
            job.
    """
    missing = Missing(strict=True) if missing is None else missing
    names = sorted({task.data for _, _, task in tasks(params)})
    datasets = {name: read_prepared(results / "prepare" / name) for name in names}

    every_job = read_jobs(results, params, datasets, missing)
    scored = every_job[every_job["counts"].notna()]
    runs = scores.summarize(scored)
    pairs = compare(runs, params)

    tables = _task_tables(params, datasets, every_job, runs, pairs) | {
        "class_iou": detail_tables.class_iou_table(runs),
        "seeds": detail_tables.seeds_table(scored),
        "comparisons": comparisons_table(pairs),
        "confusion": detail_tables.confusion_table(runs),
        "convergence": detail_tables.convergence_table(every_job),
        "histories": detail_tables.histories_table(every_job),
    }
    numbers = published_numbers_table(published, params, datasets, every_job, tables)
    tables["published_numbers"] = numbers

    metrics, intervals = _json_trees(params, tables)
    return Evaluation(_with_notes(tables, params, missing), metrics, intervals)


def read_jobs(
    results: Path, params: Params, datasets: dict[str, PreparedDataset], missing: Missing
) -> pd.DataFrame:
    """Read what every training job wrote; `missing` collects what cannot be read, by table.

    Returns:
        JOBS, one row per job in the order of params.yaml; `weights` are those it starts from,
        `history` is its history.csv with the columns `score` (see SCORE_COLUMNS) and `selected` (1
        in the epoch whose weights were saved, else 0), `counts` are ClassCounts or MaskCounts; None
        where missing. An ensemble has a second row, named with BEST_EPOCH, with the counts of its
        best epoch.
    """
    rows = []
    for job in jobs(params):
        task, folder = getattr(params, job.stage)[job.task], job.folder(results)
        weights = init_weights(params, job.stage, job.task, job.run)
        table = f"{job.stage}_{job.task}"
        history = None
        counts: Sequence[ClassCounts | MaskCounts | None] = [None]
        with missing.collecting(HISTORIES, *([table] if job.stage == "pretrain" else [])):
            history = _read_history(job, folder / "history.csv")
        with missing.collecting(table):
            counts = _count(job, folder, task, datasets[task.data])
        rows.append([job.stage, job.task, job.run, job.seed, weights, history, counts[0]])
        for best_epoch in counts[1:]:
            run = job.run + BEST_EPOCH
            rows.append([job.stage, job.task, run, job.seed, weights, None, best_epoch])
    return pd.DataFrame(rows, columns=JOBS)


def _read_history(job: Job, path: Path) -> pd.DataFrame:
    score = SCORE_COLUMNS[job.stage]
    history = job_outputs.read_history(path, ["train_loss", score])
    if job.stage == "pretrain" and history["epoch"].iloc[0] != 0:
        raise RepriseError(f"{path}: no row of epoch 0, the untrained network; run it again")
    selected = np.arange(len(history)) == job_outputs.selected_row(history, path)
    return history.assign(score=history[score], selected=selected.astype(int))


def _count(
    job: Job, folder: Path, task: Any, dataset: PreparedDataset
) -> Sequence[ClassCounts | MaskCounts | None]:
    """The predictions of a job; of an ensemble, those of its best epoch too."""
    if job.stage in CLASSIFYING:
        ensemble = getattr(task.recipes[job.run], "ensemble_epochs", 1) > 1
        extra = [job_outputs.BEST_EPOCH_COLUMN] if ensemble else []
        return scores.count_classes(folder / "predictions.csv", dataset, extra)
    if job.stage == "segment":
        merge = task.recipes[job.run].merge_classes
        return [scores.count_masks(folder / "predictions", dataset, merge)]
    return [None]


def _task_tables(
    params: Params, datasets: dict[str, PreparedDataset], *frames: pd.DataFrame
) -> dict[str, Table]:
    """The table of each task by name, from the frames of jobs, runs and pairs."""
    tables = {}
    for stage, name, task in tasks(params):
        dataset, block = datasets[task.data], getattr(params, stage)[name]
        rows = [frame[(frame["stage"] == stage) & (frame["task"] == name)] for frame in frames]
        if stage == "pretrain":
            table = pretrain_table(rows[0], dataset, block)
        elif stage == "segment":
            table = miou_table(rows[1], rows[2], dataset)
        else:
            table = accuracy_table(rows[1], rows[2], dataset, block)
        tables[f"{stage}_{name}"] = table
    return tables


def _with_notes(tables: dict[str, Table], params: Params, missing: Missing) -> dict[str, Table]:
    """The tables with a note for each job that is missing in them."""
    of_tasks = [f"{stage}_{name}" for stage, name, _ in tasks(params)]
    scored = [name for name in of_tasks if not name.startswith("pretrain_")]
    keys = {name: [name] for name in of_tasks}
    keys |= {"convergence": [HISTORIES], "histories": [HISTORIES]}
    keys["class_iou"] = [name for name in scored if name.startswith("segment_")]
    keys["published_numbers"] = [*scored, HISTORIES]
    # without a key `mark` would take all
    keys = {name: keys.get(name, scored) or [name] for name in tables}
    return {name: missing.mark(table, *keys[name]) for name, table in tables.items()}


def _json_trees(params: Params, tables: dict[str, Table]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of metrics.json and of intervals.json.

    Both are nested stage -> task -> run -> number, and comparisons -> stage -> task -> a-b ->
    number. The first has the number of HEADLINES of each run (of pretraining, the mean over its
    seeds) and the difference of each named comparison; the second has all others, those of
    pretraining with a level for the seed.
    """
    metrics: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    for stage, task, _ in tasks(params):
        headline, frame = HEADLINES[stage], tables[f"{stage}_{task}"].frame
        for tree in (metrics, intervals):
            _insert(tree, [stage, task], {})
        for run, mean in frame.groupby("run", sort=False)[headline].mean().items():
            _insert(metrics, [stage, task, run], {headline: mean})
        keys = ["run", "seed"] if stage == "pretrain" else ["run"]
        for row in frame.to_dict("records"):
            _insert(intervals, [stage, task, *(row.pop(key) for key in keys)], row, headline)
    for row in tables["class_iou"].frame.to_dict("records"):
        _insert(intervals, ["segment", row["task"], row["run"], "iou"], {row["class"]: row["iou"]})
    for row in tables["comparisons"].frame.to_dict("records"):
        path = ["comparisons", row["stage"], row["task"], f"{row['a']}-{row['b']}"]
        if row["named"]:
            _insert(metrics, path[:-1], {path[-1]: row.pop("difference")})
        _insert(intervals, path, row)
    return metrics, intervals


def _insert(
    tree: dict[str, Any], path: Sequence[object], row: dict[Any, Any], without: str = ""
) -> None:
    """Put the numbers of a row, to 6 digits, at a path of keys; not NaN, which JSON lacks."""
    for key in path:
        tree = tree.setdefault(str(key), {})
    for name, value in row.items():
        if name == without or isinstance(value, bool):
            continue
        if isinstance(value, int | np.integer):
            tree[name] = int(value)
        elif isinstance(value, float) and not np.isnan(value):
            tree[name] = round(float(value), 6)
