"""The readers of predictions and masks name what is wrong."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reprise.datasets.prepared import Classes, PreparedDataset, read_prepared
from reprise.errors import RepriseError
from reprise.evaluation.job_outputs import (
    MACHINE,
    machine_counts,
    read_history,
    read_mask,
    read_predictions,
)

CLASSES = Classes(("urban", "forest", "water"), (), None)
PREDICTIONS = "classify/baseline/cnn/0/predictions.csv"


def dataset(results: Path, name: str) -> PreparedDataset:
    return read_prepared(results / "prepare" / name)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("prediction", "9", r"predictions\.csv: row 4: prediction '9': must be .* from 0 to 2"),
        ("prediction", "-1", "row 4: prediction '-1'"),
        ("prediction", "cat", "row 4: prediction 'cat'"),
        ("prediction", "1.5", "row 4: prediction '1.5'"),
        ("prediction", "", "row 4: prediction 'nan'"),
        ("label", "7", "row 4: label '7'"),
        ("confidence", "1.2", "row 4: confidence '1.2'"),
        ("id", "0006", "row 4: id '0006': the image has two rows"),
        ("id", "9999", "row 4: id '9999': not in the dataset"),
        ("split", "test", "row 4: split 'test': differs from index.csv"),
    ],
)
def test_a_wrong_prediction_is_named_by_file_and_row(
    evaluated: Path, column: str, value: str, message: str
) -> None:
    path = evaluated / PREDICTIONS
    table = pd.read_csv(path, dtype=str)
    table.loc[2, column] = value
    table.to_csv(path, index=False)
    with pytest.raises(RepriseError, match=message):
        read_predictions(path, dataset(evaluated, "zones"))


def test_a_label_that_differs_from_the_dataset_is_refused(evaluated: Path) -> None:
    path = evaluated / PREDICTIONS
    table = pd.read_csv(path, dtype={"id": str})
    table.loc[0, "label"] = (table.loc[0, "label"] + 1) % 3
    table.to_csv(path, index=False)
    with pytest.raises(RepriseError, match=r"row 2: label .*: differs from index\.csv"):
        read_predictions(path, dataset(evaluated, "zones"))


def test_an_image_without_a_prediction_is_named(evaluated: Path) -> None:
    path = evaluated / PREDICTIONS
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-2]) + "\n")
    with pytest.raises(RepriseError, match=r"no prediction for image '0022' \(2 missing\)"):
        read_predictions(path, dataset(evaluated, "zones"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not found"),
        ("", "not a readable csv file"),
        ("id,split\n", "column 'label' is missing"),
        (b"\xff\xfe\x00", "not a readable csv file"),
    ],
)
def test_an_unreadable_predictions_file_is_named(
    evaluated: Path, content: str | bytes | None, message: str
) -> None:
    path = evaluated / PREDICTIONS
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RepriseError, match=rf"predictions\.csv: {message}"):
        read_predictions(path, dataset(evaluated, "zones"))


def test_a_mask_is_read_as_it_was_written(tmp_path: Path) -> None:
    mask = np.array([[0, 1], [2, 0]], np.uint8)
    Image.fromarray(mask).save(tmp_path / "0001.png")
    assert np.array_equal(read_mask(tmp_path / "0001.png", (2, 2), CLASSES), mask)


def test_a_missing_mask_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepriseError, match=r"0001\.png: not found"):
        read_mask(tmp_path / "0001.png", (2, 2), CLASSES)


@pytest.mark.parametrize("keep", [0, 10, 50])
def test_a_mask_that_cannot_be_decoded_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "0001.png"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RepriseError, match=r"0001\.png: cannot be decoded as an image"):
        read_mask(path, (64, 64), CLASSES)


def test_a_mask_of_another_size_than_the_truth_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(tmp_path / "0001.png")
    with pytest.raises(RepriseError, match=r"0001\.png: 3 x 2 pixels, the truth has 2 x 2"):
        read_mask(tmp_path / "0001.png", (2, 2), CLASSES)


def test_a_mask_with_an_unknown_class_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 3, np.uint8)).save(tmp_path / "0001.png")
    with pytest.raises(RepriseError, match=r"0001\.png: class id 3; .* 0 to 2"):
        read_mask(tmp_path / "0001.png", (2, 2), CLASSES)


def test_a_colored_mask_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "0001.png")
    with pytest.raises(RepriseError, match="mode RGB"):
        read_mask(tmp_path / "0001.png", (2, 2), CLASSES)


def test_machines_are_counted_as_the_histories_say(evaluated: Path) -> None:
    def history(seed: int) -> pd.DataFrame:
        return read_history(evaluated / f"finetune/tiny/A/{seed}/history.csv", "finetune")

    path = evaluated / "finetune/tiny/A/1/history.csv"
    pd.read_csv(path).assign(threads=2, precision="bfloat16").to_csv(path, index=False)
    old = history(2).drop(columns="torch")  # of an earlier version
    counts = machine_counts([history(0), None, history(1), old])
    assert counts["threads"] == {"1": 1, "2": 1}
    assert counts["precision"] == {"bfloat16": 1, "float32": 1}
    assert counts["torch"] == {"2.15.0": 2}
    assert machine_counts([None]) == {name: {} for name in MACHINE}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("train_loss", "inf", r"row 4: train_loss 'inf': must be a finite number"),
        ("train_loss", "", "row 4: epoch '3': has no train_loss"),
        ("val_accuracy", "", "row 4: epoch '3': has no train_loss or no val_accuracy"),
        ("val_accuracy", "-1", r"row 4: val_accuracy '-1.0': must be a finite number from 0 to 1"),
        ("epoch", "2", "row 4: epoch '2': not after the one before it"),
        ("epoch", "1.5", r"row 4: epoch '1.5': must be a whole number"),
        ("selected", "1", "2 epochs are marked selected; exactly one must be"),
        ("selected", None, "column 'selected' is missing"),
    ],
)
def test_a_wrong_number_of_a_history_is_named(
    evaluated: Path, column: str, value: str | None, message: str
) -> None:
    path = evaluated / "classify/baseline/cnn/0/history.csv"
    table = pd.read_csv(path, dtype=str)
    table["selected"] = ["1", *["0"] * (len(table) - 1)]
    table.loc[2, column] = value
    table = table.drop(columns=column) if value is None else table
    table.to_csv(path, index=False)
    with pytest.raises(RepriseError, match=rf"history\.csv: {message}"):
        read_history(path, "classify")
