"""Promises of a run that is missing: the rest is judged without it, and each hole is marked."""

import logging
import runpy
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_results import fake_params

from reprise.errors import RepriseError
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.holes import MARK, Holes, summary
from reprise.evaluation.resampling import measure_accuracy
from reprise.figures.report import report
from reprise.params import Params

ROOT = Path(__file__).parents[2]


def called(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit status of a script of the workflow over the configuration of the tests."""
    monkeypatch.setattr("sys.argv", [f"{name}.py", *arguments])
    monkeypatch.setattr("reprise.params.load_params", lambda _: fake_params())
    try:
        runpy.run_path(str(ROOT / "workflow" / "scripts" / f"{name}.py"), run_name="__main__")
    except SystemExit as ended:
        return int(str(ended.code))
    return 0


@pytest.mark.parametrize(
    ("lost", "spoil"),
    [
        ("classify/big/0/predictions.csv", "missing"),
        ("classify/big/0/predictions.csv", "unreadable"),
        ("finetune/tiny/A/0/predictions.csv", "missing"),
        ("faces/scratch/0/predictions.csv", "unreadable"),
        ("segment/fcn/0/predictions", "missing"),
        ("street/skip/0/predictions/0012.png", "unreadable"),
        ("finetune/tiny/C/1/history.csv", "missing"),
        ("pretrain/tiny/byol/history.csv", "unreadable"),
    ],
)
def test_the_tables_the_figures_and_the_page_mark_a_missing_run_and_have_the_rest(
    results: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    lost: str, spoil: str,
) -> None:  # fmt: skip
    before = {path.name: path.read_text() for path in (results / "tables").glob("*.md")}
    path = results / lost
    if spoil == "unreadable":
        path.write_bytes(b"\x00\x01 not this,\n")
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    # the line that every command ends with names the file, and is the only error
    assert called("evaluate", monkeypatch, "--results", str(results)) == 1
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert str(path) in record.message and "the rest is in" in record.message
    marked = {p.name for p in (results / "tables").glob("*.md") if MARK in p.read_text()}
    part = lost.split("/")[0]
    history = path.name == "history.csv"
    assert marked >= ({"epochs.md"} if history else {f"{part}.md", "seeds.md", "pairs.md"})
    for name in before.keys() - marked:
        assert (results / "tables" / name).read_text() == before[name]
    others = [p for p in fake_params().stages if p != part]
    assert not {f"{p}.md" for p in others} & marked
    for figure in ("curves", f"mistakes_{part}") if part in ("classify", "finetune") else ():
        code = called("plot", monkeypatch, "--results", str(results), "--figures", figure)
        first = part == "classify" or "/0/" in lost  # pictures are of the first seed
        assert code == int(history if figure == "curves" else first and not history)
    page = results / "report.html"
    out = ["--results", str(results), "--out", str(page)]
    assert called("report", monkeypatch, *out) == 1
    assert f"Missing here: {path}" in page.read_text()


def test_a_setting_without_all_its_seeds_is_scored_and_compared_with_none(
    results: Path, params: Params
) -> None:
    (results / "finetune" / "tiny" / "A" / "0" / "predictions.csv").unlink()
    whole = evaluate_of(results, params)
    pairs = whole["pairs"].frame
    assert not (pairs[["first", "second"]] == "A").any(axis=None)
    assert len(pairs[pairs["part"] == "finetune"]) == 6  # of B, C, D and E
    scored = whole["finetune"].frame.set_index("setting")
    assert scored["seeds"].tolist() == [2, 3, 3, 3, 3]
    assert set(whole["mcnemar"].frame["seed"]) == {0, 1, 2}
    seeds = whole["seeds"].frame
    assert seeds[(seeds["part"] == "finetune") & (seeds["setting"] == "A")]["seed"].tolist() == [
        1, 2
    ]  # fmt: skip


def evaluate_of(results: Path, params: Params) -> dict[str, object]:
    holes = Holes()
    tables = evaluate(results, params, holes)[1]
    assert holes.of()
    return tables  # type: ignore[return-value]


def test_without_holes_to_learn_of_it_a_missing_run_raises(results: Path, params: Params) -> None:
    (results / "faces" / "scratch" / "1" / "predictions.csv").unlink()
    with pytest.raises(RepriseError, match=r"1/predictions\.csv: not found"):
        evaluate(results, params)


def test_a_part_without_any_run_left_says_only_what_is_missing(
    results: Path, params: Params
) -> None:
    shutil.rmtree(results / "faces" / "scratch")
    tables = evaluate_of(results, params)
    lines = (tables["faces"].text).strip().split("\n\n")  # type: ignore[attr-defined]
    assert len(lines) == 2 and all(line.startswith(MARK) for line in lines)


def test_fewer_seeds_of_one_run_change_nothing_of_another() -> None:
    right = np.random.default_rng(0).random((3, 40)) < 0.6
    alone = measure_accuracy({("a",): right})
    beside = measure_accuracy({("b",): right[:2], ("a",): right})
    assert np.array_equal(alone["a",].draws, beside["a",].draws)
    assert np.array_equal(beside["b",].draws, alone["a",].draws[:, :2])


def test_a_hole_is_named_once_and_the_others_are_counted() -> None:
    holes = Holes()
    for part, why in (("a", "x"), ("b", "x"), ("b", "y")):
        with holes.leave_out(part):
            raise RepriseError(why)
    assert holes.of() == ["x", "y"] and holes.of("b") == ["x", "y"] and holes.of("c") == []
    assert summary(holes.of(), "out") == "x (1 more); the rest is in out, where the hole is marked"


def test_a_page_of_whole_results_has_no_mark(whole_results: Path, params: Params) -> None:
    html, holes = report(whole_results, params)
    assert holes == [] and MARK not in html
    assert not pd.read_csv(whole_results / "tables" / "histories.csv").empty
