"""One row a job: predictions against the truth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.errors import RepriseError
from reprise.evaluation.confusion import (
    Matrix,
    confusion,
    mean_iou,
    pixel_accuracy,
    void_answers,
)
from reprise.evaluation.histories import chosen, read_history
from reprise.evaluation.holes import Holes
from reprise.evaluation.predictions import read_mask, read_predictions
from reprise.evaluation.prepared import Labels, Prepared
from reprise.params import Params


@dataclass(frozen=True, eq=False)
class ClassScore:
    """A classification job: what it answered, image by image.

    `report` and `select` are confusion matrices, rows = truth; `right` (images,) says which images
    of the report role it got right, in the order of predictions.csv. `setting` is "" where a part
    has none.
    """

    run: str
    setting: str
    seed: int
    select: Matrix
    report: Matrix
    right: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MaskScore:
    """A segmentation job: its labels, and confusion matrices whose rows are the truth.

    `select` (classes, classes) is of the whole role, `images` (images, classes, classes) of each
    image of the report role; `void` (images, classes) is what was answered on its pixels whose
    truth is the ignored label, which the matrices leave out.
    """

    run: str
    seed: int
    labels: Labels
    select: Matrix
    images: Matrix
    void: Matrix

    @property
    def report(self) -> Matrix:
        """The confusion matrix of the whole report role."""
        whole: Matrix = self.images.sum(axis=0)
        return whole


def score_classes(
    path: Path, prepared: Prepared, run: str, seed: int, setting: str = ""
) -> ClassScore:
    """Score one predictions.csv.

    Raises:
        RepriseError: see `read_predictions`; or a role has no image.
    """
    table = read_predictions(path, prepared)
    classes = len(prepared.labels.names)
    roles = {}
    for role in ("select", "report"):
        roles[role] = table[table["role"] == role].sort_values("id", kind="stable")
        if roles[role].empty:
            raise RepriseError(f"{path}: no image of the role {role}; prepare the set again")
    select, report = (
        confusion(rows["label"].to_numpy(), rows["prediction"].to_numpy(), classes)
        for rows in roles.values()
    )
    right = (roles["report"]["label"] == roles["report"]["prediction"]).to_numpy()
    return ClassScore(run, setting, seed, select, report, right)


def class_jobs(
    part: str, results: Path, params: Params, prepared: Prepared, holes: Holes
) -> list[ClassScore]:
    """Scores of every job of finetune, classify or faces, in the order of params.yaml."""
    block = params.finetune if part == "finetune" else params.stages[part]
    settings = params.finetune.settings.all if part == "finetune" else [""]
    scores = []
    for run in block.runs:
        for setting in settings:
            for seed in getattr(block, "seeds", []):
                path = results / part / run / setting / str(seed) / "predictions.csv"
                with holes.leave_out(part):
                    scores.append(score_classes(path, prepared, run, seed, setting))
    return scores


def class_frame(scores: list[ClassScore]) -> pd.DataFrame:
    """One row a job: run, setting, seed; correct, n, accuracy; the same of the select role."""
    rows = []
    for score in scores:
        row = {"run": score.run, "setting": score.setting, "seed": score.seed}
        for matrix, prefix in ((score.report, ""), (score.select, "select_")):
            correct, n = int(np.trace(matrix)), int(matrix.sum())
            row |= {f"{prefix}correct": correct, f"{prefix}n": n, f"{prefix}accuracy": correct / n}
        rows.append(row)
    return pd.DataFrame(rows)


def score_masks(
    folder: Path, prepared: Prepared, role: str, merge: int | None
) -> tuple[Labels, Matrix, Matrix]:
    """The classes, and `images` and `void` of MaskScore for a role.

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
    rows = prepared.rows(role)
    classes = len(labels.names)
    matrices = np.zeros((len(rows), classes, classes), np.int64)
    void = np.zeros((len(rows), classes), np.int64)
    for i, row in enumerate(rows):
        name = prepared.index["id"].iloc[row]
        label_map = table[truth[row]]
        mask = read_mask(folder / f"{name}.png", label_map.shape, labels)
        try:
            matrices[i] = confusion(label_map, mask, classes, labels.ignore)
        except ValueError as error:
            path = prepared.folder / "labels.npy"
            raise RepriseError(f"{path}: image '{name}': {error}; prepare the set again") from None
        void[i] = void_answers(label_map, mask, classes, labels.ignore)
    if not matrices.any():
        raise RepriseError(
            f"{prepared.folder}: no labelled pixel of the role {role}; prepare again"
        )
    return labels, matrices, void


def segment_jobs(
    part: str, results: Path, params: Params, prepared: Prepared, holes: Holes
) -> list[MaskScore]:
    """Scores of every job of `segment` or `street`, in the order of params.yaml."""
    block = params.segment if part == "segment" else params.street
    scores = []
    for run in block.runs:
        for seed in block.seeds:
            folder = results / part / run / str(seed) / "predictions"
            merge = block.recipes[run].merge
            with holes.leave_out(part):
                labels, select, _ = score_masks(folder, prepared, "select", merge)
                _, report, void = score_masks(folder, prepared, "report", merge)
                scores.append(MaskScore(run, seed, labels, select.sum(axis=0), report, void))
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


def pretrain_jobs(results: Path, params: Params, holes: Holes) -> pd.DataFrame:
    """One row a pretraining: kNN accuracy of the random network and of the kept epoch, and more.

    Columns run, method, epochs, kept (epoch), knn_accuracy_random, knn_accuracy, and, where the
    method has them, select_accuracy, std, effective_rank (NaN elsewhere).
    """
    rows = []
    for run in params.pretrain.runs:
        for method in params.pretrain.methods:
            path = results / "pretrain" / run / method / "history.csv"
            with holes.leave_out("pretrain"):
                rows.append({"run": run, "method": method} | _pretraining(path))
    return pd.DataFrame(rows)


def _pretraining(path: Path) -> dict[str, float]:
    history = read_history(path, ["knn_accuracy"])
    first = history.iloc[0]
    if first["epoch"] != 0:
        raise RepriseError(f"{path}: no row of epoch 0, the random network; run it again")
    kept = history.iloc[chosen(history, path)]
    row = {
        "epochs": int(history["epoch"].max()),
        "kept": int(kept["epoch"]),
        "knn_accuracy_random": float(first["knn_accuracy"]),
        "knn_accuracy": float(kept["knn_accuracy"]),
    }
    for name in ("select_accuracy", "std", "effective_rank"):
        row[name] = float(kept[name]) if name in history.columns else float("nan")
    return row
