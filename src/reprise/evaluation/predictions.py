"""Readers of what the models answered; every answer is checked before it is counted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from reprise.errors import RepriseError
from reprise.evaluation.prepared import Labels, Prepared, read_table

COLUMNS = ["id", "role", "label", "prediction", "confidence"]


def read_predictions(path: Path, prepared: Prepared, answers: Sequence[str] = ()) -> pd.DataFrame:
    """Read predictions.csv: one row for each image of the roles select and report.

    Args:
        path: predictions.csv of a job.
        prepared: the data set that it answers.
        answers: further columns of classes that must be there.

    Returns:
        Columns id (str), role (str), label, prediction (int64), confidence (float64, 0..1), and
        `answers` (int64).

    Raises:
        RepriseError: names the file and the row of a class that is not one of the data set's, of a
            confidence outside 0..1, or of an image that is unknown, doubled, missing, or has
            another role or label than in index.csv.
    """
    table = read_table(path, [*COLUMNS, *answers])
    classes = len(prepared.labels.names)
    for column in ("label", "prediction", *answers):
        values = pd.to_numeric(table[column], errors="coerce")
        _refuse(
            path, table, column, ~values.isin(range(classes)), f"the classes are 0 to {classes - 1}"
        )
        table[column] = values.astype(np.int64)
    confidence = pd.to_numeric(table["confidence"], errors="coerce")
    _refuse(path, table, "confidence", ~confidence.between(0, 1), "it must be in 0 to 1")
    _refuse(path, table, "id", table["id"].duplicated(), "it stands there twice")
    _agrees(path, table, prepared)
    return table[[*COLUMNS, *answers]]


def _agrees(path: Path, table: pd.DataFrame, prepared: Prepared) -> None:
    """The images and their roles and labels are those of the prepared set, all of them."""
    index = prepared.index.set_index("id")
    again = "run the stage again on this data set"
    _refuse(path, table, "id", ~table["id"].isin(index.index), f"not in the data set; {again}")
    roles = index["role"].reindex(table["id"]).to_numpy()
    _refuse(
        path, table, "role", table["role"].to_numpy() != roles, f"not that of index.csv; {again}"
    )
    if "label" in index.columns:
        labels = index["label"].reindex(table["id"]).to_numpy()
        wrong = table["label"].to_numpy() != labels
        _refuse(path, table, "label", wrong, f"not that of index.csv; {again}")
    wanted = index.index[index["role"].isin(["select", "report"])]
    missing = wanted.difference(pd.Index(table["id"]))
    if len(missing):
        raise RepriseError(
            f"{path}: no prediction for image '{missing[0]}' ({len(missing)} missing); {again}"
        )


def _refuse(
    path: Path, table: pd.DataFrame, column: str, wrong: pd.Series | NDArray[np.bool_], why: str
) -> None:
    rows = np.flatnonzero(np.asarray(wrong))
    if len(rows):
        # row 1 of the file is the header, so the first image stands in row 2
        value = table[column].iloc[rows[0]]
        raise RepriseError(f"{path}: row {rows[0] + 2}: {column} '{value}': {why}")


def read_mask(path: Path, shape: tuple[int, int], labels: Labels) -> NDArray[np.uint8]:
    """Read one predicted label map.

    Args:
        path: PNG of mode L whose values are class ids.
        shape: (H, W) of the truth.
        labels: the declared classes.

    Returns:
        (H, W) uint8.

    Raises:
        RepriseError: names the file when it is missing, cannot be decoded, has another size than
            the truth, or holds an id that is not declared.
    """
    try:
        with Image.open(path) as image:
            mode, mask = image.mode, np.asarray(image)
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; run the stage that predicts it again") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise RepriseError(f"{path}: cannot be decoded ({error}); predict it again") from None
    if mode != "L":
        raise RepriseError(f"{path}: mode {mode}; a label map is a grey PNG (mode L) of class ids")
    if mask.shape != shape:
        raise RepriseError(
            f"{path}: {mask.shape[1]} x {mask.shape[0]} pixels, "
            f"the truth is {shape[1]} x {shape[0]}; predict it again"
        )
    if mask.max(initial=0) >= len(labels.names):
        raise RepriseError(
            f"{path}: class id {mask.max()}; the declared classes are 0 to {len(labels.names) - 1}"
        )
    return mask.astype(np.uint8)
