"""Readers of what the training jobs wrote, with checks: predictions, label maps and histories."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.atomic_io import read_json
from reprise.csv_io import check_numbers, check_rows, read_csv
from reprise.datasets.prepared import Bytes, Classes, PreparedDataset
from reprise.errors import RepriseError
from reprise.images import open_image

PREDICTIONS = ["id", "split", "label", "prediction", "confidence"]
BEST_EPOCH_COLUMN = "best_epoch_prediction"  # of an ensemble: what its best epoch predicts
# columns of a history: where the job was trained; see Device.machine in training/runtime.py
MACHINE = ["cpu_capability", "device", "precision", "torch", "threads"]
METRICS = {"finetune": "accuracy", "classify": "accuracy", "segment": "miou"}  # by stage
# the score on held-out images that each stage records
SCORE_COLUMNS = {"pretrain": "knn_accuracy"} | {s: f"val_{name}" for s, name in METRICS.items()}


def read_predictions(
    path: Path, dataset: PreparedDataset, extra: Sequence[str] = ()
) -> pd.DataFrame:
    """Read predictions.csv: one row for each image of the splits val and test.

    Returns id, split (str), label, prediction (int64), confidence (float64, 0..1), and the columns
    of class ids `extra` (int64), which must be there.

    Raises RepriseError with the file and the row of a class that is not one of the dataset's, of a
    confidence outside 0..1, or of an image that is unknown, repeated, missing, or has another split
    or label than in index.csv.
    """
    table = read_csv(path, [*PREDICTIONS, *extra])
    classes = len(dataset.classes.names)
    for column in ("label", "prediction", *extra):
        check_numbers(path, table, column, 0, classes - 1, integer=True)
    missing_value = table["confidence"].isna()
    check_rows(path, table, "confidence", missing_value, "must be between 0 and 1")
    check_numbers(path, table, "confidence", 0, 1)
    check_rows(path, table, "id", table["id"].duplicated(), "the image has two rows")
    index = dataset.index.set_index("id")
    again = "run the stage again on this dataset"
    unknown = ~table["id"].isin(index.index)
    check_rows(path, table, "id", unknown, f"not in the dataset; {again}")
    for column in ("split", "label"):
        if column in index.columns:
            differs = table[column].to_numpy() != index[column].reindex(table["id"]).to_numpy()
            check_rows(path, table, column, differs, f"differs from index.csv; {again}")
    held_out = index.index[index["split"] != "train"]
    missing = held_out.difference(pd.Index(table["id"]))
    if len(missing):
        raise RepriseError(
            f"{path}: no prediction for image '{missing[0]}' ({len(missing)} missing); {again}"
        )
    return table[[*PREDICTIONS, *extra]]


def read_mask(path: Path, shape: tuple[int, ...], classes: Classes) -> Bytes:
    """Read one predicted label map, a PNG of mode L whose values are class ids: (H, W) uint8.

    Raises RepriseError when the file is missing, cannot be decoded, has another size than the
    truth, or holds an id that is not a class.
    """
    image = open_image(path, "run the stage that predicts it again")
    if image.mode != "L":
        raise RepriseError(
            f"{path}: mode {image.mode}; a label map is a grayscale PNG (mode L) of class ids"
        )
    mask = np.asarray(image, np.uint8)
    if mask.shape != shape:
        raise RepriseError(
            f"{path}: {mask.shape[1]} x {mask.shape[0]} pixels, the truth has "
            f"{shape[1]} x {shape[0]}; predict it again"
        )
    if mask.max(initial=0) >= len(classes.names):
        raise RepriseError(
            f"{path}: class id {mask.max()}; the classes are 0 to {len(classes.names) - 1}"
        )
    return mask


def read_shown_matrices(folder: Path, classes: Classes) -> dict[str, NDArray[np.int64]]:
    """Confusion matrices of the test split at the shown epochs, rows = truth, by their names.

    Each is (classes + 1, classes + 1): the last row is of pixels whose truth is ignored (see
    `with_ignored_row` in metrics/courses.py). Read from a job's masks/test_confusion.json. Raises
    RepriseError when the file is missing or has another form.
    """
    path, count = folder / "test_confusion.json", len(classes.names) + 1
    matrices = {}
    for name, rows in read_json(path).items():
        matrix = np.array(rows) if isinstance(rows, list) else np.zeros(0)
        if matrix.shape != (count, count) or matrix.dtype.kind != "i" or matrix.min() < 0:
            raise RepriseError(
                f"{path}: {name}: must be {count} x {count} counts of pixels; train again"
            )
        matrices[name] = matrix.astype(np.int64)
    return matrices


def read_history(path: Path, stage: str) -> pd.DataFrame:
    """Read the history.csv of a job of this stage.

    Its column `score` is that of SCORE_COLUMNS; `selected` is 1 in the epoch whose weights were
    saved (the marked one, else the last) and 0 in the others.

    Raises RepriseError when there is no epoch, a number is not finite or outside its range, the
    epochs do not ascend, or not one epoch is marked.
    """
    columns = ["epoch", "train_loss", SCORE_COLUMNS[stage]]
    # the network before a pretraining is not selected; BYOL selects none of its epochs
    selects = ["selected"] if stage != "pretrain" else []
    history = read_csv(path, [*columns, *selects])
    if history.empty:
        raise RepriseError(f"{path}: has no epoch; run the stage again")
    check_numbers(path, history, "epoch", 0, 1e6, integer=True)
    check_numbers(path, history, "train_loss", -1e30, 1e30)
    check_numbers(path, history, columns[-1], 0, 1)
    epochs = history["epoch"]
    if not (
        stage == "pretrain" and epochs.tolist() == [0, 0]
    ):  # published weights, before and after
        check_rows(path, history, "epoch", epochs.diff() <= 0, "not after the one before it")
    needed = ["train_loss"] if stage == "pretrain" else columns[1:]
    missing = history[needed].isna().any(axis=1) & (epochs > 0)
    check_rows(path, history, "epoch", missing, f"has no {' or no '.join(needed)}")
    selected = np.arange(len(history)) == len(history) - 1
    if "selected" in history.columns:
        selected = (history["selected"] == 1).to_numpy()
    if selected.sum() != 1:
        raise RepriseError(
            f"{path}: {selected.sum()} epochs are marked selected; exactly one must be"
        )
    return history.assign(score=history[columns[-1]], selected=selected.astype(int))


def machine_counts(histories: Iterable[pd.DataFrame | None]) -> dict[str, dict[str, int]]:
    """How many jobs were trained with each value of MACHINE: {"threads": {"1": 27}, ...}.

    A history without these columns, of an earlier version, does not count.
    """
    rows = [
        history[MACHINE].iloc[-1].astype(str)
        for history in histories
        if history is not None and set(MACHINE) <= set(history.columns)
    ]
    table = pd.DataFrame(rows, columns=MACHINE)
    counts = {name: table[name].value_counts().sort_index() for name in MACHINE}
    return {name: {str(value): int(n) for value, n in one.items()} for name, one in counts.items()}
