"""Bars, and dots with intervals, from tables."""

from pathlib import Path

import numpy as np
import pandas as pd
from support.figure_texts import texts

from reprise.evaluation.markdown import Missing
from reprise.figures.style import draw
from reprise.figures.tables import (
    NO_VERDICT,
    NOT_SIGNIFICANT,
    SIGNIFICANT,
    comparisons,
    convergence,
    finetune,
    iou,
    published_numbers,
)
from reprise.params.load import Params

STRICT = Missing(strict=True)


def test_every_seed_is_a_ring_above_its_run(whole_results: Path, params: Params) -> None:
    axes = finetune(whole_results, params, STRICT, "tiny").axes[0]
    rings = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_ydata()) for line in rings] == [3] * 5  # type: ignore[arg-type]
    assert len(axes.patches) == 5


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


def test_every_pair_is_a_row_and_a_filled_dot_is_significant(results: Path, params: Params) -> None:
    path = results / "tables" / "comparisons.csv"
    table = pd.read_csv(path)
    assert table["no_verdict"].notna().any()  # of single seeds
    table.loc[0, "significant"] = not table.loc[0, "significant"]
    table.to_csv(path, index=False)
    figure = comparisons(results, params, STRICT)
    tasks = list(table.groupby(["stage", "task"], sort=False))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [" ".join(k) for k, _ in tasks]
    for axes, (_, rows) in zip(figure.axes, tasks, strict=True):
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == (rows["a"] + " - " + rows["b"]).tolist()
        dots = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
        assert np.allclose([dot.get_xdata()[0] for dot in dots], 100 * rows["difference"])  # type: ignore[index]
        for dot, row in zip(dots, rows.to_dict("records"), strict=True):
            filled = dot.get_markerfacecolor() != "white"
            assert filled == bool(row["significant"])
            color = SIGNIFICANT if row["significant"] else NOT_SIGNIFICANT
            color = color if pd.isna(row["no_verdict"]) else NO_VERDICT
            assert dot.get_markeredgecolor() == color


def test_every_seed_of_a_pair_is_a_tick_at_its_difference(
    whole_results: Path, params: Params
) -> None:
    axes = comparisons(whole_results, params, STRICT).axes[0]
    ticks = [line for line in axes.lines if line.get_marker() == "|" and len(line.get_xdata()) > 1]
    table = pd.read_csv(whole_results / "tables" / "comparisons.csv")
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
    titles = [axes.get_title(loc="left") for axes in figure.axes]
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


def test_without_a_pair_the_figure_says_so(results: Path, params: Params) -> None:
    path = results / "tables" / "comparisons.csv"
    pd.read_csv(path).head(0).to_csv(path, index=False)
    assert texts(comparisons(results, params, STRICT)) == ["No task has two runs to compare."]
