"""The record of a job says on which machine it trained."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from reprise import cli
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
