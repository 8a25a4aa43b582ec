"""A killed training goes on to the same bytes; a checkpoint of something else is refused."""

import logging
import math
import random
from pathlib import Path

import kill
import numpy as np
import pytest
import torch
from torch import nn
from torch.amp import GradScaler
from torch.nn import functional as F

from reprise.params import Training
from reprise.training.checkpoint import Checkpoint, Fingerprint
from reprise.training.loop import Job, Progress, Row, train
from reprise.training.runtime import Device

KILLS = 6  # of each of the four jobs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    kill.write_inputs(folder)
    return folder


@pytest.mark.parametrize("job", kill.JOBS)
def test_a_job_killed_at_random_moments_ends_in_the_same_bytes(
    job: str, inputs: Path, tmp_path: Path
) -> None:
    kill.finish(inputs, job, tmp_path / "whole")  # the first one also warms caches
    seconds = kill.finish(inputs, job, tmp_path / "again")
    whole = kill.files_of(tmp_path / "whole")
    assert whole == kill.files_of(tmp_path / "again") and len(whole) >= 2
    draw, out, went_on = random.Random(job), tmp_path / "killed", 0
    for _ in range(KILLS):
        kill.kill_at_random(inputs, job, out, seconds, draw)
        log = out.with_suffix(".log")
        went_on += log.exists() and "going on from step" in log.read_text()
    kill.finish(inputs, job, out)
    assert kill.files_of(out) == whole
    assert went_on, "no kill fell between the first checkpoint and the end"
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert left == [], "a checkpoint or a half-written file was left behind"


def toy(
    checkpoint: Checkpoint, stop: int = -1, dtype: torch.dtype = torch.float32, **changes: object
) -> tuple[Progress, dict]:
    """Train a small network with dropout, batch norm and AdamW, in two phases, up to a step.

    In float16 the loss is scaled, at first by so much that gradients overflow.
    """
    recipe = Training.model_validate(
        {"epochs": 4, "phases": [2, 2], "batch_size": 4, "learning_rate": 0.01, **changes}
    )
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)
    )
    data = torch.randn(14, 3, generator=torch.Generator().manual_seed(1))

    def values_of(rows: np.ndarray, epoch: int) -> dict[str, torch.Tensor]:
        with Device(torch.device("cpu"), dtype).autocast():
            logits = model(data[rows]).float()
        return {"loss": F.cross_entropy(logits, torch.from_numpy(rows % 2))}

    def measure(row: Row, progress: Progress) -> None:
        progress.kept[f"epoch {row['epoch']}"] = model[0].weight.detach().clone()
        progress.choose(row, model, -float(row["train_loss"]))

    def interrupt(step: int, steps: int) -> None:
        if step == stop:
            raise KeyboardInterrupt

    scaler = GradScaler("cpu", 2.0**20, growth_interval=3, enabled=dtype is torch.float16)
    rows = np.arange(14)
    job = Job(model, recipe, rows, 5, "toy", values_of, measure, interrupt, scaler=scaler)
    progress = train(job, checkpoint)
    state = {name: value.tolist() for name, value in model.state_dict().items()}
    return progress, state | {"scaler": scaler.state_dict()}


def same(one: tuple[Progress, dict], two: tuple[Progress, dict]) -> bool:
    kept = [{name: value.tolist() for name, value in run[0].kept.items()} for run in (one, two)]
    return kept[0] == kept[1] and one[1] == two[1] and one[0].rows == two[0].rows


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_run_interrupted_at_any_step_is_the_run_that_was_not(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    whole = toy(Checkpoint(tmp_path / "none", {}, math.inf), dtype=dtype)
    for step in range(1, 13):
        place = tmp_path / f"stopped at {step}"
        with pytest.raises(KeyboardInterrupt):
            toy(Checkpoint(place, {}, 0), stop=step, dtype=dtype)
        assert place.exists() == (step > 1)
        assert same(toy(Checkpoint(place, {}, 0), dtype=dtype), whole), step


def test_a_gradient_that_overflows_in_float16_changes_no_weight(tmp_path: Path) -> None:
    none, weights = Checkpoint(tmp_path / "none", {}, math.inf), []
    for epochs in (1, 4):
        progress, state = toy(
            none, dtype=torch.float16, epochs=epochs, phases=[], schedule="constant"
        )
        weights.append(progress.kept["epoch 1"].tolist())
        scaler = state["scaler"]
    torch.manual_seed(0)
    assert weights[0] == weights[1] == nn.Linear(3, 8).weight.tolist()  # as they were drawn
    assert scaler["scale"] < 2.0**20 and state["0.weight"] != weights[0]


def test_a_second_phase_starts_with_a_new_optimizer(tmp_path: Path) -> None:
    none = Checkpoint(tmp_path / "none", {}, math.inf)
    two_phases, one_phase = (
        toy(none, schedule="constant"),
        toy(none, schedule="constant", phases=[]),
    )
    assert two_phases[0].rows[:2] == one_phase[0].rows[:2]
    assert two_phases[0].rows[3]["train_loss"] != one_phase[0].rows[3]["train_loss"]


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    place = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        toy(Checkpoint(place, {"parameters": "1", "data": "2"}, 0), stop=7)
    return place


@pytest.mark.parametrize("left", [0, 10, 1000, -1])
def test_a_truncated_checkpoint_is_refused_in_one_line(
    left: int, stopped: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stopped.write_bytes(stopped.read_bytes()[:left])
    refused(stopped, {"parameters": "1", "data": "2"}, "truncated or damaged", caplog)


def test_a_checkpoint_with_one_changed_byte_is_refused(
    stopped: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(stopped.read_bytes())
    content[len(content) // 2] ^= 1
    stopped.write_bytes(content)
    refused(stopped, {"parameters": "1", "data": "2"}, "truncated or damaged", caplog)


def test_a_checkpoint_of_other_parameters_is_refused(
    stopped: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refused(stopped, {"parameters": "3", "data": "2"}, "made with other parameters;", caplog)


def refused(
    place: Path, fingerprint: Fingerprint, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = toy(Checkpoint(place.with_name("none"), {}, math.inf))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert same(toy(Checkpoint(place, fingerprint, math.inf)), whole)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1 and why in said[0] and "starts over" in said[0]
    assert "\n" not in said[0] and str(place) in said[0]
    assert "going on" not in caplog.text


def test_parameters_changed_after_a_kill_start_the_job_over(inputs: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "out.log"
    params = (inputs / "params.yaml").read_text()
    try:
        process = kill.start(inputs, "full", out, seconds="0")
        while not (tmp_path / ".out.checkpoint").exists():
            process.join(0.01)
        process.kill()
        process.join()
        head, tail = params.split("      A:", 1)
        tail = tail.replace("frozen: false", "frozen: false\n        learning_rate: 0.002", 1)
        (inputs / "params.yaml").write_text(f"{head}      A:{tail}")
        kill.finish(inputs, "full", out)
        assert "checkpoint not used: made with other parameters" in log.read_text()
        kill.finish(inputs, "full", tmp_path / "fresh")
        assert kill.files_of(out) == kill.files_of(tmp_path / "fresh")
    finally:
        (inputs / "params.yaml").write_text(params)


def test_without_room_for_a_checkpoint_the_training_goes_on(inputs: Path, tmp_path: Path) -> None:
    kill.finish(inputs, "frozen", tmp_path / "whole")
    largest = max(len(content) for content in kill.files_of(tmp_path / "whole").values())
    out = tmp_path / "full disk"
    # no file may be larger than the outputs; a checkpoint is, with the optimizer's state
    kill.finish(inputs, "frozen", out, seconds="0", file_limit=largest)
    assert "no checkpoint written (File too large)" in out.with_suffix(".log").read_text()
    assert kill.files_of(out) == kill.files_of(tmp_path / "whole")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
