"""Training histories."""

from pathlib import Path

import numpy as np
import pandas as pd
from support.figure_texts import texts

from reprise.evaluation.markdown import Missing
from reprise.figures.curves import curves
from reprise.jobs import tasks
from reprise.params.load import Params


def test_every_task_and_run_is_in_the_curves(whole_results: Path, params: Params) -> None:
    written = texts(curves(whole_results, params, Missing(strict=True)))
    for stage, task, block in tasks(params):
        assert f"{stage} {task}" in written
        assert set(block.runs) <= set(written)


def test_the_selected_epoch_is_marked_in_the_curves(whole_results: Path, params: Params) -> None:
    path = whole_results / "classify" / "baseline" / "cnn" / "0" / "history.csv"
    history = pd.read_csv(path)
    selected = history.loc[history["selected"] == 1].iloc[0]
    axes = curves(whole_results, params, Missing(strict=True)).axes[5]  # third row, right
    rings = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o"]  # type: ignore[index]
    expected = [selected["epoch"], selected["val_accuracy"]]
    assert any(np.allclose(ring, expected) for ring in rings)


def test_a_missing_history_is_named_and_the_rest_is_drawn(results: Path, params: Params) -> None:
    (results / "classify/baseline/cnn/0/history.csv").unlink()
    missing = Missing()
    written = texts(curves(results, params, missing))
    assert "cnn: missing" in written and {"big", "scratch", "fcn"} <= set(written)
    assert len(missing.reasons()) == 1 and "cnn/0/history.csv: not found" in missing.reasons()[0]
