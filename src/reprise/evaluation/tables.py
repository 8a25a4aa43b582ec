"""Tables of the test scores: of each task, and of all tasks by class, seed and confusion.

`runs` are rows of `summaries.summarize`, `jobs` of `evaluate.read_jobs` (they all have counts), and
`comparisons` of `comparisons.compare`.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.datasets.label_share import mean_labels
from reprise.datasets.prepared import Classes, PreparedDataset
from reprise.evaluation import markdown as md
from reprise.evaluation.job_outputs import METRICS
from reprise.evaluation.package_metrics import ENDS, frame_columns, page_columns
from reprise.evaluation.scores import BEST_EPOCH, COURSE_METRICS
from reprise.evaluation.summaries import MIN_GROUP_IMAGES, constant_sentences
from reprise.evaluation.training_tables import NO_RUN_OF_TASK, WEIGHTS
from reprise.metrics.confusion import iou
from reprise.metrics.courses import cs6550_class_ious
from reprise.params.classify import ClassifyTask
from reprise.params.finetune import FinetuneTask

ACCURACY = ["run", "test_accuracy", "test_accuracy_sd", "correct", "n", "images", "groups"]
ACCURACY += ["val_accuracy", "seeds", *(f"test_accuracy{end}" for end in ENDS), "constant"]
ACCURACY += ["worst_group_accuracy", "worst_group_images", "weights"]
MIOU = ["run", "test_miou", "test_miou_sd", "present_classes", "classes", "test_pixel_accuracy"]
MIOU += ["pixels", "images", "groups", "val_miou", "seeds"]
MIOU += [f"test_miou{end}" for end in ENDS]
MIOU += [f"test_{metric}{end}" for metric in COURSE_METRICS for end in ("", *ENDS)] + ["weights"]
CLASS_IOU = ["task", "run", "class", "iou", "pixels", "share", "iou_cs6550"]
SEEDS = ["stage", "task", "run", "seed", "metric", "test", "val", "correct", "n"]
WHOLE_NUMBERS = [
    "correct",
    "n",
    "images",
    "groups",
    "seeds",
    "present_classes",
    "classes",
    "pixels",
]
IMAGES_AND_SEEDS = "95 % CI (images + seeds)"
COURSE_NOTE = (
    "The course scripts compute mIoU differently. Both count predictions on unlabeled pixels as "
    "false positives. DLCV's also uses one confusion matrix over the whole split, but an absent "
    "class leaves the mean undefined ('-'). CS6550's averages the IoU of each class over the "
    "images that have it, then over the classes."
)


def accuracy_table(
    runs: pd.DataFrame,
    comparisons: pd.DataFrame,
    dataset: PreparedDataset,
    task: ClassifyTask | FinetuneTask,
) -> md.Table:
    """ACCURACY, one row per run of a task of classify or finetune; the latter with start, tuned."""
    frame = _columns(runs, ACCURACY + frame_columns("classification"))
    columns = [*md.left("run"), WEIGHTS]
    if isinstance(task, FinetuneTask):
        recipes = [task.recipes[run] for run in frame["run"]]
        frame.insert(1, "start", [recipe.start for recipe in recipes])
        tuned = ["frozen backbone" if recipe.frozen else "full model" for recipe in recipes]
        frame.insert(2, "tuned", tuned)
        columns.insert(1, md.Column("Pretraining", md.text("start"), "---"))
        columns.append(md.Column("Fine-tuning", md.text("tuned"), "---"))
        used = [mean_labels(dataset, recipe.labels, task.seeds) for recipe in recipes]
        frame.insert(3, "labels", used)
        if frame["labels"].nunique() > 1:
            columns.append(md.Column("Labels", md.number("labels", ".0f")))
    worst = md.Column("Worst group", _worst_group)
    columns += [
        *md.named(md.number, "test_accuracy"),
        md.Column("sd", md.number("test_accuracy_sd")),
        md.Column("95 % CI (images)", md.interval("test_accuracy_groups")),
        md.Column(IMAGES_AND_SEEDS, md.interval("test_accuracy_ci")),
        md.Column("k/n", lambda row: f"{row['correct']}/{row['n']}"),
        *md.named(md.number, "val_accuracy"),
        *([worst] if frame["worst_group_accuracy"].notna().any() else []),
        *page_columns("classification"),
        *md.named(md.text, "seeds"),
    ]
    most_frequent = int(dataset.index.loc[dataset.rows("train"), "label"].mode().min())
    note = (
        f"{_measured(dataset, 'accuracy', frame)} k/n pools all seeds. {_intervals_note(frame)} "
        f"A constant prediction of the most frequent class "
        f"('{dataset.classes.names[most_frequent]}'): {runs['constant'].max():.4f}."
    )
    notes = [note, _worst_note(frame, dataset), _ensemble_note(frame, task)]
    notes.append(_sentences(runs, comparisons))
    return md.page(frame, [md.table(frame, columns)], *notes, empty=NO_RUN_OF_TASK)


def _worst_group(row: pd.Series) -> str:
    if pd.isna(row["worst_group_accuracy"]):
        return "-"
    return f"{row['worst_group_accuracy']:.3f} ({row['worst_group_images']:.0f} images)"


def _worst_note(frame: pd.DataFrame, dataset: PreparedDataset) -> str:
    """What the column of the worst group is of; "" where no run has one."""
    if frame["worst_group_accuracy"].isna().all():
        return ""
    return (
        f"Worst group: the lowest accuracy among the {dataset.group_words['many']} with at least "
        f"{MIN_GROUP_IMAGES} test images, mean over seeds. The lowest of many is low by chance too."
    )


def miou_table(runs: pd.DataFrame, comparisons: pd.DataFrame, dataset: PreparedDataset) -> md.Table:
    """MIOU, one row per run of a task of segment."""
    frame = _columns(runs, MIOU + frame_columns("segmentation"))
    columns = [
        *md.left("run"),
        WEIGHTS,
        md.Column("Test mIoU", md.number("test_miou")),
        md.Column("sd", md.number("test_miou_sd")),
        md.Column("95 % CI (images)", md.interval("test_miou_groups")),
        md.Column(IMAGES_AND_SEEDS, md.interval("test_miou_ci")),
        md.Column("Classes in the mean", lambda r: f"{r['present_classes']} of {r['classes']}"),
        md.Column("Pixel accuracy", md.number("test_pixel_accuracy")),
        md.Column("mIoU (DLCV)", md.number("test_miou_dlcv")),
        md.Column("mIoU (CS6550, per image)", md.number("test_miou_cs6550")),
        *page_columns("segmentation"),
        md.Column("Val mIoU", md.number("val_miou")),
        *md.named(md.text, "images", "seeds"),
    ]
    pixels = f" with {frame['pixels'].max()} labeled pixels"
    note = (
        f"{_measured(dataset, 'mIoU', frame, pixels)} "
        "mIoU is computed from one confusion matrix over the whole split; classes absent from both "
        f"ground truth and prediction are excluded from the mean. {_intervals_note(frame)}"
    )
    notes = [note, *_concentrated_notes(runs), _sentences(runs, comparisons), COURSE_NOTE]
    notes += _class_notes(runs)
    return md.page(frame, [md.table(frame, columns)], *notes, empty=NO_RUN_OF_TASK)


def _columns(runs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Some columns of the runs; whole numbers as such."""
    frame = runs.reindex(columns=columns)
    return frame.astype({name: int for name in WHOLE_NUMBERS if name in frame and len(frame)})


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


def _measured(dataset: PreparedDataset, metric: str, frame: pd.DataFrame, more: str = "") -> str:
    """On how many images the runs were trained, selected and measured, and with how many seeds."""
    train, val, test = (len(dataset.rows(split)) for split in ("train", "val", "test"))
    groups, seeds = frame["groups"].max(), frame["seeds"].max()
    in_groups = f" in {groups} {dataset.group_words['many']}" if groups != test else ""
    return (
        f"Dataset {dataset.name}: trained on {train} images (split train), the epoch selected on "
        f"{val} (split val), the {metric} measured on "
        f"{test} images{in_groups} (split test){more}. {md.seeds_note(seeds)}"
    )


def _intervals_note(frame: pd.DataFrame) -> str:
    """What the intervals of a task are over."""
    if (frame["groups"] == frame["images"]).all():
        return "Each image is its own group."
    return (
        "Images of one group are alike, so the 95 % CI over images leaves out one group at a time "
        "(Student's t); '-': the groups do not differ, or there is one."
    )


def _concentrated_notes(runs: pd.DataFrame) -> list[str]:
    """One line for each set of classes that lie in too few groups for an interval of the mIoU."""
    few = runs.loc[runs["concentrated"] != "", ["concentrated", "run"]]
    return [
        f"No interval for the mIoU of {', '.join(rows['run'])}: {names} lie in too few groups. "
        "That of a difference holds the truth on simulated data (docs/coverage.md)."
        for names, rows in few.groupby("concentrated", sort=False)
    ]


def _sentences(runs: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    """The runs that are not compared, and the sentences of the comparisons that the task names."""
    named = comparisons.loc[comparisons["named"].astype(bool), "summary"]
    return " ".join([*constant_sentences(runs), *named])


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
    blocks = [_column_per_run(task, rows) for task, rows in class_groups(frame)]
    note = (
        "IoU of each class on the test split, mean over seeds; the share is of the labeled pixels "
        "of that split. An IoU over few pixels is uncertain; '-': absent from both ground truth "
        "and prediction."
    )
    return md.page(frame, blocks, note)


def _nan_mean(seeds: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean of each class over the seeds in which it is not NaN; NaN where it always is."""
    return pd.DataFrame(seeds).mean().to_numpy()


def class_groups(class_iou: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each task and set of classes: runs with merged classes are apart."""
    runs: dict[tuple[str, tuple[str, ...]], list[pd.DataFrame]] = {}
    for (task, _), rows in md.groups(class_iou, "task", "run"):
        runs.setdefault((task, tuple(rows["class"])), []).append(rows)
    return [(task, pd.concat(rows)) for (task, _), rows in runs.items()]


def _column_per_run(task: str, rows: pd.DataFrame) -> str:
    """The IoU of a row's class in the column of its run, for the runs of one set of classes."""
    runs = {run: of_run for (run,), of_run in md.groups(rows, "run")}
    # a run may be named "share"; the prefix tells its column apart
    ious = {f"run {run}": of_run["iou"].to_numpy() for run, of_run in runs.items()}
    wide = next(iter(runs.values())).assign(**ious)
    columns = [
        *md.left("class"),
        md.Column("Share of pixels", lambda row: f"{100 * row['share']:.2f} %"),
        *(md.Column(run, md.number(f"run {run}")) for run in runs),
    ]
    return f"### {task}, {len(wide)} classes\n\n{md.table(wide, columns)}"


def seeds_table(jobs: pd.DataFrame) -> md.Table:
    """SEEDS, one row per job."""
    rows = []
    for job in jobs[~jobs["run"].str.endswith(BEST_EPOCH)].to_dict("records"):
        metric, counts = METRICS[job["stage"]], job["counts"]
        row = job | {"metric": metric, "test": counts.scores[metric].value, "val": counts.val_score}
        if metric == "accuracy":
            row |= {"correct": counts.correct.sum(), "n": len(counts.correct)}
        rows.append(row)
    frame = pd.DataFrame(rows).reindex(columns=SEEDS).astype({"correct": "Int64", "n": "Int64"})
    columns = [
        *md.left(*SEEDS[:5]),
        *md.named(md.number, "test", "val"),
        md.Column("k/n", lambda row: "-" if pd.isna(row["n"]) else f"{row['correct']}/{row['n']}"),
    ]
    return md.page(frame, [md.table(frame, columns)], "One row per training job.")
