"""The committed results: what `make run` says of another machine's, and `make baseline`."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.small_workflow import SmallWorkflow

from reprise.engines import show
from reprise.engines.baseline import machine_note

AUTHOR = {
    f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
HERE = {"cpu_capability": {"AMD AVX512": 27}, "precision": {"bfloat16": 27}, "threads": {"1": 27}}


@pytest.fixture
def small(tmp_path: Path) -> SmallWorkflow:
    """The small workflow, whose table is a file of metrics; committed with another machine's."""
    small = SmallWorkflow(tmp_path / "small")
    for name in ("Snakefile", "dvc.yaml", "workflow/scripts/evaluate.py", ".gitignore"):
        small.edit(name, "results/table.csv", "results/table.yaml")
    small.edit("workflow/scripts/classify.py", "{name} {rate} {len(data)}", "{name}: {rate}")
    small.write("dvc.yaml", small.read("dvc.yaml") + "metrics:\n  - results/table.yaml\n")
    (small.folder / "results").mkdir()
    small.write("results/table.yaml", "A: 0.3\nB: 0.4\n")
    small.commit("another machine's results")
    return small


def baseline(small: SmallWorkflow, ok: bool = True) -> str:
    return small.run(sys.executable, "-m", "reprise.engines.baseline", ok=ok, **AUTHOR)


def test_after_it_the_first_metrics_diff_is_empty_and_then_shows_a_change_only(small):
    small.snakemake()
    assert "0.3" in small.dvc("metrics", "diff")  # the machine's differences
    small.write("notes.txt", "the user's own file\n")
    small.git("add", "notes.txt")
    assert "results of this machine; `dvc metrics diff` compares with them" in baseline(small)
    assert small.dvc("metrics", "diff").strip() == ""
    committed = small.run("git", "show", "--name-only", "--format=%s")
    assert committed.split("\n")[0] == "Baseline: the results of this machine"
    assert set(committed.split()[6:]) == {"dvc.lock", "results/table.yaml"}
    assert "A  notes.txt" in small.run("git", "status", "--porcelain")
    assert "already those of this machine" in baseline(small)
    small.edit("params.yaml", "B: {learning_rate: 0.1", "B: {learning_rate: 0.2")
    small.snakemake()
    lines = small.dvc("metrics", "diff").splitlines()
    assert [line.split()[1] for line in lines if "table.yaml" in line] == ["B"]


def test_results_that_are_not_of_the_committed_sources_are_refused(small):
    before = small.run("git", "rev-parse", "HEAD")
    assert "results/: not up to date; run `make run` first" in baseline(small, ok=False)
    small.snakemake()
    small.edit("params.yaml", "B: {learning_rate: 0.1", "B: {learning_rate: 0.2")
    printed = baseline(small, ok=False)
    assert printed == (
        "reprise: params.yaml: differs from the last commit; commit or restore it first\n"
    )
    assert small.run("git", "rev-parse", "HEAD") == before


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, the current folder, with results of HERE; the path of their intervals."""
    monkeypatch.chdir(tmp_path)
    for name, value in AUTHOR.items():
        monkeypatch.setenv(name, value)
    path = Path("results/intervals.json")
    path.parent.mkdir()
    path.write_text(json.dumps({"finetune": {}, "machine": HERE}))
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "first"]):
        subprocess.run(["git", *words], check=True)
    return path


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({}, None),
        ({"precision": {"bfloat16": 3}}, None),  # other jobs of the same kind
        ({"cpu_capability": {"Intel AVX512": 1}}, "cpu_capability AMD AVX512, here Intel AVX512"),
        ({"precision": {"float32": 1}}, "precision bfloat16, here float32"),
        ({"threads": {"1": 1, "2": 1}}, "threads 1, here 1 and 2"),
        ({"threads": {}}, None),  # not recorded
    ],
)
def test_another_machine_or_setting_is_named_in_one_line(
    changed: dict[str, dict[str, int]], note: str | None, committed: Path
) -> None:
    committed.write_text(json.dumps({"machine": HERE | changed}))
    line = machine_note()
    assert "\n" not in line
    if note is None:
        assert line == ""
    else:
        assert f"({note})" in line and "docs/determinism.md" in line and "make baseline" in line


def test_without_a_commit_or_results_nothing_is_said(committed: Path) -> None:
    committed.unlink()
    assert machine_note() == ""
    committed.write_text(json.dumps({"machine": HERE | {"threads": {"2": 1}}}))
    assert machine_note() != ""
    subprocess.run(["git", "rm", "--quiet", "--cached", "-r", "."], check=True)
    subprocess.run(["git", "commit", "--quiet", "-m", "no results"], check=True)
    assert machine_note() == ""


def test_the_tables_of_make_run_end_with_it(
    committed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    committed.write_text(json.dumps({"machine": HERE | {"threads": {"2": 1}}}))
    monkeypatch.setattr(sys, "argv", ["show", "tables"])
    monkeypatch.setattr(show, "load_params", lambda: SimpleNamespace(warning=None))
    monkeypatch.setattr(show, "tasks", lambda *_: [])
    answers = Path("results/tables/answers.csv")
    answers.parent.mkdir(exist_ok=True)
    answers.write_text("question,answer,number,certainty,why,difference,low,high\n")
    show.main()
    note, trained_on, last = capsys.readouterr().out.splitlines()
    assert note == machine_note() and trained_on.startswith("Trained on: ")
    assert last.startswith("The report with everything")
