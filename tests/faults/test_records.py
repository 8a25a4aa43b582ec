"""A record that is damaged, or from the future, proves nothing and ends in no traceback."""

import json
import sys
import time
from pathlib import Path

import pytest
from dvc.repo import Repo
from dvc.stage import Stage
from support import faults
from support.small_workflow import ROOT, SmallWorkflow

from reprise.engines.job_records import finished_jobs, reason_not_proven

RECORD = Path("logs/prepare.json")
MISSING = "no job left a record of this command"
WRONG = {
    "command": [None, "python", [1], {}],
    "started": [None, "1", 1.5, True, [], 10**400],
    "params": [None, 3, [], "\ud800"],
    "outputs": [None, [], "x", {"a": 1}, {"a": None}, {"\0": "x" * 9999}],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallWorkflow:
    """A project whose first job ran, by hand."""
    small = SmallWorkflow(tmp_path_factory.mktemp("records") / "small")
    small.run(sys.executable, "-m", "reprise.engines.code")
    words = ["python", "workflow/scripts/prepare.py", "--log", str(RECORD.with_suffix(".log"))]
    small.run(*words, PYTHONPATH=f"src:{ROOT / 'src'}")
    return small


@pytest.fixture
def stage(small: SmallWorkflow, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.chdir(small.folder)
    return next(stage for stage in Repo().index.stages if stage.name == "prepare")


def test_a_record_that_is_damaged_proves_nothing(stage: Stage) -> None:
    text = RECORD.read_text()
    record = json.loads(text)
    texts = [text[: len(text) * part // 20].encode() for part in range(20)]
    texts += [b"\xff\xfe", b"[]", b"null", b"3", b"[" * 100_000, b"\0" * 99]
    for key, values in WRONG.items():
        texts.append(json.dumps({k: v for k, v in record.items() if k != key}).encode())
        texts += [json.dumps(record | {key: value}).encode() for value in values]
    assert reason_not_proven(stage) is None
    for damaged in texts:
        RECORD.write_bytes(damaged)
        reason = reason_not_proven(stage)
        assert reason is not None and "\n" not in reason, damaged[:200]
        finished_jobs(0)
        faults.count("damaged records", "refused")
    RECORD.unlink()
    RECORD.mkdir()
    assert reason_not_proven(stage) == MISSING
    assert finished_jobs(0) == []
    RECORD.rmdir()
    RECORD.write_text(text)
    assert reason_not_proven(stage) is None


@pytest.mark.parametrize("params", ["a: [", "a: 010", "a: 1\na: 2", "\0", "[" * 100_000])
def test_a_record_whose_params_cannot_be_read_proves_nothing(params: str, stage: Stage) -> None:
    text = RECORD.read_text()
    RECORD.write_text(json.dumps(json.loads(text) | {"params": params}))
    assert "its params.yaml cannot be read" in (reason_not_proven(stage) or "")
    RECORD.write_text(text)


def test_a_record_of_a_clock_that_was_ahead_proves_nothing(stage: Stage) -> None:
    text = RECORD.read_text()
    later = time.time_ns() + 3600 * 10**9
    RECORD.write_text(json.dumps(json.loads(text) | {"started": later}))
    Path("raw.txt").write_text("changed\n")  # now, which is before the job began
    assert "from the future" in (reason_not_proven(stage) or "")
    RECORD.write_text(text)
    assert "raw.txt was changed" in (reason_not_proven(stage) or "")


def test_a_command_that_no_shell_reads_has_no_record(stage: Stage) -> None:
    for cmd in ('python "x', ["python a", "python b"], "python x --log"):
        stage.cmd = cmd
        assert reason_not_proven(stage) == MISSING
