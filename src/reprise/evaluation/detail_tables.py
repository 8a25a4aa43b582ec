"""The tables over all tasks: IoU by class, seeds, confused classes, convergence, histories.

`jobs` is from `evaluate.read_jobs`, `runs` from `scores.summarize`.
"""

from collections.abc import Hashable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.evaluation import markdown as md
from reprise.evaluation.job_outputs import METRICS
from reprise.evaluation.scores import BEST_EPOCH
from reprise.metrics.confusion import iou
from reprise.metrics.courses import cs6550_class_ious

CLASS_IOU = ["task", "run", "class", "iou", "pixels", "share", "iou_cs6550"]
SEEDS = ["stage", "task", "run", "seed", "metric", "test", "val", "correct", "n"]
CONFUSION = ["stage", "task", "run", "truth", "prediction", "count"]
CONVERGENCE = ["stage", "task", "run", "seed", "epochs", "best_epoch", "epochs_to_95pct"]
CONVERGENCE += ["best_score"]
HISTORIES = ["stage", "task", "run", "seed", "epoch", "train_loss", "score", "selected"]
NEAR = 0.95  # of the best score of a history
MOST_FREQUENT = 5  # confusions of each run in the markdown


def class_iou_table(runs: pd.DataFrame) -> md.Table:
    """CLASS_IOU: the IoU of each class of the runs of segment, as the mean over seeds.

    NaN: the class is absent. `pixels` and `share` are those of the class in the truth; iou_cs6550
    is computed as in CS6550's starter (see metrics/courses.py).
    """
    frames = []
    for run in runs[runs["stage"] == "segment"].to_dict("records"):
        seeds, classes = run["counts"], run["counts"][0].classes
        pixels = seeds[0].test.sum(axis=1)
        cs6550 = [cs6550_class_ious(one.images, one.ignored, classes.ids) for one in seeds]
        values = {
            "class": [classes.names[i] for i in classes.ids],
            "iou": _nan_mean([iou(counts.test)[classes.ids] for counts in seeds]),
            "pixels": pixels[classes.ids],
            "share": pixels[classes.ids] / pixels.sum(),
            "iou_cs6550": _nan_mean(cs6550),
        }
        frames.append(pd.DataFrame({"task": run["task"], "run": run["run"]} | values))
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=CLASS_IOU)
    blocks = []
    for (task,), of_task in md.groups(frame, "task"):
        of_classes: dict[tuple[str, ...], list[str]] = {}
        for (name,), of_run in md.groups(of_task, "run"):
            of_classes.setdefault(tuple(of_run["class"]), []).append(name)
        for names, run_names in of_classes.items():
            blocks += [f"### {task}, {len(names)} classes", _column_per_run(of_task, run_names)]
    note = (
        "IoU of each class on the test split, mean over seeds; the share is of the labeled pixels "
        "of that split. An IoU over few pixels is uncertain; '-': absent from both ground truth "
        "and prediction."
    )
    return md.Table(frame, md.document(*blocks, note) if blocks else md.NO_RUN)


def _nan_mean(seeds: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean of each class over the seeds in which it is not NaN; NaN where it always is."""
    return pd.DataFrame(seeds).mean().to_numpy()


def _column_per_run(rows: pd.DataFrame, runs: list[str]) -> str:
    wide = rows[rows["run"] == runs[0]][["class", "share"]].set_index("class")
    for run in runs:
        # a run may be named "share"; the prefix tells its column apart
        wide[f"run {run}"] = rows[rows["run"] == run].set_index("class")["iou"]
    columns = [
        md.Column("Class", md.text("class")),
        md.Column("Share of pixels", lambda row: f"{100 * row['share']:.2f} %"),
        *(md.Column(run, md.number(f"run {run}")) for run in runs),
    ]
    return md.table(wide.reset_index(), columns)


def seeds_table(jobs: pd.DataFrame) -> md.Table:
    """SEEDS, one row for each of the jobs, which all have counts."""
    rows = []
    for job in jobs[~jobs["run"].str.endswith(BEST_EPOCH)].to_dict("records"):
        metric, counts = METRICS[job["stage"]], job["counts"]
        row = job | {"metric": metric, "test": counts.scores[metric].value, "val": counts.val_score}
        if metric == "accuracy":
            row |= {"correct": counts.correct.sum(), "n": len(counts.correct)}
        rows.append(row)
    frame = pd.DataFrame(rows).reindex(columns=SEEDS).astype({"correct": "Int64", "n": "Int64"})
    if frame.empty:
        return md.Table(frame, md.NO_RUN)
    columns = [
        *md.left(*SEEDS[:5]),
        md.Column("Test", md.number("test")),
        md.Column("Val", md.number("val")),
        md.Column("k/n", lambda row: "-" if pd.isna(row["n"]) else f"{row['correct']}/{row['n']}"),
    ]
    return md.Table(frame, md.document(md.table(frame, columns), "One row per training job."))


def confusion_table(runs: pd.DataFrame) -> md.Table:
    """CONFUSION: test images or, in segmentation, pixels of each pair of classes, seeds summed.

    The classes of a run are in the order of their ids, without the ignored one; the markdown has
    the most frequent confusions.
    """
    rows = []
    for run in runs[~runs["run"].str.endswith(BEST_EPOCH)].to_dict("records"):
        key, classes = [run[name] for name in CONFUSION[:3]], run["counts"][0].classes
        matrix = sum(counts.test for counts in run["counts"])
        for t, p in product(classes.ids, repeat=2):
            rows.append([*key, classes.names[t], classes.names[p], matrix[t, p]])
    frame = pd.DataFrame(rows, columns=CONFUSION)
    blocks = md.sections(frame, CONFUSION[:3], _most_frequent)
    note = (
        f"The {MOST_FREQUENT} most frequent confusions of each run on the test split, summed over "
        "seeds: images in classification, labeled pixels in segmentation. The share is of the "
        "true class."
    )
    return md.Table(frame, md.document(*blocks, note) if blocks else md.NO_RUN)


def _most_frequent(pairs: pd.DataFrame) -> list[str]:
    of_class = pairs.groupby("truth")["count"].transform("sum")
    wrong = pairs.assign(share=pairs["count"] / of_class.clip(lower=1))
    wrong = wrong[(wrong["truth"] != wrong["prediction"]) & (wrong["count"] > 0)]
    top = wrong.sort_values("count", ascending=False, kind="stable").head(MOST_FREQUENT)
    columns = [
        md.Column("Truth", md.text("truth")),
        md.Column("Predicted as", md.text("prediction"), "---"),
        md.Column("Count", md.text("count")),
        md.Column("Share of the class", lambda row: f"{100 * row['share']:.1f} %"),
    ]
    return [md.table(top, columns) if len(top) else "No errors."]


def convergence_table(jobs: pd.DataFrame) -> md.Table:
    """CONVERGENCE: how many epochs each training took to come near its best score.

    `epochs_to_95pct` is the first epoch whose score on held-out images is at least NEAR of the
    history's best, `best_score`. Both are missing for a pretraining on images without labels.
    """
    rows = []
    for job in _with_history(jobs):
        history = job["history"]
        best = float(history["score"].max())
        near = history.loc[history["score"] >= NEAR * best, "epoch"].min()
        selected = int(history["epoch"].iloc[history["selected"].argmax()])
        epochs = [int(history["epoch"].max()), selected, near, best]
        rows.append([*(job[key] for key in CONVERGENCE[:4]), *epochs])
    frame = pd.DataFrame(rows, columns=CONVERGENCE).astype({"epochs_to_95pct": "Int64"})
    columns = [
        *md.left(*CONVERGENCE[:4]),
        md.Column("Epochs", md.text("epochs")),
        md.Column("Best epoch", md.text("best_epoch")),
        md.Column("Epochs to 95 %", md.number("epochs_to_95pct", "d")),
        md.Column("Best score", md.number("best_score")),
    ]
    note = (
        f"Epochs to {100 * NEAR:.0f} %: the first epoch whose score on the val split is at least "
        f"{100 * NEAR:.0f} % of the best score of its history. The score is the kNN accuracy in "
        "pretraining, the mIoU in segmentation, otherwise the accuracy. Where this epoch or the "
        "best one is the last, more epochs might have helped."
    )
    unlabeled = (
        "'-': pretraining on images without labels has a loss but no score, and a low loss of BYOL "
        "does not mean good features. 0 epochs: published weights, nothing was trained."
        if frame["epochs_to_95pct"].isna().any()
        else ""
    )
    return md.Table(frame, md.document(md.table(frame, columns), note, unlabeled))


def histories_table(jobs: pd.DataFrame) -> md.Table:
    """HISTORIES: one row per epoch of each job; `selected` is 1 in the epoch that was saved."""
    frames = [
        job["history"].assign(**{key: job[key] for key in HISTORIES[:4]})[HISTORIES]
        for job in _with_history(jobs)
    ]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=HISTORIES)
    note = "One row per epoch of every training; `dvc plots show` draws tables/histories.csv.\n"
    return md.Table(frame, note)


def _with_history(jobs: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return jobs[jobs["history"].notna()].to_dict("records")
