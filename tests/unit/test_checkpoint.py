"""A killed training ends in the same bytes; a checkpoint that does not fit is ignored."""

import logging
import math
import random
from pathlib import Path

import pytest
from support import killable_job
from support.training import same, train_toy

from reprise.training.checkpoint import Checkpoint, Fingerprint, job_checkpoint

KILLS = 6  # of each of the four jobs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    killable_job.write_inputs(folder)
    return folder


@pytest.mark.parametrize("job", killable_job.JOBS)
def test_a_job_killed_at_random_moments_ends_in_the_same_bytes(
    job: str, inputs: Path, tmp_path: Path
) -> None:
    killable_job.finish(inputs, job, tmp_path / "whole")  # the first one also fills caches
    seconds = killable_job.finish(inputs, job, tmp_path / "again")
    whole = killable_job.files_of(tmp_path / "whole")
    assert whole == killable_job.files_of(tmp_path / "again") and len(whole) >= 2
    draw, out, resumed = random.Random(job), tmp_path / "killed", 0
    for _ in range(KILLS):
        killable_job.kill_at_random(inputs, job, out, seconds, draw)
        log = out.with_suffix(".log")
        resumed += log.exists() and "resuming from step" in log.read_text()
    killable_job.finish(inputs, job, out)
    assert killable_job.files_of(out) == whole
    assert resumed, "no kill fell between the first checkpoint and the end"
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert left == [], "a checkpoint or a half-written file was left behind"


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_toy(Checkpoint(path, {"parameters": "1", "data": "2"}, 0), stop=7)
    return path


@pytest.mark.parametrize("left", [0, 10, 1000, -1])
def test_a_truncated_checkpoint_is_ignored_with_one_line(
    left: int, stopped: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stopped.write_bytes(stopped.read_bytes()[:left])
    ignored(stopped, {"parameters": "1", "data": "2"}, "truncated or damaged", caplog)


def test_a_checkpoint_with_one_changed_byte_is_ignored(
    stopped: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(stopped.read_bytes())
    content[len(content) // 2] ^= 1
    stopped.write_bytes(content)
    ignored(stopped, {"parameters": "1", "data": "2"}, "truncated or damaged", caplog)


def test_a_checkpoint_of_other_parameters_is_ignored(
    stopped: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ignored(stopped, {"parameters": "3", "data": "2"}, "made with other parameters;", caplog)


def ignored(
    path: Path, fingerprint: Fingerprint, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = train_toy(Checkpoint(path.with_name("none"), {}, math.inf))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert same(train_toy(Checkpoint(path, fingerprint, math.inf)), whole)
    warnings = [item.getMessage() for item in caplog.records if item.levelname == "WARNING"]
    assert len(warnings) == 1 and reason in warnings[0] and "starts over" in warnings[0]
    assert "\n" not in warnings[0] and str(path) in warnings[0]
    assert "resuming" not in caplog.text


def test_parameters_changed_after_a_kill_start_the_job_over(inputs: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "out.log"
    params = (inputs / "params.yaml").read_text()
    try:
        process = killable_job.start(inputs, "full", out, seconds="0")
        while not (tmp_path / ".out.checkpoint").exists():
            process.join(0.01)
        process.kill()
        process.join()
        head, tail = params.split("      A:", 1)
        tail = tail.replace("frozen: false", "frozen: false\n        learning_rate: 0.002", 1)
        (inputs / "params.yaml").write_text(f"{head}      A:{tail}")
        killable_job.finish(inputs, "full", out)
        assert "checkpoint not used: made with other parameters" in log.read_text()
        killable_job.finish(inputs, "full", tmp_path / "fresh")
        assert killable_job.files_of(out) == killable_job.files_of(tmp_path / "fresh")
    finally:
        (inputs / "params.yaml").write_text(params)


def test_without_room_for_a_checkpoint_the_training_continues(inputs: Path, tmp_path: Path) -> None:
    killable_job.finish(inputs, "frozen", tmp_path / "whole")
    whole = killable_job.files_of(tmp_path / "whole")
    largest = max(len(content) for content in whole.values())
    out = tmp_path / "full disk"
    # no file may be larger than the outputs; a checkpoint is, with the optimizer's state
    killable_job.finish(inputs, "frozen", out, seconds="0", file_limit=largest)
    assert "no checkpoint written (File too large)" in out.with_suffix(".log").read_text()
    assert killable_job.files_of(out) == whole
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("cpu_capability", "Intel AVX512 amx_bf16"), ("device", "NVIDIA H100")],
)
def test_a_checkpoint_of_another_kind_of_machine_is_ignored(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """As on a cluster with several kinds of nodes: the rest would be computed differently."""
    before = job_checkpoint(tmp_path / "out", {}, [], "cpu")
    before.save({"step": 3})
    assert job_checkpoint(tmp_path / "out", {}, [], "cpu").load() == {"step": 3}
    if name == "cpu_capability":
        monkeypatch.setattr("reprise.training.checkpoint.cpu_capability", lambda: value)
    after = job_checkpoint(tmp_path / "out", {}, [], value if name == "device" else "cpu")
    assert after.load() is None
    assert "made with other machine; the job starts over" in caplog.text
