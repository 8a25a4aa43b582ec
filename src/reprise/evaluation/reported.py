"""The numbers that the five reports print and those of other public solutions, from two csv files.

workflow/reported/numbers.csv has a row for each number: the report, where it stands in it, the
part, the run of presets/course.yaml that rebuilds it (`recipe`), the run of presets/earth.yaml that
asks the same question of other images (`stands_in`, empty for none), the layout of the course's
data, the metric, the value and its n; `setting` is that of fine-tuning, or the class whose IoU it
is. workflow/reported/others.csv has a row for each number of
another solution; its column `others` is named in numbers.csv.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from reprise.errors import RepriseError
from reprise.evaluation.prepared import read_table

REPORTED = Path("workflow/reported")
TEXTS = ["report", "source", "part", "recipe", "setting", "stands_in", "layout", "metric"]
TEXTS += ["others", "note"]
PARTS = ("finetune", "classify", "faces", "segment", "street")
OF_CLASS = "iou_cs6550"  # of one class
EPOCHS = ("near_best", "kept")  # numbers of epochs; every other metric is a share of 0..1
METRICS = {
    "accuracy": "accuracy",
    "miou_dlcv": "mIoU",
    "miou_cs6550": "mIoU, image by image",
    "iou_cs6550": "IoU, image by image",
    "pixel_accuracy_cs6550": "pixel accuracy",
    "early_miou": "mIoU, early epoch",
    "middle_miou": "mIoU, middle epoch",
    "near_best": "epochs to converge",
    "kept": "best epoch",
}


def read_numbers(folder: Path) -> pd.DataFrame:
    """numbers.csv: TEXTS as text, value (float64), n (int64).

    Raises:
        RepriseError: names the file and the row of a part or metric that does not exist, of a value
            that is none, or of an accuracy that is not k of n.
    """
    path = folder / "numbers.csv"
    table = _read(path, [*TEXTS, "value", "n"], TEXTS)
    _refuse(path, table, "part", ~table["part"].isin(PARTS), f"use one of {', '.join(PARTS)}")
    known = table["metric"].isin(list(METRICS))
    _refuse(path, table, "metric", ~known, f"use one of {', '.join(METRICS)}")
    value = pd.to_numeric(table["value"], errors="coerce")
    n = pd.to_numeric(table["n"], errors="coerce")
    share = ~table["metric"].isin(EPOCHS)
    _refuse(path, table, "value", ~(value >= 0) | (share & (value > 1)), "it must be in 0 to 1")
    _refuse(path, table, "n", ~((n >= 1) & (n % 1 == 0)), "it must be a number of images")
    correct = value * n
    # printed with four digits or as per cent with two: half of the last one, of n
    odd = (table["metric"] == "accuracy") & ((correct - correct.round()).abs() > 0.00006 * n)
    _refuse(path, table, "value", odd, "no whole number of its n images gives it")
    return table.assign(value=value.astype(np.float64), n=n.astype(np.int64))


def read_others(folder: Path) -> pd.DataFrame:
    """others.csv: others (str), value (float64, 0..1). Raises RepriseError as `read_numbers`."""
    path = folder / "others.csv"
    table = _read(path, ["others", "year", "value", "note"], ["others", "note"])
    value = pd.to_numeric(table["value"], errors="coerce")
    _refuse(path, table, "value", ~value.between(0, 1), "it must be in 0 to 1")
    return table.assign(value=value.astype(np.float64))[["others", "value"]]


def _read(path: Path, columns: list[str], texts: list[str]) -> pd.DataFrame:
    if not path.is_file():
        raise RepriseError(f"{path}: not found; `git checkout {path}` brings it back")
    return read_table(path, columns, texts)


def _refuse(path: Path, table: pd.DataFrame, column: str, wrong: pd.Series, why: str) -> None:
    rows = np.flatnonzero(np.asarray(wrong))
    if len(rows):
        value = table[column].iloc[rows[0]]
        raise RepriseError(f"{path}: row {rows[0] + 2}: {column} '{value}': {why}")
