"""Reading csv files with checks that name the file, the row and the column."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.atomic_io import check_file
from reprise.errors import RepriseError


def read_csv(path: Path, columns: Sequence[str], text_columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a csv file, `id` and `text_columns` as text; an empty cell of a text column is "".

    Raises RepriseError when the file is missing or not a csv file, or lacks one of `columns`.
    """
    check_file(path, "run the stage that writes it first")
    try:
        # a class or a run may be named "none" or "NA"; only an empty cell is a missing value
        dtypes = dict.fromkeys(["id", *text_columns], str)
        table = pd.read_csv(path, dtype=dtypes, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:  # the latter: no rows, ragged rows, not UTF-8
        raise RepriseError(f"{path}: not a readable csv file: {error}") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise RepriseError(
            f"{path}: column '{missing[0]}' is missing; the file needs {', '.join(columns)}"
        )
    return table.fillna(dict.fromkeys(text_columns, "")) if text_columns else table


def check_rows(
    path: Path, table: pd.DataFrame, column: str, wrong: pd.Series | NDArray[np.bool_], reason: str
) -> None:
    """Raise RepriseError for the first row of `table` where `wrong`, (rows,) bool, is true.

    table: the content of the file at `path`, in its order. column: whose value is quoted. reason:
    what is wrong with the value, or what to do.
    """
    rows = np.flatnonzero(np.asarray(wrong))
    if len(rows):
        # row 1 of the file is the header
        value = table[column].iloc[rows[0]]
        raise RepriseError(f"{path}: row {rows[0] + 2}: {column} '{value}': {reason}")


def check_numbers(
    path: Path, table: pd.DataFrame, column: str, low: float, high: float, integer: bool = False
) -> None:
    """Make a column float64, or int64 if `integer`; an empty cell is NaN unless `integer`.

    Raises RepriseError for the first cell that is not a finite number from `low` to `high`.
    """
    values = pd.to_numeric(table[column], errors="coerce").astype(np.float64)
    wrong = ~values.between(low, high) | ~np.isfinite(values)
    wrong = wrong | (values % 1 != 0) if integer else wrong & table[column].notna()
    kind = "whole" if integer else "finite"
    check_rows(path, table, column, wrong, f"must be a {kind} number from {low:g} to {high:g}")
    table[column] = values.astype(np.int64) if integer else values
