"""Tables of what was trained: networks and their layers, pretraining, convergence, histories.

`layers` has one row per layer group: stage, task, run, model, input, group, layers, output (as
"channels x height x width"), parameters, trained, multiply_adds (whole numbers). `jobs` is from
`evaluate.read_jobs`.
"""

from collections.abc import Sequence

import pandas as pd

from reprise.datasets.prepared import PreparedDataset
from reprise.evaluation import markdown as md
from reprise.jobs import NONE, OWN
from reprise.params.pretrain import PretrainTask

KEYS = ["stage", "task", "run"]
SHAPE = ["model", "input", "group", "layers", "output", "parameters", "multiply_adds"]
PRETRAIN_SCORES = ["knn_accuracy_random", "knn_accuracy", "val_accuracy", "feature_std"]
PRETRAIN_SCORES += ["effective_rank"]
PRETRAIN = ["run", "method", "weights", "epochs", "knn_accuracy_random", "knn_accuracy"]
PRETRAIN += ["knn_accuracy_sd", "val_accuracy", "feature_std", "effective_rank", "seeds"]
CONVERGENCE = [*KEYS, "seed", "epochs", "best_epoch", "epochs_to_95pct", "best_score"]
HISTORIES = [*KEYS, "seed", "epoch", "train_loss", "score", "selected"]
NEAR = 0.95  # of the best score of a history
NO_RUN_OF_TASK = "No runs of this task in params.yaml.\n"
COUNTED = (
    "Multiply-adds are those of convolutions and linear layers for one image; a multiplication and "
    "its addition count once. Normalization, activations, pooling and interpolation are not "
    "counted."
)
SEGMENT_ANYTHING = (
    "For Segment Anything they are for one image and one point prompt, and include the products of "
    "attention, of position encodings and of masks. An image passes through the image encoder "
    "once, and through the mask decoder once for each point prompt."
)
MILLIONS = md.Column("Multiply-adds (M)", lambda row: f"{row['multiply_adds'] / 1e6:.2f}")


def _weights(row: pd.Series) -> str:
    words = {NONE: "none (from scratch)", OWN: "own pretraining"}
    return words.get(row["weights"], f"{row['weights']} (published)")


WEIGHTS = md.Column("Weights", _weights, "---")


def networks_table(layers: pd.DataFrame) -> md.Table:
    """One row per network: KEYS, model, input, output, parameters, trained, multiply_adds."""
    if layers.empty:
        return md.Table(layers, md.NO_RUN)
    how = {"model": "first", "input": "first", "output": "last"}
    how |= dict.fromkeys(("parameters", "trained", "multiply_adds"), "sum")
    frame = layers.groupby(KEYS, sort=False, as_index=False).agg(how)
    numbers = md.named(md.text, "input", "output", "parameters", "trained")
    note = (
        f"{COUNTED} For pretraining, the online network with its heads is counted; fine-tuning "
        "takes only its backbone. Trained parameters are those with a gradient: with a frozen "
        "backbone, only those of the head."
    )
    table = md.table(frame, [*md.left(*KEYS, "model"), *numbers, MILLIONS])
    return md.page(frame, [table], note, _segment_anything(layers))


def layers_table(layers: pd.DataFrame) -> md.Table:
    """The layer groups of each network; the markdown has networks of one shape only once."""
    columns = [
        md.Column("Layers", md.text("group")),
        md.Column("Type", md.text("layers"), "---"),
        *md.named(md.text, "output", "parameters"),
        MILLIONS,
    ]
    blocks = [f"### {names}\n\n{md.table(rows, columns)}" for names, rows in distinct(layers)]
    return md.page(layers, blocks, COUNTED, _segment_anything(layers))


def _segment_anything(layers: pd.DataFrame) -> str:
    """What is counted differently, if a run of Segment Anything is among the networks."""
    return SEGMENT_ANYTHING if (layers["stage"] == "segment_anything").any() else ""


def distinct(layers: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Networks of one shape together: "stage task run; ..." and their layer groups."""
    networks: dict[str, tuple[list[str], pd.DataFrame]] = {}
    for key, rows in md.groups(layers, *KEYS):
        names, _ = networks.setdefault(rows[SHAPE].to_csv(index=False), ([], rows))
        names.append(" ".join(key))
    return [("; ".join(names), rows) for names, rows in networks.values()]


def pretrain_table(jobs: pd.DataFrame, dataset: PreparedDataset, task: PretrainTask) -> md.Table:
    """PRETRAIN, one row per run of a task of pretrain: means over its seeds.

    The scores are those of the epoch that was saved, `knn_accuracy_random` of epoch 0;
    `knn_accuracy_sd` is over the seeds (NaN for one), `seeds` is their number.
    """
    rows = _trainings(jobs, ["run", "weights", "epochs", *PRETRAIN_SCORES])
    seeds = rows.astype(dict.fromkeys(PRETRAIN_SCORES, float)).groupby("run", sort=False)
    frame = seeds[["weights", "epochs"]].first().join(seeds[PRETRAIN_SCORES].mean())
    frame = frame.assign(knn_accuracy_sd=seeds["knn_accuracy"].std(), seeds=seeds.size())
    frame = frame.reset_index()
    frame["method"] = [task.recipes[run].method for run in frame["run"]]
    frame = frame[PRETRAIN]
    columns = [
        *md.left("run", "method"),
        WEIGHTS,
        *md.named(md.text, "epochs"),
        md.Column("kNN accuracy, untrained network", md.number("knn_accuracy_random")),
        md.Column("kNN accuracy", md.number("knn_accuracy")),
        md.Column("sd", md.number("knn_accuracy_sd")),
        *md.named(md.number, "val_accuracy", "feature_std"),
        md.Column("Effective rank", md.number("effective_rank", ".1f")),
        *md.named(md.text, "seeds"),
    ]
    neighbors = ", ".join(str(k) for k in sorted({task.recipes[run].knn_k for run in task.runs}))
    note = (
        f"Dataset {dataset.name}: pretrained on {len(dataset.rows('train'))} images (split train), "
        f"evaluated on {len(dataset.rows('val'))} (split val). kNN accuracy of the frozen features "
        f"(k = {neighbors}); the untrained network is epoch 0. "
        f"{md.seeds_note(frame['seeds'].max())}"
    )
    return md.page(frame, [md.table(frame, columns)], note, empty=NO_RUN_OF_TASK)


def convergence_table(jobs: pd.DataFrame) -> md.Table:
    """CONVERGENCE: how many epochs each training took to come near its best score.

    `epochs_to_95pct` is the first epoch whose score on held-out images is at least NEAR of the
    history's best, `best_score`. Both are missing for a pretraining on images without labels.
    """
    frame = _trainings(jobs, CONVERGENCE).astype({"epochs_to_95pct": "Int64"})
    columns = [
        *md.left(*CONVERGENCE[:4]),
        *md.named(md.text, "epochs", "best_epoch"),
        md.Column("Epochs to 95 %", md.number("epochs_to_95pct", "d")),
        *md.named(md.number, "best_score"),
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


def gap_sentence(jobs: pd.DataFrame, names: Sequence[str]) -> str:
    """How far the accuracy on train is above that on val, for some runs of a task of finetune.

    Means over the seeds, in the selected epoch; "" where a history is missing.
    """
    gaps, phrases = {}, []
    for name in names:
        histories = jobs.loc[jobs["run"] == name, "history"].dropna()
        best = pd.DataFrame([h.iloc[h["selected"].argmax()] for h in histories])
        if best.empty:
            continue
        train, val = best["train_accuracy"].mean(), best["val_accuracy"].mean()
        gaps[name] = 100 * (train - val)
        phrases.append(f"{name} {gaps[name]:.1f} points (train {train:.3f}, val {val:.3f})")
    if not phrases:
        return ""
    text = f"Gap between train and val accuracy in the selected epoch: {', '.join(phrases)}."
    if len(gaps) == 2:
        (one, wide), (other, narrow) = sorted(gaps.items(), key=lambda item: -item[1])
        text += f" That of {one} is {wide - narrow:.1f} points wider than that of {other}."
    return (
        f"{text} Train images are augmented, and seen while the weights change; val images are not."
    )


def _trainings(jobs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Columns of the jobs, of the best row of their histories, and of the history as a whole."""
    rows = []
    for job in jobs[jobs["history"].notna()].to_dict("records"):
        history = job["history"]
        best, score = history.iloc[history["selected"].argmax()], history["score"]
        summary = {
            "epochs": int(history["epoch"].max()),
            "best_epoch": int(best["epoch"]),
            "knn_accuracy_random": float(score.iloc[0]),
            "epochs_to_95pct": history.loc[score >= NEAR * score.max(), "epoch"].min(),
            "best_score": float(score.max()),
        }
        rows.append(job | best.to_dict() | summary)
    return pd.DataFrame(rows).reindex(columns=columns)


def histories_table(jobs: pd.DataFrame) -> md.Table:
    """HISTORIES: one row per epoch of each job; `selected` is 1 in the epoch that was saved."""
    frames = [
        job["history"].assign(**{key: job[key] for key in HISTORIES[:4]})[HISTORIES]
        for job in jobs[jobs["history"].notna()].to_dict("records")
    ]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=HISTORIES)
    note = "One row per epoch of every training; `dvc plots show` draws tables/histories.csv.\n"
    return md.Table(frame, note)
