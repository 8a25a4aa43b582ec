"""How the numbers were made, what they do not show, and the datasets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from reprise.datasets.prepared import SPLITS, PreparedDataset
from reprise.jobs import CLASSIFYING, shared_pretraining, tasks
from reprise.params.base import TrainingTask
from reprise.params.load import Params
from reprise.report.html import ResultsReader

DIGITS = 12  # of a SHA-256 that are shown
CHECKSUMS = ["stage", "task", "run", "seed", "file", "sha256"]
VALUES = ("epochs", "batch_size", "learning_rate", "weight_decay")
RARE = 0.02  # share of the pixels below which a class is listed


def provenance(reader: ResultsReader, params: Params) -> Iterator[dict[str, Any]]:
    """How the numbers of each task are made.

    Yields:
        task: its stage and name. target: the files to request from Snakemake. parameters: YAML with
        defaults filled in. notes: lines with the checksums of its code and its dataset. jobs: see
        `_jobs`.
    """
    files = reader.csv("checksums.csv", CHECKSUMS, ["task", "run", "sha256"])
    files["sha256"] = files["sha256"].str[:DIGITS]
    for stage, task, block in tasks(params):
        task_files = files[(files["stage"] == stage) & files["task"].isin([task, ""])]
        code = task_files[task_files["run"] == "code"]
        data = files[(files["stage"] == "prepare") & (files["task"] == block.data)]
        listed = [f"{Path(file).name} {digits}" for file, digits in _checksums(data)]
        uses = "and the source files that it uses"
        notes = [f"Code {digits}: {file} {uses}." for file, digits in _checksums(code)]
        notes.append(f"Dataset {block.data}: {', '.join(listed)}.")
        values = block.model_dump(exclude_none=True, mode="json")
        yield {
            "task": f"{stage} {task}",
            "target": target(stage, task, block),
            "parameters": yaml.safe_dump(values, sort_keys=False),
            "notes": notes,
            "jobs": _jobs(task_files[task_files["run"] != "code"]),
        }


def differing_values(task: Any) -> str:
    """A sentence on the VALUES in which the runs of a task differ, with a space; "" for none."""
    differences = []
    for key in VALUES:
        runs: dict[str, list[str]] = {}
        for run in task.runs:
            value = getattr(task.recipes[run], key, None)
            if value is None:
                value = getattr(getattr(task, "common", None), key, None)
            if value is not None:
                runs.setdefault(f"{value:g}", []).append(run)
        if len(runs) > 1:
            listed = [f"{value} in {', '.join(names)}" for value, names in runs.items()]
            differences.append(f"{key} is {'; '.join(listed)}")
    return f" Not all have the same values: {'. '.join(differences)}." if differences else ""


def _checksums(files: pd.DataFrame) -> list[list[str]]:
    return files[["file", "sha256"]].to_numpy().tolist()


def _jobs(files: pd.DataFrame) -> list[list[str]]:
    """A row for each job: its name, and the checksums of its weights, predictions and history."""
    rows = []
    for (run, seed), job in files.groupby(["run", "seed"], sort=False):
        cells = []
        for kind in ("safetensors", "predictions", "history"):
            matches = job.loc[job["file"].str.contains(kind), "sha256"].tolist()
            cells.append(matches[0] if matches else "-")
        rows.append([f"{run} seed {seed:.0f}", *cells])
    return rows


def target(stage: str, task: str, block: TrainingTask) -> str:
    """The last files of all jobs of a task, with braces as a shell expands them."""
    levels = [block.runs, [str(seed) for seed in block.seeds]]
    folders = [
        level[0] if len(level) == 1 else f"{{{','.join(level)}}}" for level in levels if level
    ]
    return "/".join(["results", stage, task, *folders, "history.csv"])


def limitations(
    reader: ResultsReader, params: Params, datasets: dict[str, PreparedDataset]
) -> Iterator[str]:
    """What the numbers do not show; the numbers in these sentences come from the results."""
    single = [
        f"{stage} {task}"
        for stage, task, block in tasks(params, *CLASSIFYING, "segment")
        if block.runs and len(block.seeds) == 1
    ]
    if single:
        yield (
            f"One seed only: {', '.join(single)}. A difference between two of their runs includes "
            "the randomness of one training, and has no standard deviation."
        )
    for task, finetune in params.finetune.items():
        shared = [run for run in finetune.runs if shared_pretraining(params, task, run)]
        if shared and len(finetune.seeds) > 1:
            yield (
                f"Of one pretraining: finetune {task}, {', '.join(shared)}. All seeds of these "
                "runs start from one backbone, so sd and interval do not include the variation "
                "between pretrainings."
            )
    yield from _leaks(datasets)
    yield from _precision(reader, params)
    if params.segment:
        yield from _rare_classes(reader)
    ungrouped = [name for name, one in datasets.items() if one.group_words["one"] == "image"]
    if ungrouped:
        yield (
            f"Nothing is known of which images belong together in {', '.join(ungrouped)}, so the "
            "confidence intervals treat them as independent. If some show one place or one person, "
            "the true uncertainty is larger."
        )
    recipes = [params.datasets[name] for name in datasets]
    if any(recipe.source != "course" or recipe.synthetic_per_class for recipe in recipes):
        yield (
            "Datasets that are not those of the homeworks have other image sizes and labels, and "
            "the training budget differs: our numbers on them cannot be compared with published "
            "ones, nor the order of runs where our differences are not significant."
        )
    notes: dict[str, list[str]] = {}  # datasets with the same note share a line
    for name, dataset in datasets.items():
        notes.setdefault(str(dataset.info["note"]), []).append(name)
    for note, names in notes.items():
        if note:
            yield f"{'Dataset' if len(names) == 1 else 'Datasets'} {', '.join(names)}: {note}"


def _leaks(datasets: dict[str, PreparedDataset]) -> Iterator[str]:
    """How many groups of the images that are tested or selected on touch the train split."""
    for name, dataset in datasets.items():
        for split in ("test", "val"):
            touching = dataset.info.get(f"{split}_groups_touching_train")
            if touching is None:
                continue
            groups = len(set(dataset.groups(dataset.rows(split)).tolist()))
            if not touching:
                yield (
                    f"No group of {name}'s {split} split was seen to touch its train split; plain "
                    "borders cannot be matched."
                )
                continue
            how = dataset.info.get("touching", "touch images of train")
            yield (
                f"Leak in {name}: {touching} of the {groups} {dataset.group_words['many']} of the "
                f"{split} split {how}, so its scores may be higher than on new places. Intervals "
                "are over these groups."
            )


def _precision(reader: ResultsReader, params: Params) -> Iterator[str]:
    """How precisely the classification tasks measure an accuracy."""
    low, high = "test_accuracy_groups_low", "test_accuracy_groups_high"
    reach = []
    for stage, task, _ in tasks(params, *CLASSIFYING):
        table = reader.csv(f"tables/{stage}_{task}.csv", ["run", "images", low, high])
        if len(table):
            points = 100 * float((table[high] - table[low]).max()) / 2
            reach.append(f"\u00b1{points:.1f} ({stage} {task}, {table['images'].iloc[0]} images)")
    if reach:
        yield (
            f"Precision of a run's test accuracy, in percentage points: {', '.join(reach)}. A "
            "difference between two runs is measured on the same images and has its own interval."
        )


def _rare_classes(reader: ResultsReader) -> Iterator[str]:
    table = reader.csv("tables/class_iou.csv", ["task", "class", "share"], ["task", "class"])
    rare = table[table["share"] < RARE].drop_duplicates(["task", "class", "share"])
    listed = [
        f"{row['class']} {100 * row['share']:.2f} % (segment {row['task']})"
        for row in rare.to_dict("records")
    ]
    if listed:
        yield (
            f"Rare classes, by share of the labeled test pixels: {', '.join(listed)}. Their IoU "
            "depends on few pixels, but has as much weight in the mIoU as that of a frequent class."
        )


def dataset_rows(datasets: dict[str, PreparedDataset]) -> list[list[str]]:
    """A row for each dataset: kind, classes, images of each split, source and license."""
    rows = []
    for name, dataset in datasets.items():
        counts = [len(dataset.classes.ids), *(len(dataset.rows(split)) for split in SPLITS)]
        info = dataset.info
        source = str(info["source"])
        if info.get("verified"):
            source += f" Verified: all files are those of {info['archive']}."
        rows.append([name, dataset.kind, *map(str, counts), source, info["licence"]])
    return rows


def split_rows(datasets: dict[str, PreparedDataset]) -> list[list[str]]:
    """A row for each dataset: how its splits were made, and how alike they are.

    Groups of train, val and test; the largest distance between the class shares of two splits, in
    percentage points; least pixels between tiles of two splits; seed of the split; missing classes.
    """
    rows = []
    for name, dataset in datasets.items():
        made = dataset.info.get("split", {})
        groups = [len(set(dataset.groups(dataset.rows(split)).tolist())) for split in SPLITS]
        missing = [
            f"{', '.join(classes)} in {split}"
            for split, classes in made.get("missing_classes", {}).items()
            if classes
        ]
        distance = made.get("distance")
        counts = f"{' / '.join(map(str, groups))} {dataset.group_words['many']}"
        points = "-" if distance is None else f"{100 * distance:.1f}"
        gap, seed = (str(made.get(key, "-")) for key in ("least_gap_pixels", "seed"))
        rows.append([name, counts, points, gap, seed, "; ".join(missing) or "none"])
    return rows
