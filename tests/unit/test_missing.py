"""A missing run: the rest is evaluated without it, and every table says what is missing."""

import logging
import runpy
import shutil
from pathlib import Path

import pandas as pd
import pytest
from support.fake_results import fake_params

from reprise.errors import RepriseError
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.markdown import MARK, Missing, Table, summary
from reprise.jobs import CLASSIFYING, tasks
from reprise.params.load import Params
from reprise.report.sections import report

ROOT = Path(__file__).parents[2]


def call(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit status of a script of the workflow over the configuration of the tests."""
    monkeypatch.setattr("sys.argv", [f"{name}.py", *arguments])
    monkeypatch.setattr("reprise.params.load.load_params", lambda _: fake_params())
    try:
        runpy.run_path(str(ROOT / "workflow" / "scripts" / f"{name}.py"), run_name="__main__")
    except SystemExit as ended:
        return int(str(ended.code))
    return 0


@pytest.mark.parametrize(
    ("lost", "spoil"),
    [
        ("classify/baseline/big/0/predictions.csv", "missing"),
        ("classify/baseline/big/0/predictions.csv", "unreadable"),
        ("finetune/tiny/A/0/predictions.csv", "missing"),
        ("classify/transfer/scratch/0/predictions.csv", "unreadable"),
        ("segment/baseline/fcn/0/predictions", "missing"),
        ("segment/skips/skip/0/predictions/0012.png", "unreadable"),
        ("finetune/tiny/C/1/history.csv", "missing"),
        ("pretrain/tiny/byol/0/history.csv", "unreadable"),
    ],
)
def test_the_tables_the_figures_and_the_page_note_a_missing_run_and_have_the_rest(
    results: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    lost: str, spoil: str,
) -> None:  # fmt: skip
    before = {path.name: path.read_text() for path in (results / "tables").glob("*.md")}
    path = results / lost
    if spoil == "unreadable":
        path.write_bytes(b"\x00\x01 unreadable,\n")
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    # the line that every command ends with names the file, and is the only error
    assert call("evaluate", monkeypatch, "--results", str(results)) == 1
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert str(path) in record.message and "the rest is in" in record.message
    marked = {p.name for p in (results / "tables").glob("*.md") if MARK in p.read_text()}
    stage, task = lost.split("/")[:2]
    own = f"{stage}_{task}"
    history = path.name == "history.csv"
    tables = {"convergence.md", "histories.md"}
    assert marked >= (tables if history else {f"{own}.md", "seeds.md", "comparisons.md"})
    for name in before.keys() - marked:
        assert (results / "tables" / name).read_text() == before[name]
    others = [f"{stage}_{name}" for stage, name, _ in tasks(fake_params())]
    assert not {f"{name}.md" for name in others if name != own} & marked
    for figure in ("curves", f"misclassified_{own}") if stage in CLASSIFYING else ():
        code = call("plot", monkeypatch, "--results", str(results), "--figures", figure)
        first = stage == "classify" or "/0/" in lost  # images are of the first seed
        assert code == int(history if figure == "curves" else first and not history)
    page = results / "report.html"
    out = ["--results", str(results), "--out", str(page)]
    assert call("report", monkeypatch, *out) == 1
    assert f"Missing here: {path}" in page.read_text()


def test_a_run_without_all_its_seeds_is_scored_but_not_compared(
    evaluated: Path, params: Params
) -> None:
    (evaluated / "finetune" / "tiny" / "A" / "0" / "predictions.csv").unlink()
    tables = incomplete_tables(evaluated, params)
    comparisons = tables["comparisons"].frame
    assert not (comparisons[["a", "b"]] == "A").any(axis=None)
    assert len(comparisons[comparisons["stage"] == "finetune"]) == 6  # of B, C, D and E
    scored = tables["finetune_tiny"].frame.set_index("run")
    assert scored["seeds"].tolist() == [2, 3, 3, 3, 3]
    seeds = tables["seeds"].frame
    own = seeds[(seeds["stage"] == "finetune") & (seeds["run"] == "A")]
    assert own["seed"].tolist() == [1, 2]


def incomplete_tables(results: Path, params: Params) -> dict[str, Table]:
    missing = Missing()
    tables = evaluate(results, params, missing).tables
    assert missing.reasons()
    return tables


def test_without_a_collector_a_missing_run_raises(evaluated: Path, params: Params) -> None:
    (evaluated / "classify/transfer/scratch/1/predictions.csv").unlink()
    with pytest.raises(RepriseError, match=r"1/predictions\.csv: not found"):
        evaluate(evaluated, params)


def test_a_task_without_any_result_left_says_only_what_is_missing(
    evaluated: Path, params: Params
) -> None:
    shutil.rmtree(evaluated / "classify/transfer/scratch")
    tables = incomplete_tables(evaluated, params)
    lines = tables["classify_transfer"].markdown.strip().split("\n\n")
    assert len(lines) == 2 and all(line.startswith(MARK) for line in lines)


def test_a_missing_file_is_named_once_and_the_others_are_counted() -> None:
    missing = Missing()
    for key, why in (("a", "x"), ("b", "x"), ("b", "y")):
        with missing.collecting(key):
            raise RepriseError(why)
    assert missing.reasons() == ["x", "y"] and missing.reasons("b") == ["x", "y"]
    assert missing.reasons("c") == []
    line = "x (1 more); the rest is in out, where missing results are noted"
    assert summary(missing.reasons(), "out") == line


def test_an_error_is_kept_for_each_of_several_keys() -> None:
    missing = Missing()
    with missing.collecting("a", "b"):
        raise RepriseError("x")
    assert missing.reasons("a") == missing.reasons("b") == missing.reasons() == ["x"]


def test_a_page_of_whole_results_has_no_note(whole_results: Path, params: Params) -> None:
    html, missing = report(whole_results, params)
    assert missing == [] and MARK not in html
    assert not pd.read_csv(whole_results / "tables" / "histories.csv").empty
