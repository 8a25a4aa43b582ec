"""The table of each task: one row per run, as csv and as GitHub markdown."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from reprise.datasets.prepared import Classes, PreparedDataset
from reprise.evaluation import markdown as md
from reprise.evaluation.scores import BEST_EPOCH, COURSE_METRICS
from reprise.evaluation.statistics import N_RESAMPLES
from reprise.jobs import NONE, OWN
from reprise.params.classify import ClassifyTask
from reprise.params.finetune import FinetuneTask
from reprise.params.pretrain import PretrainTask

ACCURACY = ["run", "test_accuracy", "test_accuracy_sd", "test_accuracy_wilson_low"]
ACCURACY += ["test_accuracy_wilson_high", "correct", "n", "images", "val_accuracy", "seeds"]
ACCURACY += ["test_accuracy_ci_low", "test_accuracy_ci_high", "weights"]
MIOU = ["run", "test_miou", "test_miou_sd", "present_classes", "classes", "test_pixel_accuracy"]
MIOU += ["pixels", "images", "val_miou", "seeds"]
ENDS = ("_images_low", "_images_high", "_ci_low", "_ci_high")
MIOU += [f"test_miou{end}" for end in ENDS]
MIOU += [f"test_{metric}{end}" for metric in COURSE_METRICS for end in ("", *ENDS)] + ["weights"]
PRETRAIN = ["run", "method", "seed", "epochs", "best_epoch", "knn_accuracy_random", "knn_accuracy"]
PRETRAIN += ["val_accuracy", "feature_std", "effective_rank", "weights"]
WHOLE_NUMBERS = ["correct", "n", "images", "seeds", "present_classes", "classes", "pixels"]
NO_RUN = "No runs of this task in params.yaml.\n"
COURSE_NOTE = (
    "The course scripts compute mIoU differently. Both count predictions on unlabeled pixels as "
    "false positives. DLCV's also uses one confusion matrix over the whole split, but an absent "
    "class leaves the mean undefined ('-'). CS6550's averages the IoU of each class over the "
    "images that have it, then over the classes."
)


def _weights(row: pd.Series) -> str:
    words = {NONE: "none (from scratch)", OWN: "own pretraining"}
    return words.get(row["weights"], f"{row['weights']} (published)")


RUN = md.Column("Run", md.text("run"))
WEIGHTS = md.Column("Weights", _weights, "---")
SEEDS = md.Column("Seeds", md.text("seeds"))
IMAGES_AND_SEEDS = "95 % CI (images + seeds)"


def accuracy_table(
    runs: pd.DataFrame,
    comparisons: pd.DataFrame,
    dataset: PreparedDataset,
    task: ClassifyTask | FinetuneTask,
) -> md.Table:
    """The table of a task of classify or finetune; the latter has columns start and tuned.

    `runs` are the rows of `scores.summarize`, `comparisons` those of `comparisons.compare`, and
    `dataset` is the dataset, of this task.
    """
    frame = _columns(runs, ACCURACY)
    columns = [RUN, WEIGHTS]
    if isinstance(task, FinetuneTask):
        recipes = [task.recipes[run] for run in frame["run"]]
        frame.insert(1, "start", [recipe.start for recipe in recipes])
        tuned = ["frozen backbone" if recipe.frozen else "full model" for recipe in recipes]
        frame.insert(2, "tuned", tuned)
        columns.insert(1, md.Column("Pretraining", md.text("start"), "---"))
        columns.append(md.Column("Fine-tuning", md.text("tuned"), "---"))
    if frame.empty:
        return md.Table(frame, NO_RUN)
    columns += [
        md.Column("Test accuracy", md.number("test_accuracy")),
        md.Column("sd", md.number("test_accuracy_sd")),
        md.Column("95 % CI (images)", md.interval("test_accuracy_wilson")),
        md.Column(IMAGES_AND_SEEDS, md.interval("test_accuracy_ci")),
        md.Column("k/n", lambda row: f"{row['correct']}/{row['n']}"),
        md.Column("Val accuracy", md.number("val_accuracy")),
        SEEDS,
    ]
    notes = [_accuracy_note(frame, dataset), _ensemble_note(frame, task), _sentences(comparisons)]
    return md.Table(frame, md.document(md.table(frame, columns), *notes))


def miou_table(runs: pd.DataFrame, comparisons: pd.DataFrame, dataset: PreparedDataset) -> md.Table:
    """The table of a task of segment; the arguments are those of `accuracy_table`."""
    frame = _columns(runs, MIOU)
    if frame.empty:
        return md.Table(frame, NO_RUN)
    columns = [
        RUN,
        WEIGHTS,
        md.Column("Test mIoU", md.number("test_miou")),
        md.Column("sd", md.number("test_miou_sd")),
        md.Column("95 % CI (images)", md.interval("test_miou_images")),
        md.Column(IMAGES_AND_SEEDS, md.interval("test_miou_ci")),
        md.Column("Classes in the mean", lambda r: f"{r['present_classes']} of {r['classes']}"),
        md.Column("Pixel accuracy", md.number("test_pixel_accuracy")),
        md.Column("mIoU (DLCV)", md.number("test_miou_dlcv")),
        md.Column("mIoU (CS6550, per image)", md.number("test_miou_cs6550")),
        md.Column("Val mIoU", md.number("val_miou")),
        md.Column("Images", md.text("images")),
        SEEDS,
    ]
    note = (
        f"{_splits(dataset, 'mIoU')} with {frame['pixels'].max()} labeled pixels. {_seeds(frame)} "
        "mIoU is computed from one confusion matrix over the whole split; classes absent from both "
        "ground truth and prediction are excluded from the mean. The 95 % CI over images is from "
        f"{N_RESAMPLES} resamples of the images."
    )
    notes = [note, _sentences(comparisons), COURSE_NOTE, *_class_notes(runs)]
    return md.Table(frame, md.document(md.table(frame, columns), *notes))


def _columns(runs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Some columns of the runs; whole numbers as such."""
    frame = runs.reindex(columns=columns)
    return frame.astype({name: int for name in WHOLE_NUMBERS if name in frame and len(frame)})


def _accuracy_note(frame: pd.DataFrame, dataset: PreparedDataset) -> str:
    """Splits, seeds and intervals below a table, and the accuracy of the most frequent class."""
    train, test = (dataset.index.loc[dataset.rows(split), "label"] for split in ("train", "test"))
    most_frequent = int(np.bincount(train.to_numpy()).argmax()) if len(train) else 0
    return (
        f"{_splits(dataset, 'accuracy')}. {_seeds(frame)} k/n pools all seeds; the 95 % CI over "
        f"images is Wilson's for n = {len(test)} images, the one over images and seeds is "
        f"Student's t. Majority-class baseline ('{dataset.classes.names[most_frequent]}'): "
        f"{float((test == most_frequent).mean()):.4f}."
    )


def _ensemble_note(frame: pd.DataFrame, task: ClassifyTask | FinetuneTask) -> str:
    """What the rows of an ensemble and of its best epoch are; "" without an ensemble."""
    names = [name.removesuffix(BEST_EPOCH) for name in frame["run"] if name.endswith(BEST_EPOCH)]
    if isinstance(task, FinetuneTask) or not names:
        return ""
    epochs = ", ".join(f"{name}: {task.recipes[name].ensemble_epochs}" for name in names)
    return (
        f"An ensemble is the majority vote of the epochs with the lowest val loss ({epochs} "
        "epochs); its best epoch, the one with the highest val accuracy, is of the same training."
    )


def _splits(dataset: PreparedDataset, metric: str) -> str:
    train, val, test = (len(dataset.rows(split)) for split in ("train", "val", "test"))
    return (
        f"Dataset {dataset.name}: trained on {train} images (split train), the epoch selected on "
        f"{val} (split val), the {metric} measured on {test} (split test)"
    )


def _seeds(frame: pd.DataFrame) -> str:
    seeds = int(frame["seeds"].max())
    return "One seed, so no sd." if seeds == 1 else f"Mean and sd of {seeds} seeds."


def _sentences(comparisons: pd.DataFrame) -> str:
    """The sentences of the comparisons that the task names."""
    return " ".join(comparisons.loc[comparisons["named"].astype(bool), "summary"])


def _class_notes(runs: pd.DataFrame) -> list[str]:
    """One line for each set of classes in use: the runs, the classes, the ignored label."""
    users: dict[Classes, list[str]] = {}
    for run, counts in zip(runs["run"], runs["counts"], strict=True):
        users.setdefault(counts[0].classes, []).append(run)
    notes = []
    for classes, run_names in users.items():
        names, ignore = classes.names, classes.ignore
        ignored = "no label is ignored"
        if ignore is not None:
            label = names[ignore] if ignore < len(names) else "no label"
            ignored = f"pixels labeled {ignore} ({label}) are not counted"
        listed = ", ".join(names[i] for i in classes.ids)
        notes.append(f"Classes of {', '.join(run_names)}: {listed}; {ignored}.")
    return notes


def pretrain_table(jobs: pd.DataFrame, dataset: PreparedDataset, task: PretrainTask) -> md.Table:
    """The table of a task of pretrain: one row per training; `jobs` are from `read_jobs`."""
    rows = [
        {"method": task.recipes[job["run"]].method} | job | _pretraining(job["history"])
        for job in jobs[jobs["history"].notna()].to_dict("records")
    ]
    frame = pd.DataFrame(rows).reindex(columns=PRETRAIN)
    if frame.empty:
        return md.Table(frame, NO_RUN)
    columns = [
        RUN,
        md.Column("Method", md.text("method"), "---"),
        WEIGHTS,
        md.Column("Seed", md.text("seed")),
        md.Column("Epochs", md.text("epochs")),
        md.Column("Best epoch", md.text("best_epoch")),
        md.Column("kNN accuracy, untrained network", md.number("knn_accuracy_random")),
        md.Column("kNN accuracy", md.number("knn_accuracy")),
        md.Column("Val accuracy", md.number("val_accuracy")),
        md.Column("Feature std", md.number("feature_std")),
        md.Column("Effective rank", md.number("effective_rank", ".1f")),
    ]
    neighbors = ", ".join(str(k) for k in sorted({task.recipes[run].knn_k for run in task.runs}))
    note = (
        f"Dataset {dataset.name}: pretrained on {len(dataset.rows('train'))} images (split train), "
        f"evaluated on {len(dataset.rows('val'))} (split val). kNN accuracy of the frozen features "
        f"(k = {neighbors}); the untrained network is epoch 0."
    )
    return md.Table(frame, md.document(md.table(frame, columns), note))


def _pretraining(history: pd.DataFrame) -> dict[Hashable, Any]:
    """The untrained network (epoch 0) and the best epoch; what is not measured is left out."""
    best = history.iloc[history["selected"].argmax()]
    return best.to_dict() | {
        "epochs": int(history["epoch"].max()),
        "best_epoch": int(best["epoch"]),
        "knn_accuracy_random": float(history["score"].iloc[0]),
    }
