"""The tables of the results: one row a run or setting, as csv and as GitHub markdown."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from reprise.evaluation.course_scores import with_course
from reprise.evaluation.families import Compared
from reprise.evaluation.markdown import (
    Column,
    Table,
    between,
    both,
    counts,
    document,
    markdown,
    share,
    text,
)
from reprise.evaluation.means import mean_accuracy, mean_masks, with_intervals
from reprise.evaluation.origins import WEIGHTS, with_weights
from reprise.evaluation.prepared import Labels, Prepared
from reprise.evaluation.resampling import DRAWS
from reprise.evaluation.scores import MaskScore
from reprise.evaluation.uncertainty import Estimate

Origin = Callable[[str, str], str]  # (run, setting or method or "") -> see origins.weights_of
START = {"scratch": "none", "supervised": "supervised", "byol": "BYOL"}


ACCURACY = [
    Column("Report accuracy", share("accuracy")),
    Column("sd", share("accuracy_sd")),
    Column("95 % interval", between("accuracy_low", "accuracy_high")),
    Column("images and seeds", both("accuracy")),
    Column("k/n", counts),
    Column("Select accuracy", share("select_accuracy")),
    Column("Seeds", text("seeds")),
]


# Does pretraining help, by labels or without; which helps more, tuned whole or frozen?
ASKED = [["B", "A"], ["C", "A"], ["C", "B"], ["E", "D"]]
COURSE_NOTE = (
    "The courses count otherwise. DLCV's script: over the whole role too, but an answer on an "
    "unlabelled pixel is a false positive, and an absent class leaves no number ('-'). CS6550's "
    "starter: the IoU of each class in each image that has it, the mean over these images, then "
    "over the classes; an answer on an unlabelled pixel is a false positive here too."
)
NO_RUN = "No run of this part in params.yaml."


def classify_table(
    jobs: pd.DataFrame, compared: Compared, prepared: Prepared, origin: Origin
) -> Table:
    """Runs of `classify` or `faces`."""
    frame = with_intervals(mean_accuracy(jobs, ["run"]), "accuracy", compared.estimates)
    frame = with_weights(frame, origin)
    if frame.empty:
        return Table(frame, NO_RUN + "\n")
    columns = [Column("Run", text("run")), WEIGHTS, *ACCURACY]
    notes = [accuracy_note(frame, prepared), *said(compared.pairs)]
    return Table(frame, document(markdown(frame, columns), *notes))


def finetune_table(
    jobs: pd.DataFrame,
    compared: Compared,
    prepared: Prepared,
    setup: Callable[[str, str], tuple[str, bool]],
    origin: Origin,
) -> Table:
    """Settings A to E of each run.

    Args:
        jobs: from `class_frame`.
        compared: the intervals and pairs of these jobs.
        prepared: the data set they were fine-tuned on.
        setup: (run, setting) -> (where it starts: scratch, supervised or byol; frozen).
        origin: (run, setting) -> where its weights come from.
    """
    means = mean_accuracy(jobs, ["run", "setting"])
    frame = with_weights(with_intervals(means, "accuracy", compared.estimates), origin, "setting")
    setups = [
        setup(run, setting) for run, setting in zip(frame["run"], frame["setting"], strict=True)
    ]
    frame.insert(2, "pretraining", [START[start] for start, _ in setups])
    frame.insert(
        3, "tuned", ["frozen backbone" if frozen else "full model" for _, frozen in setups]
    )
    if frame.empty:
        return Table(frame, NO_RUN + "\n")
    columns = [
        Column("Setting", text("setting")),
        Column("Pretraining", text("pretraining"), "---"),
        WEIGHTS,
        Column("Fine-tuning", text("tuned"), "---"),
        *ACCURACY,
    ]
    if frame["run"].nunique() > 1:
        columns.insert(0, Column("Run", text("run")))
    asked = [list(pair) in ASKED for pair in compared.pairs[["second", "first"]].values.tolist()]
    notes = [accuracy_note(frame, prepared), *said(compared.pairs[asked])]
    return Table(frame, document(markdown(frame, columns), *notes))


def accuracy_note(frame: pd.DataFrame, prepared: Prepared) -> str:
    """The line below a table of accuracies: roles, n, seeds, and what guessing would give."""
    train = prepared.index.loc[prepared.rows("train"), "label"]
    report = prepared.index.loc[prepared.rows("report"), "label"]
    common = int(np.bincount(train.to_numpy()).argmax()) if len(train) else 0
    guess = float((report == common).mean())
    seeds = int(frame["seeds"].max())
    return (
        f"Data set {prepared.name}: trained on {len(train)} images, the epoch chosen on "
        f"{len(prepared.rows('select'))} (role select), the accuracy measured on {len(report)} "
        f"(role report). {_seeds(seeds)} k/n counts all seeds, the interval "
        f"is Wilson's at n = {len(report)}; of images and seeds, Student's. "
        f"Always answering '{prepared.labels.names[common]}', the commonest class of train, "
        f"gives {guess:.4f}."
    )


def segment_table(
    jobs: pd.DataFrame,
    compared: Compared,
    course: dict[tuple[str, str], Estimate],
    scores: list[MaskScore],
    prepared: Prepared,
    origin: Origin,
) -> Table:
    """Runs of `segment` or `street`; `course` holds what the courses' scripts give for them."""
    means = mean_masks(jobs, len(prepared.rows("report")))
    frame = with_course(with_intervals(means, "miou", compared.estimates), course)
    frame = with_weights(frame, origin)
    if frame.empty:
        return Table(frame, NO_RUN + "\n")
    columns = [
        Column("Run", text("run")),
        WEIGHTS,
        Column("Report mIoU", share("miou")),
        Column("sd", share("miou_sd")),
        Column("95 % interval", between("miou_low", "miou_high")),
        Column("images and seeds", both("miou")),
        Column("mIoU over", lambda row: f"{row['counted']} of {row['declared']} classes"),
        Column("Pixel accuracy", share("pixel_accuracy")),
        Column("mIoU, DLCV's script", share("miou_dlcv")),
        Column("mIoU, CS6550's starter", share("miou_cs6550")),
        Column("Select mIoU", share("select_miou")),
        Column("Images", text("images")),
        Column("Seeds", text("seeds")),
    ]
    notes = [mask_note(frame, prepared), *said(compared.pairs), COURSE_NOTE, *_class_notes(scores)]
    return Table(frame, document(markdown(frame, columns), *notes))


def mask_note(frame: pd.DataFrame, prepared: Prepared) -> str:
    """The line below a table of mIoU: roles, n, seeds and the rule for absent classes."""
    seeds = int(frame["seeds"].max())
    return (
        f"Data set {prepared.name}: trained on {len(prepared.rows('train'))} images, the epoch "
        f"chosen on {len(prepared.rows('select'))} (role select), measured on "
        f"{len(prepared.rows('report'))} (role report, {int(frame['pixels'].max())} labelled "
        f"pixels). {_seeds(seeds)} One confusion matrix over the whole role; a "
        f"class that is neither in the truth nor predicted is left out of the mean. The "
        f"interval is that of {DRAWS} resamples of the images."
    )


def said(pairs: pd.DataFrame) -> list[str]:
    """The sentences of these pairs, a paragraph for each run."""
    blocks = []
    for name, rows in pairs.groupby("run", sort=False) if len(pairs) else ():
        run = str(name)
        lead = f"Run {run}: " if run else ""
        blocks.append(lead + " ".join(rows["said"]))
    return blocks


def _class_notes(scores: list[MaskScore]) -> list[str]:
    """One line for each set of classes in use: the runs, the classes, the ignored label."""
    runs: dict[Labels, list[str]] = {}
    for score in scores:
        found = runs.setdefault(score.labels, [])
        if score.run not in found:
            found.append(score.run)
    return [
        f"Classes of {', '.join(names)}: {', '.join(labels.names[i] for i in labels.declared)}; "
        f"{ignored(labels)}."
        for labels, names in runs.items()
    ]


def ignored(labels: Labels) -> str:
    """In words, which label does not count."""
    if labels.ignore is None:
        return "no label is ignored"
    name = labels.names[labels.ignore] if labels.ignore < len(labels.names) else "no label"
    return f"pixels labelled {labels.ignore} ({name}) do not count"


def iou_table(frame: pd.DataFrame) -> Table:
    """IoU by class: one readable table for each part and set of classes, a column a run."""
    blocks = []
    for part, rows in frame.groupby("part", sort=False) if len(frame) else ():
        sets: dict[tuple[str, ...], list[str]] = {}
        for run, group in rows.groupby("run", sort=False):
            sets.setdefault(tuple(group["class"]), []).append(str(run))
        for names, runs in sets.items():
            blocks += [f"### {part}, {len(names)} classes", _wide(rows, runs)]
    note = (
        "IoU of each class on the report role, mean over seeds; the share is of the labelled "
        "pixels of that role. An IoU over few pixels says little; '-' is a class that is neither "
        "in the truth nor predicted."
    )
    return Table(frame, document(*blocks, note) if blocks else NO_RUN + "\n")


def _wide(rows: pd.DataFrame, runs: list[str]) -> str:
    wide = rows[rows["run"] == runs[0]][["class", "share"]].set_index("class")
    for run in runs:
        # a run may be called "share"; the prefix keeps its column apart
        wide[f"run {run}"] = rows[rows["run"] == run].set_index("class")["iou"]
    columns = [
        Column("Class", text("class")),
        Column("Share of pixels", lambda row: f"{100 * row['share']:.2f} %"),
        *(Column(run, share(f"run {run}")) for run in runs),
    ]
    return markdown(wide.reset_index(), columns)


def pretrain_table(jobs: pd.DataFrame, prepared: Prepared, origin: Origin) -> Table:
    """Both ways of pretraining of each run."""
    names = ["run", "method", "epochs", "kept", "knn_accuracy_random", "knn_accuracy"]
    frame = jobs.reindex(columns=[*names, "select_accuracy", "std", "effective_rank"])
    frame = with_weights(frame, origin, "method")
    if frame.empty:
        return Table(frame, NO_RUN + "\n")
    columns = [
        Column("Run", text("run")),
        Column("Method", lambda row: START[row["method"]], "---"),
        WEIGHTS,
        Column("Epochs", text("epochs")),
        Column("Kept epoch", text("kept")),
        Column("kNN accuracy, random network", share("knn_accuracy_random")),
        Column("kNN accuracy", share("knn_accuracy")),
        Column("Select accuracy", share("select_accuracy")),
        Column("Feature std", share("std")),
        Column("Effective rank", lambda r: _dash(r["effective_rank"], ".1f")),
    ]
    note = (
        f"Data set {prepared.name}: pretrained on {len(prepared.rows('train'))} images, judged on "
        f"{len(prepared.rows('select'))} (role select). One seed for each pretraining. The kNN "
        f"accuracy asks the nearest neighbours of the features; the random network is epoch 0."
    )
    return Table(frame, document(markdown(frame, columns), note))


def seeds_table(parts: dict[str, pd.DataFrame]) -> Table:
    """One row for every training job that is scored: what each seed gave."""
    frames = []
    for part, jobs in parts.items():
        if len(jobs):
            mask = "miou" in jobs
            frame = jobs.reindex(columns=["run", "setting", "seed", "correct", "n"])
            frame.insert(0, "part", part)
            frame["metric"] = "miou" if mask else "accuracy"
            frame["report"] = jobs["miou" if mask else "accuracy"]
            frame["select"] = jobs["select_miou" if mask else "select_accuracy"]
            frames.append(frame)
    names = ["part", "run", "setting", "seed", "metric", "report", "select", "correct", "n"]
    if not frames:
        return Table(pd.DataFrame(columns=names), NO_RUN + "\n")
    frame = pd.concat(frames, ignore_index=True)[names]
    frame["setting"] = frame["setting"].fillna("")
    frame[["correct", "n"]] = frame[["correct", "n"]].astype("Int64")
    columns = [
        *(Column(name.capitalize(), text(name), "---") for name in names[:5]),
        Column("Report", share("report")),
        Column("Select", share("select")),
        Column("k/n", lambda row: "-" if pd.isna(row["n"]) else counts(row)),
    ]
    return Table(frame, document(markdown(frame, columns), "One row a training job."))


def _seeds(n: int) -> str:
    return "One seed, so no sd." if n == 1 else f"Mean and sd of {n} seeds."


def _dash(value: float, form: str) -> str:
    return "-" if pd.isna(value) else format(value, form)
