"""How a command ends: its record, one line for a refusal, a traceback for a bug."""

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA

from reprise import cli
from reprise.errors import RepriseError
from reprise.params.training import Runtime
from reprise.training.runtime import configure_torch


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The record of a command that configures torch for a runtime, or, without one, does not."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()

    def run(runtime: Runtime | None) -> Any:
        monkeypatch.setattr("sys.argv", ["job.py", "--log", "logs/job.log"])
        monkeypatch.setattr(cli, "MACHINE", {})
        monkeypatch.setattr("reprise.training.runtime.MACHINE", cli.MACHINE)
        cli.run(lambda: None if runtime is None else void(configure_torch(runtime)))
        torch.set_num_threads(threads)
        return json.loads(Path("logs/job.json").read_text())

    return run


def void(_: object) -> None:
    """Drop a value."""


def test_a_change_of_threads_or_precision_is_in_the_record(record: Callable[..., Any]) -> None:
    one = record(Runtime(device="cpu", precision="float32", threads=1))["machine"]
    assert set(one) == {"cpu_capability", "device", "precision", "torch", "threads"}
    assert one["torch"] == torch.__version__ and one["device"] == "cpu"
    assert record(Runtime(device="cpu", precision="float32"))["machine"] == one
    two = record(Runtime(device="cpu", precision="float32", threads=2))["machine"]
    assert two == one | {"threads": 2}
    half = record(Runtime(device="cpu", precision="bfloat16", threads=1))["machine"]
    assert half == one | {"precision": "bfloat16"}


def test_a_job_without_torch_records_no_machine(record: Callable[..., Any]) -> None:
    assert record(None)["machine"] == {}


def end(
    main: Callable[[], object], capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch,
    *arguments: str,
) -> str:  # fmt: skip
    """What a command writes to standard error when it fails, with exit status 1."""
    patch.setattr("sys.argv", ["classify.py", *arguments])
    patch.setattr(logging.root, "handlers", [])
    with pytest.raises(SystemExit) as ended:
        cli.run(lambda: void(main()))
    assert ended.value.code == 1
    return capsys.readouterr().err


def lost_key() -> object:
    return {}["lost"]


def own_refusal() -> None:
    raise RuntimeError("a mistake of ours")


def own_value() -> None:
    raise ValueError("a mistake of ours")


JOB = ["--task", "baseline", "--run", "cnn", "--seed", "3", "--log", "logs/cnn.log"]
LIBRARY: list[tuple[str, Callable[[], object]]] = [
    ("RuntimeError", lambda: torch.nn.Conv2d(1, 1, 3)(torch.ones(1, 1, 2, 2))),
    ("RuntimeError", lambda: torch.ones(2, 3) @ torch.ones(2, 3)),
    ("RuntimeError", lambda: torch.nn.Linear(2, 2)(torch.ones(3, 3))),
    ("ValueError", lambda: PCA(5).fit(np.zeros((3, 3)))),
    ("ParserError", lambda: pd.read_csv(io.StringIO("a\n1,2\n1,2,3"))),
    ("MemoryError", lambda: np.zeros(10**15)),
]  # fmt: skip
OURS: list[tuple[str, Callable[[], object]]] = [
    ("KeyError", lost_key),
    ("RuntimeError", own_refusal),
    ("ValueError", own_value),
    ("ValueError", lambda: int("abc")),
    ("ZeroDivisionError", lambda: 1 // 0),
    ("TypeError", lambda: torch.nn.Linear("a", None)),
    ("AttributeError", lambda: pd.DataFrame().lost),
]


@pytest.mark.parametrize(("kind", "main"), LIBRARY)
def test_what_a_library_refuses_is_one_line_with_the_job_and_its_log(
    kind: str, main: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (line,) = end(main, capsys, monkeypatch, *JOB).splitlines()
    assert line.startswith(f"reprise: classify/baseline/cnn/3: {kind}: ")
    assert line.endswith("; traceback in logs/cnn.log")
    assert "Traceback (most recent call last)" in Path("logs/cnn.log").read_text()
    assert "Traceback (most recent call last)" in end(main, capsys, monkeypatch)  # without a log


@pytest.mark.parametrize(("kind", "main"), OURS)
def test_a_bug_of_ours_keeps_its_traceback(
    kind: str, main: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    text = end(main, capsys, monkeypatch, *JOB)
    assert "Traceback (most recent call last)" in text and f"{kind}: " in text


def test_a_line_on_the_terminal_names_its_job_and_the_log_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log = "logs/finetune/earth/B/0.log"

    def main() -> None:
        logging.info("epoch 1")
        logging.warning("a warning")
        raise RepriseError("x.csv: not found")

    printed = end(main, capsys, monkeypatch, "--log", log).splitlines()
    assert printed[:2] == ["finetune/earth/B/0: epoch 1", "finetune/earth/B/0: a warning"]
    assert printed[2:] == ["reprise: x.csv: not found"]  # an error is said as without a log
    assert Path(log).read_text().splitlines() == ["epoch 1", "a warning", printed[2]]
    assert end(main, capsys, monkeypatch).splitlines() == Path(log).read_text().splitlines()


@pytest.mark.parametrize(
    "log", ["x.png", "x", "dataset.log", "folder.log", "link.log", "/dev/null"]
)
def test_a_log_replaces_no_other_file(
    log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.png").write_text("an image")
    Path("link.log").symlink_to("x.png")
    Path("folder.log").mkdir()
    Path("dataset.json").write_text('{"name": "x"}')
    (line,) = end(lambda: None, capsys, monkeypatch, "--log", log).splitlines()
    assert line.startswith("reprise: ") and Path("x.png").read_text() == "an image"
    assert Path("dataset.json").read_text() == '{"name": "x"}'
