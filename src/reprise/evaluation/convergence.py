"""How many epochs a training took to come near its best."""

from pathlib import Path

import pandas as pd

from reprise.evaluation.histories import chosen, read_history
from reprise.evaluation.markdown import Column, Table, document, markdown, share, text
from reprise.params import Params

NEAR = 0.95  # of the best score of the history
SCORES = {"pretrain": "knn_accuracy", "segment": "select_miou", "street": "select_miou"}
COLUMNS = ["part", "run", "setting", "seed", "epochs", "kept", "near_best", "best"]


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


def convergence(results: Path, params: Params) -> Table:
    """Epochs of each job: all, the kept one, and the first that came near the best.

    Returns:
        COLUMNS; `near_best` is the first epoch whose score on held-out images (kNN accuracy of
        `pretrain`, else the select score) is at least NEAR of the history's best, `best`. A job
        without a score is left out.
    """
    rows = []
    for part, run, setting, seed, path in histories(results, params):
        score = SCORES.get(part, "select_accuracy")
        history = read_history(path, [score])
        if history[score].isna().all():  # a backbone that was taken over, on unlabelled images
            continue
        best = float(history[score].max())
        near = history.loc[history[score] >= NEAR * best, "epoch"]
        kept = int(history["epoch"].iloc[chosen(history, path)])
        last = int(history["epoch"].max())
        rows.append([part, run, setting, seed, last, kept, int(near.iloc[0]), best])
    frame = pd.DataFrame(rows, columns=COLUMNS).astype({"seed": "Int64"})
    columns = [
        Column("Part", text("part")),
        Column("Run", text("run"), "---"),
        Column("Setting", lambda row: str(row["setting"]) or "-", "---"),
        Column("Seed", lambda row: "-" if pd.isna(row["seed"]) else str(row["seed"])),
        Column("Epochs", text("epochs")),
        Column("Kept epoch", text("kept")),
        Column("First near the best", text("near_best")),
        Column("Best score", share("best")),
    ]
    note = (
        f"First near the best: the first epoch whose score on the select role is at least "
        f"{NEAR:.0%} of the best one of its history. Where that or the kept epoch is the last one, "
        "more epochs might have given more."
    )
    return Table(frame, document(markdown(frame, columns), note))
