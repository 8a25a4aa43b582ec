"""Promise: a killed command, started again, ends in the same bytes and leaves nothing behind."""

import os
import random
import sys
from pathlib import Path

import pytest
from support import faults
from support.kills import Engine, Moment, at_random, file_appears, job_runs, lock_changes
from support.small_workflow import ROOT, SmallWorkflow
from support.smoke import smoke_build

from reprise.engines.verify import clone, digests, environment

pytestmark = pytest.mark.workflow

COMMANDS = {"snakemake": ["snakemake", "--cores", "2"], "dvc": ["dvc", "repro"]}
HEAL = [sys.executable, "-m", "reprise.engines.sync"]
CAMPAIGN = "REPRISE_FAULTS_LOG" in os.environ  # `make faults`
CHAINS = 10 if CAMPAIGN else 1  # of each engine, with five kills
SMALL = [
    job_runs("prepare.py"),
    job_runs("classify.py", "--run A"),
    job_runs("classify.py", "--run B"),
    job_runs("evaluate.py"),
    job_runs("reprise.engines.code"),
    job_runs("reprise.engines.sync", "--record", delay=1),
    lock_changes(),
    lock_changes(delay=0.1),
    at_random(2),
    at_random(4),
]
# where there is something to lose
SMOKE = [
    file_appears("a file written by prepare", "prepare/*/.*.part"),
    file_appears("checkpoint of pretrain", "pretrain/*/*/.*.checkpoint", delay=0.5),
    file_appears("checkpoint of pretrain", "pretrain/*/*/.*.checkpoint", delay=2),
    file_appears("checkpoint of finetune", "finetune/*/*/.*.checkpoint", delay=0.5),
    file_appears("checkpoint of classify", "classify/*/*/.*.checkpoint", delay=0.5),
    file_appears("checkpoint of segment", "segment/*/*/.*.checkpoint", delay=0.5),
    job_runs("evaluate.py", delay=3),
    job_runs("plot.py", delay=2),
    lock_changes(),
    job_runs("reprise.engines.sync", "--record", delay=3),
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of the results of the small workflow when its scripts are run by hand."""
    small = SmallWorkflow(tmp_path_factory.mktemp("undisturbed") / "small")
    (small.folder / "logs").mkdir()
    for script in (
        ["prepare"],
        ["classify", "--run", "A"],
        ["classify", "--run", "B"],
        ["evaluate"],
    ):
        words = [sys.executable, f"workflow/scripts/{script[0]}.py", *script[1:]]
        small.run(*words, PYTHONPATH=f"src{os.pathsep}{ROOT / 'src'}")
    return digests(small.folder / "results")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of the results of an undisturbed run of the preset smoke."""
    return digests(smoke_build(tmp_path_factory) / "results")


def kill_small(
    folder: Path, engine: str, moments: list[Moment], draw: random.Random, expected: dict[str, str]
) -> None:
    small = SmallWorkflow(folder)
    runs = Engine(
        COMMANDS[engine], small.folder, small.environment(), expected, seconds=60,
        heal=HEAL if engine == "dvc" else (),
    )  # fmt: skip
    runs.kill_and_finish(moments, draw)
    count(runs, f"kill of {engine}, small workflow")


def count(runs: Engine, what: str) -> None:
    """Count kills by moment; `runs.kills` has a signal, then a moment."""
    for kill in runs.kills:
        faults.count(f"{what}: {kill.split(' ', 1)[1]}", "right")


@pytest.mark.parametrize("engine", [pytest.param("snakemake", marks=pytest.mark.exhaustive), "dvc"])
def test_a_killed_engine_ends_in_the_same_bytes(
    engine: str, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    moment = job_runs("classify.py", "--run A")
    kill_small(tmp_path / "small", engine, [moment], random.Random(engine), undisturbed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(CHAINS))
@pytest.mark.parametrize("engine", COMMANDS)
def test_an_engine_killed_again_and_again_ends_in_the_same_bytes(
    engine: str, seed: int, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    draw = random.Random(f"{engine} {seed}")
    kill_small(tmp_path / "small", engine, draw.sample(SMALL, 5), draw, undisturbed)


@pytest.mark.exhaustive
@pytest.mark.skipif(not CAMPAIGN, reason="`make faults` runs it")
@pytest.mark.parametrize("engine", COMMANDS)
def test_a_build_of_smoke_killed_at_every_stage_ends_in_the_same_bytes(
    engine: str, tmp_path: Path, smoke: dict[str, str]
) -> None:
    folder = clone(ROOT, tmp_path / "clone", "smoke")
    runs = Engine(
        COMMANDS[engine], folder, environment(folder, REPRISE_CHECKPOINT_SECONDS="0"), smoke,
        seconds=1800, heal=HEAL if engine == "dvc" else (),
    )  # fmt: skip
    runs.kill_and_finish(SMOKE, random.Random(engine))
    count(runs, f"kill of {engine}, smoke")
