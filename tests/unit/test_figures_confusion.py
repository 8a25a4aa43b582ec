"""Figures of confusion matrices."""

from pathlib import Path

import pandas as pd
from support.figure_texts import texts

from reprise.evaluation.markdown import Missing
from reprise.figures.confusion import COLUMNS, confusion
from reprise.figures.style import MAX_PIXELS
from reprise.params.load import Params

STRICT = Missing(strict=True)


def test_a_panel_for_each_run_with_shares_of_the_row(results: Path, params: Params) -> None:
    path = results / "tables" / "confusion.csv"
    table = pd.read_csv(path)
    rows = (table["stage"] == "classify") & (table["task"] == "baseline") & (table["run"] == "cnn")
    table.loc[rows, "count"] = [3, 1, 0, 0, 12_000, 0, 0, 0, 0]
    table.to_csv(path, index=False)
    figure = confusion(results, params, STRICT, "classify", "baseline")
    cnn = next(axes for axes in figure.axes if axes.get_title().startswith("cnn: "))
    titles = [axes.get_title().partition(":")[0] for axes in figure.axes if axes.images]
    assert set(titles) == {"cnn", "big"}
    assert cnn.get_title() == "cnn: accuracy 1.000"  # 12,003 of 12,004
    # the most frequent class first
    assert [text.get_text() for text in cnn.texts] == ["100", "25", "75"]
    labels = [label.get_text() for label in cnn.get_yticklabels()]
    assert labels == ["dry <b>| (12k)", "wet (4)", "cold (0)"]


def test_a_task_of_another_stage_with_the_same_name_stays_apart(
    whole_results: Path, params: Params
) -> None:
    def runs(stage: str) -> set[str]:
        written = texts(confusion(whole_results, params, STRICT, stage, "baseline"))
        return {text.partition(":")[0] for text in written if "accuracy" in text}

    assert "fcn" not in runs("classify") and "fcn" in runs("segment")


def test_a_task_without_results_has_a_figure_that_says_so(
    whole_results: Path, params: Params
) -> None:
    figure = confusion(whole_results, params, STRICT, "classify", "nothing")
    assert texts(figure) == ["No results of classify nothing."]


def test_sixty_five_classes_of_five_runs_are_readable(tmp_path: Path, params: Params) -> None:
    """Each class has a line of its label's height, and the figure its full size in pixels."""
    names = [f"class {number}" for number in range(65)]
    rows = [
        ["finetune", "tiny", run, truth, guess, int(truth == guess)]
        for run in "ABCDE"
        for truth in names
        for guess in names
    ]
    (tmp_path / "tables").mkdir()
    pd.DataFrame(rows, columns=COLUMNS).to_csv(tmp_path / "tables" / "confusion.csv", index=False)
    figure = confusion(tmp_path, params, STRICT, "finetune", "tiny")
    assert 110 * max(figure.get_size_inches()) <= MAX_PIXELS
    figure.draw_without_rendering()
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert len(panels) == 5
    for axes in panels:
        height = axes.get_window_extent().height * 72 / figure.dpi / len(names)  # points
        assert all(label.get_fontsize() <= height for label in axes.get_yticklabels())
        assert len(axes.texts) == 0  # no numbers in cells that are smaller than they are
