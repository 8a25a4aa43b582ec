"""How many epochs a training took to come near its best."""

from pathlib import Path

import pandas as pd

from reprise.evaluation.histories import chosen, read_history
from reprise.evaluation.holes import Holes
from reprise.evaluation.markdown import Column, Table, document, markdown, number, share, text
from reprise.params import Params

NEAR = 0.95  # of the best score of the history
SCORES = {"pretrain": "knn_accuracy", "segment": "select_miou", "street": "select_miou"}
COLUMNS = ["part", "run", "setting", "seed", "epochs", "kept", "near_best", "best"]
EPOCHS = ["part", "run", "setting", "seed", "epoch", "train_loss", "score", "selected"]


def histories(results: Path, params: Params) -> list[tuple[str, str, str, int | None, Path]]:
    """Every training job: part, run, setting (or method, or ""), seed and its history.csv."""
    found: list[tuple[str, str, str, int | None, Path]] = []
    for run in params.pretrain.runs:
        for method in params.pretrain.methods:
            path = results / "pretrain" / run / method / "history.csv"
            found.append(("pretrain", run, method, None, path))
    for part, block in params.stages.items():
        settings = params.finetune.settings.all if part == "finetune" else [""]
        for run in block.runs:
            for setting in settings:
                for seed in getattr(block, "seeds", []):
                    path = results / part / run / setting / str(seed) / "history.csv"
                    found.append((part, run, setting, seed, path))
    return found


def score_of(part: str) -> str:
    """The column of history.csv with the score on held-out images that is watched in a part."""
    return SCORES.get(part, "select_accuracy")


def convergence(results: Path, params: Params, holes: Holes) -> Table:
    """Epochs of each job: all, the kept one, and the first that came near the best.

    Returns:
        COLUMNS; `near_best` is the first epoch whose score on held-out images (kNN accuracy of
        `pretrain`, else the select score) is at least NEAR of the history's best, `best`. Both are
        missing where a pretraining has no score: its images have no labels.
    """
    rows = []
    for part, run, setting, seed, path in histories(results, params):
        with holes.leave_out("epochs"):
            rows.append([part, run, setting, seed, *_epochs(path, score_of(part))])
    frame = pd.DataFrame(rows, columns=COLUMNS).astype({"seed": "Int64", "near_best": "Int64"})
    columns = [
        Column("Part", text("part")),
        Column("Run", text("run"), "---"),
        Column("Setting", lambda row: str(row["setting"]) or "-", "---"),
        Column("Seed", number("seed")),
        Column("Epochs", text("epochs")),
        Column("Kept epoch", text("kept")),
        Column("First near the best", number("near_best")),
        Column("Best score", share("best")),
    ]
    note = (
        f"First near the best, the epochs to convergence: the first epoch whose score on the role "
        f"select is at least {NEAR:.0%} of the best one of its history. The score is the kNN "
        "accuracy in pretraining, the mIoU in segmentation, else the accuracy. Where the first "
        "epoch near the best, or the kept one, is the last, more epochs might have given more."
    )
    unscored = (
        "'-': a pretraining on images without labels has a loss and no score, and a low loss of "
        "BYOL is no sign of good features. 0 epochs: published weights, nothing was trained."
        if frame["near_best"].isna().any()
        else ""
    )
    return Table(frame, document(markdown(frame, columns), note, unscored))


def every_epoch(results: Path, params: Params, holes: Holes) -> Table:
    """One row an epoch of each job: part, run, setting, seed, epoch, train_loss, score, selected.

    `score` is on held-out images, as in `convergence`; `selected` is 1 in the kept epoch, else 0.
    """
    frames = []
    for part, run, setting, seed, path in histories(results, params):
        score = score_of(part)
        with holes.leave_out("epochs"):
            history = read_history(path, ["train_loss", score])
            kept = history.index == history.index[chosen(history, path)]
            whose = {"part": part, "run": run, "setting": setting, "seed": seed}
            made = history[["epoch", "train_loss", score]].rename(columns={score: "score"})
            frames.append(made.assign(**whose, selected=kept.astype(int))[EPOCHS])
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=EPOCHS)
    note = "One row an epoch of every training: `dvc plots show` draws tables/histories.csv."
    return Table(frame.astype({"seed": "Int64"}), note + "\n")


def _epochs(path: Path, score: str) -> list[float]:
    """The last epoch, the kept one, the first near the best, and the best; NaN without a score."""
    history = read_history(path, [score])
    best = float(history[score].max())
    near = history.loc[history[score] >= NEAR * best, "epoch"]
    kept = int(history["epoch"].iloc[chosen(history, path)])
    return [int(history["epoch"].max()), kept, near.min(), best]
