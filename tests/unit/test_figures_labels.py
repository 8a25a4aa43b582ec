"""The figure of accuracy against labels: a line for each setting, a point for each share."""

from pathlib import Path

import pandas as pd
import pytest
from support.figure_texts import texts

from reprise.evaluation.markdown import Missing
from reprise.figures import figures
from reprise.figures.labels import ENDS, labels
from reprise.params.load import Params


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    rows = [
        (f"{setting}{share}", start, tuned, count, score, score - 0.1, score + 0.1)
        for setting, start, tuned, base in (
            ("A", "none", "full model", 0.3), ("C", "byol", "frozen backbone", 0.4),
        )
        for share, count, score in (("25", 240.3, base), ("", 960.0, base + 0.2))
    ]  # fmt: skip
    columns = ["run", "start", "tuned", "labels", "test_accuracy", *ENDS]
    frame = pd.DataFrame(rows, columns=columns)
    (tmp_path / "tables").mkdir()
    frame.to_csv(tmp_path / "tables" / "finetune_earth.csv", index=False)
    return frame


def test_each_setting_has_a_line_through_its_shares(
    table: pd.DataFrame, tmp_path: Path, params: Params
) -> None:
    figure = labels(tmp_path, params, Missing(strict=True), "earth")
    (axes,) = figure.axes
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    assert [list(line.get_ydata()) for line in lines] == [[0.3, 0.5], [0.4, pytest.approx(0.6)]]
    assert [line.get_linestyle() for line in lines] == ["-", "--"]  # frozen: dashed
    assert {"A: none, full model", "C: byol, frozen backbone", "240", "960"} <= set(texts(figure))


def test_it_is_drawn_only_where_a_recipe_has_fewer_labels(params: Params) -> None:
    (task,) = params.finetune
    assert f"labels_{task}" not in figures(params)
    block = params.finetune[task]
    run = block.runs[0]
    fewer = block.recipes[run].model_copy(update={"labels": 0.5})
    changed = block.model_copy(update={"recipes": block.recipes | {run: fewer}})
    assert f"labels_{task}" in figures(params.model_copy(update={"finetune": {task: changed}}))
