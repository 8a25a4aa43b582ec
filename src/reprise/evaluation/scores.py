"""One row a job: predictions against the truth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from reprise.errors import RepriseError
from reprise.evaluation.confusion import Matrix, confusion, mean_iou, pixel_accuracy
from reprise.evaluation.histories import chosen, read_history
from reprise.evaluation.predictions import read_mask, read_predictions
from reprise.evaluation.prepared import Labels, Prepared
from reprise.params import Params


@dataclass(frozen=True)
class MaskScore:
    """A segmentation job: its labels and the confusion matrix of each role, rows = truth."""

    run: str
    seed: int
    labels: Labels
    select: Matrix
    report: Matrix


def score_classes(path: Path, prepared: Prepared) -> dict[str, float]:
    """Score one predictions.csv.

    Returns:
        correct, n, accuracy of the report role; select_correct, select_n, select_accuracy.

    Raises:
        RepriseError: see `read_predictions`; or a role has no image.
    """
    table = read_predictions(path, prepared)
    score: dict[str, float] = {}
    for role, prefix in (("report", ""), ("select", "select_")):
        rows = table[table["role"] == role]
        if rows.empty:
            raise RepriseError(f"{path}: no image of the role {role}; prepare the set again")
        correct = int((rows["label"] == rows["prediction"]).sum())
        score |= {f"{prefix}correct": correct, f"{prefix}n": len(rows)}
        score[f"{prefix}accuracy"] = correct / len(rows)
    return score


def classify_jobs(results: Path, stage: str, params: Params, prepared: Prepared) -> pd.DataFrame:
    """Scores of every job of `classify` or `faces`: run, seed and what `score_classes` gives."""
    block = params.classify if stage == "classify" else params.faces
    rows = [
        {"run": run, "seed": seed}
        | score_classes(results / stage / run / str(seed) / "predictions.csv", prepared)
        for run in block.runs
        for seed in block.seeds
    ]
    return pd.DataFrame(rows)


def finetune_jobs(results: Path, params: Params, prepared: Prepared) -> pd.DataFrame:
    """Scores of every job of `finetune`: run, setting, seed and what `score_classes` gives."""
    block = params.finetune
    rows = [
        {"run": run, "setting": setting, "seed": seed}
        | score_classes(
            results / "finetune" / run / setting / str(seed) / "predictions.csv", prepared
        )
        for run in block.runs
        for setting in block.settings.all
        for seed in block.seeds
    ]
    return pd.DataFrame(rows)


def score_masks(
    folder: Path, prepared: Prepared, role: str, merge: int | None
) -> tuple[Labels, Matrix]:
    """Sum the confusion matrix of all images of a role.

    Args:
        folder: holds one `<id>.png` for each image.
        prepared: the data set.
        role: "select" or "report".
        merge: number of classes when the model was trained on merged ones.

    Raises:
        RepriseError: a mask is wrong (see `read_mask`), or the truth holds an undeclared id.
    """
    labels, table = prepared.merged(merge)
    truth = prepared.truth()
    matrix = np.zeros((len(labels.names), len(labels.names)), np.int64)
    for row in prepared.rows(role):
        name = prepared.index["id"].iloc[row]
        label_map = table[truth[row]]
        mask = read_mask(folder / f"{name}.png", label_map.shape, labels)
        try:
            matrix += confusion(label_map, mask, len(labels.names), labels.ignore)
        except ValueError as error:
            path = prepared.folder / "labels.npy"
            raise RepriseError(f"{path}: image '{name}': {error}; prepare the set again") from None
    if not matrix.any():
        raise RepriseError(
            f"{prepared.folder}: no labelled pixel of the role {role}; prepare again"
        )
    return labels, matrix


def segment_jobs(results: Path, stage: str, params: Params, prepared: Prepared) -> list[MaskScore]:
    """Scores of every job of `segment` or `street`, in the order of params.yaml."""
    block = params.segment if stage == "segment" else params.street
    scores = []
    for run in block.runs:
        for seed in block.seeds:
            folder = results / stage / run / str(seed) / "predictions"
            merge = block.recipes[run].merge
            labels, select = score_masks(folder, prepared, "select", merge)
            _, report = score_masks(folder, prepared, "report", merge)
            scores.append(MaskScore(run, seed, labels, select, report))
    return scores


def mask_frame(scores: list[MaskScore]) -> pd.DataFrame:
    """One row a job: run, seed, miou, counted, declared, pixel_accuracy, pixels, select_miou."""
    rows = []
    for score in scores:
        mean = mean_iou(score.report, score.labels.declared)
        rows.append(
            {
                "run": score.run,
                "seed": score.seed,
                "miou": mean.value,
                "counted": mean.counted,
                "declared": mean.declared,
                "pixel_accuracy": pixel_accuracy(score.report),
                "pixels": int(score.report.sum()),
                "select_miou": mean_iou(score.select, score.labels.declared).value,
            }
        )
    return pd.DataFrame(rows)


def pretrain_jobs(results: Path, params: Params) -> pd.DataFrame:
    """One row a pretraining: kNN accuracy of the random network and of the kept epoch, and more.

    Columns run, method, epochs, kept (epoch), knn_accuracy_random, knn_accuracy, and, where the
    method has them, select_accuracy, std, effective_rank (NaN elsewhere).
    """
    rows = []
    for run in params.pretrain.runs:
        for method in params.pretrain.methods:
            path = results / "pretrain" / run / method / "history.csv"
            history = read_history(path, ["knn_accuracy"])
            first = history.iloc[0]
            if first["epoch"] != 0:
                raise RepriseError(f"{path}: no row of epoch 0, the random network; run it again")
            kept = history.iloc[chosen(history, path)]
            row = {
                "run": run,
                "method": method,
                "epochs": int(history["epoch"].max()),
                "kept": int(kept["epoch"]),
                "knn_accuracy_random": float(first["knn_accuracy"]),
                "knn_accuracy": float(kept["knn_accuracy"]),
            }
            for name in ("select_accuracy", "std", "effective_rank"):
                row[name] = float(kept[name]) if name in history.columns else float("nan")
            rows.append(row)
    return pd.DataFrame(rows)
