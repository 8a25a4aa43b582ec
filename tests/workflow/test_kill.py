"""A job that is killed with its engine resumes with the same command and ends in the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from support.kills import is_cut
from support.small_workflow import SmallWorkflow
from support.smoke import call, smoke_copy

from reprise.engines.verify import digests, environment

JOBS = {
    # folder below results, stage of DVC, seconds from the first checkpoint to about the end
    "pretrain": ("pretrain/earth/byol/0", "pretrain_earth@byol-0", 0.3),
    "full": ("finetune/earth/A/0", "finetune_earth_scratch@A-0", 0.5),
    "frozen": ("finetune/earth/D/0", "finetune_earth_supervised@D-0", 0.05),
    "segment": ("segment/baseline/fcn32s/0", "segment_baseline@fcn32s-0", 0.3),
}
ISOLATED = {"REPRISE_STATE": "off"}  # DVC's cache restores no output: the job must run
SECONDS = 120  # that a killed job may take until its first checkpoint

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with the preset smoke and the results of an undisturbed run."""
    return smoke_copy(tmp_path_factory)


def command(engine: str, job: str) -> list[str]:
    out, stage, _ = JOBS[job]
    if engine == "snakemake":
        return ["snakemake", "--cores", "1", f"results/{out}/history.csv"]
    return ["dvc", "repro", "--single-item", "--force", "--no-run-cache", stage]


def kill_once(folder: Path, engine: str, job: str, draw: random.Random) -> bool:
    """Start the engine; kill it and its job between the first checkpoint and about the end.

    False if the job ended before it wrote one: the kill before came after its last step.
    """
    out = folder / "results" / JOBS[job][0]
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    every_step = environment(folder, **ISOLATED, REPRISE_CHECKPOINT_SECONDS="0")
    with subprocess.Popen(
        command(engine, job), cwd=folder, env=every_step,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        end = time.monotonic() + SECONDS
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
            if process.poll() is not None:
                assert process.returncode == 0 and before, "ended before its first checkpoint"
                return False
            assert time.monotonic() < end
            time.sleep(0.02)
        time.sleep(draw.uniform(0, JOBS[job][2]))
        victims = [*psutil.Process(process.pid).children(recursive=True), process]
        for number in (signal.SIGSTOP, signal.SIGKILL):  # all at once, as when memory runs out
            for victim in victims:
                os.kill(victim.pid, number)
    if engine == "dvc" and is_cut(folder / ".dvc/tmp/rwlock"):
        # `make sync`, the way out that docs/engines.md names
        call(folder, "python", "-m", "reprise.engines.sync", ok=True, **ISOLATED)
    return True


def check_resumes(folder: Path, engine: str, job: str, kills: int) -> None:
    out = folder / "results" / JOBS[job][0]
    expected = digests(out)
    shutil.rmtree(out)
    draw = random.Random(f"{engine} {job}")
    while kills:
        if kill_once(folder, engine, job, draw):
            kills -= 1
        else:
            shutil.rmtree(out)
    call(folder, *command(engine, job), ok=True, **ISOLATED)
    assert digests(out) == expected
    log = next((folder / "logs").glob(f"{JOBS[job][0]}.log"))
    assert "resuming from step" in log.read_text()
    assert not list(out.parent.glob(".*.checkpoint"))


@pytest.mark.parametrize(("engine", "job"), [("snakemake", "frozen"), ("dvc", "segment")])
def test_a_killed_job_resumes(engine: str, job: str, folder: Path) -> None:
    check_resumes(folder, engine, job, kills=1)


@pytest.mark.exhaustive
@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
@pytest.mark.parametrize("job", JOBS)
def test_a_job_killed_again_and_again_resumes(engine: str, job: str, folder: Path) -> None:
    check_resumes(folder, engine, job, kills=3)


def test_a_snakemake_that_is_alive_keeps_its_locks(tmp_path: Path) -> None:
    small = SmallWorkflow(tmp_path / "small")
    (small.folder / "wait_prepare").touch()
    with small.start("snakemake", "--cores", "1") as first:
        while not list((small.folder / ".snakemake" / "locks").glob("*")):
            assert first.poll() is None
            time.sleep(0.02)
        printed = small.snakemake(ok=False)
        assert f"snakemake (PID {first.pid}) is at work here" in printed
        (small.folder / "wait_prepare").unlink()
        first.communicate()
        assert first.returncode == 0
    assert small.ran() == ["A", "B", "evaluate", "prepare"]
