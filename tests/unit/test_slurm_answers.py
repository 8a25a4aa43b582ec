"""engines/slurm: what the scheduler says, in one line, from programs that answer as SLURM's do."""

import os
from pathlib import Path

import pytest

from reprise.engines import slurm
from reprise.errors import RepriseError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(name: str, script: str) -> None:
    path = Path(name)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def partitions(lines: str) -> None:
    program("sbatch", "")
    program("sinfo", f'printf "{lines}"')


def refusal(defaults: dict[str, object], overwritten: dict[str, object], gpu: int) -> str:
    with pytest.raises(RepriseError) as raised:
        slurm.check(defaults, overwritten, gpu)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_without_a_scheduler_the_line_says_where_to_run() -> None:
    assert refusal({}, {}, 0).startswith("SLURM: no sbatch here; run on a login node")


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    program("sbatch", "")
    program("sinfo", 'echo "slurm_load_partitions: Unable to contact controller" >&2; exit 1')
    assert "Unable to contact controller; then try again" in refusal({}, {}, 0)
    program("sinfo", "exec /bin/sleep 9")
    monkeypatch.setattr(slurm, "SECONDS", 0.2)
    assert refusal({}, {}, 0) == "SLURM: no answer in 0.2 s; ask `sinfo`, then try again"


def test_a_partition_has_to_exist() -> None:
    partitions(r"day (null)\nlong gpu:4\n")
    slurm.check({"slurm_partition": "day,long"}, {"pretrain": {"slurm_partition": "long"}}, 0)
    line = "SLURM: partition 'night' does not exist; choose from day, long"
    assert refusal({"slurm_partition": "night"}, {}, 0) == line
    assert refusal({}, {"pretrain": {"slurm_partition": "day,night"}}, 0) == line


@pytest.mark.parametrize(("overwritten", "gpu"), [({}, 1), ({"pretrain": {"gpu": 1}}, 0)])
def test_a_gpu_that_is_asked_for_has_to_be_on_a_node(
    overwritten: dict[str, object], gpu: int
) -> None:
    partitions(r"day (null)\n")
    assert "a GPU is requested, but no node has one" in refusal({}, overwritten, gpu)
    slurm.check({}, {}, 0)
    partitions(r"day (null)\nlong gpu:h100:4(S:0-1)\n")
    slurm.check({}, overwritten, gpu)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "/bin/sh: 1: /home/me/.venv/bin/python: not found\n",
            "/home/me/.venv/bin/python",
        ),
        ("bash: line 1: /a/python: No such file or directory\n", "/a/python"),
        ("/usr/bin/python: No module named snakemake\n", "snakemake"),
        ("Error in rule prepare:\n", None),
    ],
)
def test_a_node_without_the_environment_is_seen_in_the_logs(
    text: str, name: str | None, folder: Path
) -> None:
    log = slurm.LOGS / "rule_prepare" / "1.log"
    log.parent.mkdir(parents=True)
    log.write_text(text)
    line = slurm.explanation(log.stat().st_mtime - 1)
    assert (line is None) if name is None else f"SLURM: a node has no {name}; " in (line or "")
    # of a run before
    os.utime(log, (1, 1))
    assert slurm.explanation(2) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("slurmstepd-vm: error: Exceeded job memory limit\n", "memory; raise mem_mb"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=7.0.\n", "memory; raise mem_mb"),
        ("*** JOB 3 ON vm CANCELLED AT 12:00 DUE TO TIME LIMIT ***\n", "time; raise runtime"),
        ("srun: error: vm: task 0: Exited with exit code 1\n", None),
    ],
)
def test_a_job_that_was_killed_for_want_of_a_resource_is_named(
    text: str, line: str | None, folder: Path
) -> None:
    log = slurm.LOGS / "rule_finetune" / "earth_A_0" / "4.log"
    log.parent.mkdir(parents=True)
    log.write_text(text)
    found = slurm.explanation(log.stat().st_mtime - 1)
    if line is None:
        assert found is None
    else:
        start = f"SLURM: rule_finetune/earth_A_0 was killed for {line} of its rule"
        assert str(found).startswith(start) and str(log) in str(found)
