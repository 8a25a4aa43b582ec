"""Several processes for one training: the bytes of one, and an end in one line."""

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file
from support import killable_job
from support.processes import TRAININGS, train_in, write_inputs

from reprise.errors import RepriseError
from reprise.training.processes import Processes, join

# by how many processes which trainings are computed; the long form has the others
SHORT = {1: ("moco_v2", "segmenter"), 2: ("moco_v2", "segmenter"), 4: ("segmenter",)}
LONG = {1: TRAININGS, 2: TRAININGS, 4: TRAININGS}


def pairs(names: dict[int, tuple[str, ...]]) -> list[tuple[str, int]]:
    return [(name, count) for count in (2, 4) for name in names[count]]


def train_all(folder: Path, names: dict[int, tuple[str, ...]]) -> Path:
    write_inputs(folder)
    for count in names:
        train_in(folder, count, names[count])
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of trainings by one, two and four processes."""
    return train_all(tmp_path_factory.mktemp("processes"), SHORT)


@pytest.fixture(scope="module")
def all_trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_all(tmp_path_factory.mktemp("all"), LONG)


def check(name: str, count: int, folder: Path) -> None:
    one, several = (folder / str(n) / f"{name}.safetensors" for n in (1, count))
    assert one.read_bytes() == several.read_bytes()
    assert load_file(one)["history"].isfinite().any()


@pytest.mark.parametrize(("name", "count"), pairs(SHORT))
def test_several_processes_give_the_bytes_of_one(name: str, count: int, trained: Path) -> None:
    check(name, count, trained)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "count"), pairs(LONG))
def test_so_they_do_for_every_kind_of_training(name: str, count: int, all_trained: Path) -> None:
    check(name, count, all_trained)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_batches_are_divided_and_put_together_in_order(count: int, trained: Path) -> None:
    rows = load_file(trained / str(count) / "doubled.safetensors")["rows"]
    assert rows[:, 0].tolist() == list(range(0, 60, 2))


def test_one_process_exchanges_nothing() -> None:
    assert Processes().gather(torch.arange(3)).tolist() == [[0, 1, 2]]
    assert Processes().finish() and join(1, torch.device("cpu")).count == 1


def test_fewer_gpus_than_processes_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(RepriseError, match="is 2, but GPUs visible: 1; set it to 1") as error:
        join(2, torch.device("cuda"))
    assert "\n" not in str(error.value)


def set_processes(folder: Path, count: int) -> None:
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    params["runtime"]["processes"] = count
    short = {"micro_batches": 2, "epochs": 2, "feature_epochs": [1]}
    params["finetune"]["earth"]["common"] |= short
    yaml.dump(params, folder / "params.yaml")


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_all_and_the_next_start_goes_on(victim: int, tmp_path: Path) -> None:
    """The next start is by one process, which continues the checkpoint of two."""
    killable_job.write_inputs(tmp_path)
    set_processes(tmp_path, 2)
    out, whole, checkpoint = tmp_path / "out", tmp_path / "whole", tmp_path / ".out.checkpoint"
    first = killable_job.start(tmp_path, "full", out, seconds="0")
    while not checkpoint.exists():
        assert first.exitcode is None
        time.sleep(0.01)
    (other,) = psutil.Process(first.pid).children()
    os.kill(other.pid if victim else first.pid, signal.SIGKILL)
    first.join(60)
    assert first.exitcode == (1 if victim else -signal.SIGKILL)
    psutil.wait_procs([other], timeout=60)
    assert not other.is_running()
    assert not out.exists() and not out.with_suffix(".json").exists()
    if not victim:
        return
    line = out.with_suffix(".log").read_text().splitlines()[-1]
    assert line.startswith("reprise: process 2 of 2 was killed (signal 9); run the same command")
    set_processes(tmp_path, 1)
    killable_job.finish(tmp_path, "full", out)
    assert "resuming from step" in out.with_suffix(".log").read_text()
    killable_job.finish(tmp_path, "full", whole)
    for file in ("model.safetensors", "history.csv", "predictions.csv"):
        assert (out / file).read_bytes() == (whole / file).read_bytes()
    record = json.loads(out.with_suffix(".json").read_text())
    assert len(record["outputs"]) == 4 and not checkpoint.exists()
