"""The calibration error, and its table."""

from pathlib import Path

import numpy as np
import pandas as pd

from reprise.evaluation.calibration import COLUMNS
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.scores import BINS, calibration_error, confidence_bins
from reprise.params.load import Params


def test_bins_have_one_width_and_1_is_in_the_last() -> None:
    edges = np.arange(BINS) / BINS
    assert confidence_bins(edges + 0.05).tolist() == list(range(BINS))
    assert confidence_bins(np.array([0.0, 1.0])).tolist() == [0, BINS - 1]


def test_the_error_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(size=500)
    correct = rng.uniform(size=500) < confidence**2
    expected = 0.0
    for number in range(BINS):
        inside = (confidence >= number / BINS) & (confidence < (number + 1) / BINS)
        expected += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    assert np.isclose(calibration_error(correct, confidence).value, expected, atol=1e-8)


def test_confidences_that_hold_have_no_error_and_certain_mistakes_all() -> None:
    right = np.array([True, False] * 10)
    assert calibration_error(right, np.full(20, 0.5)).value == 0
    assert calibration_error(np.zeros(4, bool), np.ones(4)).value == 1


def test_without_a_group_it_is_that_of_the_other_images() -> None:
    rng = np.random.default_rng(1)
    confidence, correct = rng.uniform(size=60), rng.uniform(size=60) < 0.5
    score = calibration_error(correct, confidence)
    rest = score.columns[10:].sum(axis=0, keepdims=True).astype(float)
    assert np.isclose(
        score.of_sums(rest)[0], calibration_error(correct[10:], confidence[10:]).value
    )


def test_the_table_has_every_prediction_of_every_run(
    evaluated_results: Path, params: Params
) -> None:
    tables = evaluate(evaluated_results, params).tables
    table = tables["calibration"].frame
    assert list(table.columns) == COLUMNS
    for (stage, task, run), rows in table.groupby(["stage", "task", "run"]):
        frame = tables[f"{stage}_{task}"].frame.set_index("run")
        assert rows["predictions"].sum() == frame.loc[run, "n"]
        accuracy = np.average(rows["accuracy"], weights=rows["predictions"])
        assert np.isclose(accuracy, frame.loc[run, "test_accuracy"])
        assert (rows["ece_low"] <= rows["ece"]).all() and (rows["ece"] <= rows["ece_high"]).all()
    assert set(table["stage"]) == {"finetune", "classify"}
    assert isinstance(table, pd.DataFrame)
