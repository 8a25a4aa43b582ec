"""The stage evaluate: all jobs are read once, scored, summarized by run, compared and tabulated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.errors import RepriseError
from reprise.evaluation import job_outputs, scores, summaries, tables, training_tables
from reprise.evaluation.calibration import calibration_table
from reprise.evaluation.comparisons import compare, comparisons_table
from reprise.evaluation.confusion_table import confusion_table
from reprise.evaluation.job_outputs import METRICS
from reprise.evaluation.latex import latex_files
from reprise.evaluation.machines import kinds_sentence, pieces_sentence
from reprise.evaluation.markdown import Missing, Table, document
from reprise.evaluation.published_numbers import PUBLISHED, published_numbers_table
from reprise.evaluation.questions import questions_table
from reprise.evaluation.recipe_differences import PRESETS
from reprise.evaluation.scores import BEST_EPOCH, ClassCounts, MaskCounts
from reprise.jobs import CLASSIFYING, Job, init_weights, jobs, tasks
from reprise.metrics.confusion import mean_iou
from reprise.params.finetune import FinetuneTask
from reprise.params.load import Params

JOBS = ["stage", "task", "run", "seed", "weights", "history", "counts", "shown_miou"]
HEADLINES = {"pretrain": "knn_accuracy"} | {s: f"test_{name}" for s, name in METRICS.items()}
HISTORIES = "histories"  # what lacks something when a history is missing
Counts = Mapping[str, ClassCounts | MaskCounts | None]  # by what follows the run's name


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What the stage writes.

    Tables by name, metrics.json (headline numbers), intervals.json, and the files of latex/.
    """

    tables: dict[str, Table]
    metrics: dict[str, Any]
    intervals: dict[str, Any]
    latex: dict[str, str]


def evaluate(
    results: Path,
    params: Params,
    missing: Missing | None = None,
    published: Path = PUBLISHED,
    presets: Path = PRESETS,
) -> Evaluation:
    """Score every job named in `params`.

    Of `results` only predictions, histories, and the datasets' dataset.json, index.csv and
    labels.npy are read. `missing` collects which jobs are missing or cannot be read; the rest is
    scored without them, and a run that lacks a seed is not compared. `published` is the folder of
    the published numbers (see published_numbers.py), `presets` that of the homeworks' recipes.

    Raises RepriseError naming the missing or wrong file of a dataset, or, without `missing`, of a
    job.
    """
    missing = missing or Missing(strict=True)
    names = sorted({task.data for _, _, task in tasks(params)})
    datasets = {name: read_prepared(results / "prepare" / name) for name in names}

    every_job = read_jobs(results, params, datasets, missing)
    counted = every_job[every_job["counts"].notna()]
    runs = summaries.summarize(counted)
    pairs = compare(runs, params)

    of_runs = [f"{stage}_{name}" for stage, name, _ in tasks(params, *METRICS)]
    of_classes = [f"{stage}_{name}" for stage, name, _ in tasks(params, *CLASSIFYING)]
    of_masks = [name for name in of_runs if name.startswith("segment_")]
    named = _task_tables(params, datasets, missing, every_job, runs, pairs)
    for name, table, lacks in (
        ("answers", questions_table(runs, pairs, params), of_runs),
        ("calibration", calibration_table(runs), of_classes),
        ("class_iou", tables.class_iou_table(runs), of_masks),
        ("seeds", tables.seeds_table(counted), of_runs),
        ("comparisons", comparisons_table(pairs), of_runs),
        ("confusion", confusion_table(runs), of_runs),
        ("convergence", training_tables.convergence_table(every_job), [HISTORIES]),
        ("histories", training_tables.histories_table(every_job), [HISTORIES]),
    ):
        named[name] = missing.mark(table, lacks)
    numbers = published_numbers_table(published, params, datasets, every_job, named, presets)
    named["published_numbers"] = missing.mark(numbers, [*of_runs, HISTORIES])
    metrics, intervals = _json_trees(params, named)
    if len(every_job):
        intervals["machine"] = job_outputs.machine_counts(every_job["history"])
    task_names = [f"{stage}_{name}" for stage, name, _ in tasks(params)]
    return Evaluation(named, metrics, intervals, latex_files(named, task_names, params.warning))


def read_jobs(
    results: Path, params: Params, datasets: dict[str, PreparedDataset], missing: Missing
) -> pd.DataFrame:
    """Read what every training job wrote; `missing` collects what cannot be read, by table.

    Returns JOBS, one row per job in the order of params.yaml; `weights` are those it starts from,
    `history` is from `read_history`, `counts` are ClassCounts or MaskCounts; None where missing. An
    ensemble has a second row, named with BEST_EPOCH, with the counts of its best epoch.
    `shown_miou`: the mIoU of DLCV's script on the test split at the shown epochs, by their names;
    None for a recipe without score_shown_epochs.
    """
    rows = []
    for job in jobs(params):
        task, folder = getattr(params, job.stage)[job.task], job.folder(results)
        weights = init_weights(params, job.stage, job.task, job.run)
        table = f"{job.stage}_{job.task}"
        history = shown = None
        counts: Counts = {"": None}
        uses_history = job.stage == "pretrain" or job.run in getattr(task, "gap", ())
        with missing.collecting(HISTORIES, *([f"{HISTORIES} of {table}"] if uses_history else [])):
            history = _read_history(job, folder / "history.csv")
        with missing.collecting(table):
            counts = _count(job, folder, task, datasets[task.data])
            shown = _shown_miou(job, folder, task, datasets[task.data])
        for suffix, counted in counts.items():
            job_history = None if suffix else history
            key = [job.stage, job.task, job.run + suffix, job.seed]
            rows.append([*key, weights, job_history, counted, shown])
    return pd.DataFrame(rows, columns=JOBS)


def _read_history(job: Job, path: Path) -> pd.DataFrame:
    history = job_outputs.read_history(path, job.stage)
    if job.stage == "pretrain" and history["epoch"].iloc[0] != 0:
        raise RepriseError(f"{path}: no row of epoch 0, the untrained network; run it again")
    return history


def _count(job: Job, folder: Path, task: Any, dataset: PreparedDataset) -> Counts:
    """The predictions of a job; of an ensemble, those of its best epoch too."""
    if job.stage in CLASSIFYING:
        ensemble = getattr(task.recipes[job.run], "ensemble_epochs", 1) > 1
        extra = [job_outputs.BEST_EPOCH_COLUMN] if ensemble else []
        counts = scores.count_classes(folder / "predictions.csv", dataset, extra)
        return dict(zip(("", BEST_EPOCH), counts, strict=False))
    if job.stage == "segment":
        recipe = task.recipes[job.run]
        merge, crop = recipe.merge_classes, recipe.augment.crop_pixels
        return {"": scores.count_masks(folder / "predictions", dataset, merge, crop)}
    return {"": None}


def _shown_miou(
    job: Job, folder: Path, task: Any, dataset: PreparedDataset
) -> dict[str, float] | None:
    """The mIoU of each shown epoch of a job on the test split, as DLCV's script computes it."""
    if job.stage != "segment" or not task.recipes[job.run].score_shown_epochs:
        return None
    classes, _ = dataset.merged(task.recipes[job.run].merge_classes)
    matrices = job_outputs.read_shown_matrices(folder / "masks", classes)
    return {
        name: mean_iou(matrix, classes.ids, absent="nan").value for name, matrix in matrices.items()
    }


def _task_tables(
    params: Params, datasets: dict[str, PreparedDataset], missing: Missing, *frames: pd.DataFrame
) -> dict[str, Table]:
    """The table of each task by name, from the frames of jobs, runs and pairs."""
    named = {}
    for stage, name, task in tasks(params):
        dataset, block = datasets[task.data], getattr(params, stage)[name]
        rows = [frame[(frame["stage"] == stage) & (frame["task"] == name)] for frame in frames]
        if stage == "pretrain":
            table = training_tables.pretrain_table(rows[0], dataset, block)
        elif stage == "segment":
            table = tables.miou_table(rows[1], rows[2], dataset)
        else:
            table = tables.accuracy_table(rows[1], rows[2], dataset, block)
            gap = training_tables.gap_sentence(rows[0], getattr(block, "gap", ()))
            table = Table(table.frame, document(table.markdown, gap))
        if pieces := pieces_sentence({run: micro_batches(block, run) for run in block.runs}):
            table = Table(table.frame, document(table.markdown, pieces))
        if kinds := kinds_sentence(rows[0]):
            table = Table(table.frame, document(table.markdown, kinds))
        lacks = [f"{stage}_{name}", f"{HISTORIES} of {stage}_{name}"]
        named[f"{stage}_{name}"] = missing.mark(table, lacks)
    return named


def micro_batches(block: Any, run: str) -> int:
    """In how many pieces the batches of a run are computed."""
    recipe = block.training(run) if isinstance(block, FinetuneTask) else block.recipes[run]
    return int(recipe.micro_batches)


def _json_trees(params: Params, named: dict[str, Table]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of metrics.json and of intervals.json.

    Both are nested stage -> task -> run -> number, and comparisons -> stage -> task -> a-b ->
    number. The first has the number of HEADLINES of each run and the difference of each named
    comparison; the second has all others.
    """
    metrics: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    for stage, task, _ in tasks(params):
        headline, frame = HEADLINES[stage], named[f"{stage}_{task}"].frame
        for tree in (metrics, intervals):
            _insert(tree, [stage, task], {})
        for row in frame.to_dict("records"):
            path = [stage, task, row.pop("run")]
            _insert(metrics, path, {headline: row.pop(headline)})
            _insert(intervals, path, row)
    for row in named["class_iou"].frame.to_dict("records"):
        _insert(intervals, ["segment", row["task"], row["run"], "iou"], {row["class"]: row["iou"]})
    for row in named["comparisons"].frame.to_dict("records"):
        path = ["comparisons", row["stage"], row["task"]]
        pair = f"{row['a']}-{row['b']}"
        if row["named"]:
            _insert(metrics, path, {pair: row.pop("difference")})
        _insert(intervals, [*path, pair], row)
    return metrics, intervals


def _insert(tree: dict[str, Any], path: Sequence[object], row: dict[Any, Any]) -> None:
    """Put the numbers of a row, to 6 digits, at a path of keys; not NaN, which JSON lacks."""
    for key in path:
        tree = tree.setdefault(str(key), {})
    for name, value in row.items():
        if isinstance(value, bool):
            continue
        if isinstance(value, int | np.integer):
            tree[name] = int(value)
        elif isinstance(value, float) and not np.isnan(value):
            tree[name] = round(float(value), 6)
