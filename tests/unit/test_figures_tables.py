"""Bars, and dots with intervals, from tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from support.figure_texts import texts

from reprise.evaluation.markdown import Missing
from reprise.figures.calibration import calibration
from reprise.figures.comparisons import NO_VERDICT, NOT_SIGNIFICANT, SIGNIFICANT, comparisons
from reprise.figures.published import published_numbers
from reprise.figures.style import draw
from reprise.figures.tables import convergence, finetune, iou
from reprise.params.load import Params

STRICT = Missing(strict=True)


def test_every_run_has_its_mean_and_every_seed_and_the_constant_prediction_a_line(
    whole_results: Path, params: Params
) -> None:
    axes = finetune(whole_results, params, STRICT, "tiny").axes[0]
    table = pd.read_csv(whole_results / "tables" / "finetune_tiny.csv")
    seeds = [line for line in axes.lines if line.get_marker() == "|"]
    assert [len(line.get_ydata()) for line in seeds] == [3] * 5  # type: ignore[arg-type]
    means = [line for line in axes.lines if line.get_marker() == "o"]
    values = [line.get_xdata()[0] for line in means]  # type: ignore[index]
    assert np.allclose(values, table["test_accuracy"])
    (constant,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert np.allclose(np.asarray(constant.get_xdata(), float), table["constant"].iloc[0])


def test_a_run_is_calibrated_on_the_line_and_few_predictions_are_hollow(
    results: Path, params: Params
) -> None:
    path = results / "tables" / "calibration.csv"
    table = pd.read_csv(path)
    first = (table["stage"] + table["task"] + table["run"]).eq("finetunetinyA")
    table.loc[first, "accuracy"] = table.loc[first, "confidence"]
    table.loc[first, "predictions"] = 3
    table.to_csv(path, index=False)
    axes = calibration(results, params, STRICT).axes[0]
    diagonal, line, hollow = axes.lines[:3]
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert np.array_equal(line.get_xdata(), line.get_ydata())
    assert hollow.get_markerfacecolor() == "white"
    assert len(hollow.get_xdata()) == len(line.get_xdata())  # type: ignore[arg-type]


def test_a_dollar_sign_in_a_name_is_drawn_as_it_is(results: Path, params: Params) -> None:
    path = results / "tables" / "class_iou.csv"
    path.write_text(path.read_text().replace("urban", "$urban$_{"))
    assert any(text.startswith("$urban$_{") for text in texts(iou(results, params, STRICT)))
    draw("iou", results, params)


def test_runs_with_merged_classes_have_their_own_panel(whole_results: Path, params: Params) -> None:
    panels = iou(whole_results, params, STRICT).axes
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == [
        "segment baseline: 3 classes", "segment skips: 4 classes", "segment skips: 3 classes",
    ]  # fmt: skip


def test_every_training_run_has_a_line_that_ends_at_its_last_epoch(
    whole_results: Path, params: Params
) -> None:
    axes = convergence(whole_results, params, STRICT).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:3] == ["pretrain tiny byol", "pretrain tiny supervised", "finetune tiny A"]
    bars = [line for line in axes.lines if line.get_linewidth() == 4]
    table = pd.read_csv(whole_results / "tables" / "convergence.csv")
    assert len(bars) == len(names) == len(table.groupby(["stage", "task", "run"]))
    assert [bar.get_xdata()[1] for bar in bars][:3] == [6, 6, 12]  # type: ignore[index]


def test_tables_without_rows_have_a_figure_that_says_so(results: Path, params: Params) -> None:
    for name in ("class_iou", "convergence", "finetune_tiny"):
        path = results / "tables" / f"{name}.csv"
        pd.read_csv(path).head(0).to_csv(path, index=False)
    assert texts(iou(results, params, STRICT)) == ["No segmentation results."]
    assert texts(convergence(results, params, STRICT)) == ["No training runs in params.yaml."]
    assert texts(finetune(results, params, STRICT, "tiny")) == ["No results of finetune tiny."]


def test_every_named_pair_is_a_row_and_a_filled_dot_is_significant(
    results: Path, params: Params
) -> None:
    path = results / "tables" / "comparisons.csv"
    table = pd.read_csv(path)
    assert table["no_verdict"].notna().any()  # of single seeds
    table.loc[0, "significant"] = not table.loc[0, "significant"]
    table.to_csv(path, index=False)
    (axes,) = comparisons(results, params, STRICT).axes
    rows = table[table["named"] == 1].reset_index()
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) == len(rows)
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    by_name = {name: dot for name, dot in zip(names, dots, strict=True)}
    for row in rows.to_dict("records"):
        pair = f"{row['a']} \u2212 {row['b']}"
        task = f"{row['task']}, "
        (name,) = [n for n in names if n.endswith(pair) and (n.startswith(task) or "?" in n)]
        dot = by_name[name]
        assert np.isclose(dot.get_xdata()[0], 100 * row["difference"])  # type: ignore[index]
        assert (dot.get_markerfacecolor() != "white") == bool(row["significant"])
        color = SIGNIFICANT if row["significant"] else NOT_SIGNIFICANT
        color = color if pd.isna(row["no_verdict"]) else NO_VERDICT
        assert dot.get_markeredgecolor() == color


def test_every_seed_of_a_pair_is_a_tick_at_its_difference(
    whole_results: Path, params: Params
) -> None:
    axes = comparisons(whole_results, params, STRICT).axes[0]
    ticks = [line for line in axes.lines if line.get_marker() == "|"]
    table = pd.read_csv(whole_results / "tables" / "answers.csv")
    seeds = pd.read_csv(whole_results / "tables" / "seeds.csv")
    first = table[table["stage"] == "finetune"].iloc[0]
    scores = seeds[seeds["stage"] == "finetune"].pivot(index="seed", columns="run", values="test")
    expected = 100 * (scores[first["a"]] - scores[first["b"]])
    assert np.allclose(np.asarray(ticks[0].get_xdata(), float), expected)


def test_every_homework_has_a_panel_and_numbers_of_epochs_are_left_out(
    whole_results: Path, params: Params
) -> None:
    table = pd.read_csv(whole_results / "tables" / "published_numbers.csv")
    figure = published_numbers(whole_results, params, STRICT)
    titles = [axes.get_title(loc="left") for axes in figure.axes[::2]]
    assert titles == list(dict.fromkeys(table["homework"]))
    shares = table[table["value"] <= 1]
    dots = [
        line
        for axes in figure.axes
        for line in axes.lines
        if line.get_marker() == "D" and len(line.get_xdata())
    ]
    assert 0 < len(dots) <= len(shares)
    assert all(dot.get_xdata()[0] <= 1 for dot in dots)  # type: ignore[index]


def test_numbers_on_other_images_have_their_own_axis(results: Path, params: Params) -> None:
    path = results / "tables" / "published_numbers.csv"
    table = pd.read_csv(path)
    assert not table["same_data"].any()
    axes = published_numbers(results, params, STRICT).axes

    def rings(panel: Any) -> int:
        return sum(line.get_marker() == "o" for line in panel.lines)

    assert sum(map(rings, axes[::2])) == 0 and sum(map(rings, axes[1::2])) > 0
    table.assign(same_data=1).to_csv(path, index=False)
    axes = published_numbers(results, params, STRICT).axes
    assert sum(map(rings, axes[::2])) > 0 and sum(map(rings, axes[1::2])) == 0


def test_no_two_published_numbers_of_a_homework_have_one_name(
    whole_results: Path, params: Params
) -> None:
    for axes in published_numbers(whole_results, params, STRICT).axes[::2]:
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert len(names) == len(set(names))


def test_without_a_pair_the_figure_says_so(results: Path, params: Params) -> None:
    path = results / "tables" / "comparisons.csv"
    pd.read_csv(path).head(0).to_csv(path, index=False)
    assert texts(comparisons(results, params, STRICT)) == ["No task has two runs to compare."]
