"""Readers of history.csv, the record of a training job: one row an epoch."""

from pathlib import Path

import pandas as pd

from reprise.errors import RepriseError
from reprise.evaluation.prepared import read_table


def read_history(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read a history.csv that has `epoch` and at least `columns`. Raises RepriseError."""
    history = read_table(path, ["epoch", *columns])
    if history.empty:
        raise RepriseError(f"{path}: no epoch in it; run the stage again")
    for column in ("epoch", *columns):
        if not pd.api.types.is_numeric_dtype(history[column]):
            raise RepriseError(f"{path}: column '{column}' holds more than numbers; run it again")
    return history


def chosen(history: pd.DataFrame, path: Path) -> int:
    """Position of the epoch whose weights were kept: the selected one, else the last.

    Raises:
        RepriseError: the column `selected` does not mark exactly one row.
    """
    if "selected" not in history.columns:
        return len(history) - 1
    rows = [i for i, mark in enumerate(history["selected"].tolist()) if mark == 1]
    if len(rows) != 1:
        raise RepriseError(f"{path}: {len(rows)} epochs are marked selected; exactly one must be")
    return rows[0]
