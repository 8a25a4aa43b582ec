"""File systems of clusters: no locks, a clock of their own, results elsewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from faults.test_system import held
from support.small_workflow import ROOT, SmallWorkflow

pytestmark = pytest.mark.workflow
# Python imports it at every start
WITHOUT_FLOCK = """\
import errno, fcntl, os

def flock(*_):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

fcntl.flock = flock
"""
# the first `python` in PATH: a node whose clock differs, with files that a server dates
NODE = """\
#!/bin/sh
NO_FAKE_STAT=1 FAKETIME_DONT_FAKE_MONOTONIC=1 exec faketime -f {skew} {python} "$@"
"""
needs_faketime = pytest.mark.needs(None if shutil.which("faketime") else "needs Debian's faketime")


@pytest.fixture
def small(tmp_path: Path) -> SmallWorkflow:
    return SmallWorkflow(tmp_path / "small")


def test_a_file_system_without_locks_is_no_obstacle(small: SmallWorkflow, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_FLOCK)
    path = {"PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}"}
    output = small.run("snakemake", "--cores", "2", ok=False, **path)
    (advice,) = re.findall(r"^reprise: .* file locks; `(dvc config .*)` lets DVC", output, re.M)
    assert "Traceback" not in output and small.ran() == []
    small.run(*advice.split())
    output = small.run("snakemake", "--cores", "2", **path)
    assert "4 jobs of Snakemake recorded" in output and "Traceback" not in output
    assert small.ran() == ["A", "B", "evaluate", "prepare"]
    assert "Nothing to be done" in small.run("snakemake", "-n", **path)
    assert "up to date" in small.run("dvc", "repro", **path)
    assert small.ran() == []


def on_a_node(small: SmallWorkflow, folder: Path, skew: str) -> dict[str, str]:
    """The variables with which jobs run under another clock than the head process."""
    python = folder / "python"
    python.write_text(NODE.format(skew=skew, python=sys.executable))
    python.chmod(0o755)
    return {"PATH": f"{folder}:{small.environment()['PATH']}"}


@needs_faketime
@pytest.mark.parametrize("skew", ["+7s", "-7s"])
def test_jobs_are_recorded_where_the_clock_of_a_node_differs(
    skew: str, small: SmallWorkflow, tmp_path: Path
) -> None:
    node = on_a_node(small, tmp_path, skew)
    output = small.run("snakemake", "--cores", "2", **node)
    assert "4 jobs of Snakemake recorded in dvc.lock" in output
    assert small.ran() == ["A", "B", "evaluate", "prepare"]
    small.nothing_to_do()


@needs_faketime
@pytest.mark.parametrize("skew", ["+7s", "-7s"])
def test_an_edit_during_a_job_is_seen_whatever_the_clock_of_its_node(
    skew: str, small: SmallWorkflow, tmp_path: Path
) -> None:
    """A node whose clock is ahead would take the edit for one before its job began."""
    node = on_a_node(small, tmp_path, skew)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "environment", lambda plain=small.environment: plain() | node)
        with held(small, "snakemake", "evaluate") as process:
            small.edit("src/small.py", "2 * number", "4 * number")
            small.write("raw.txt", "three,four,five\n")
            (small.folder / "wait_evaluate").unlink()
            output = process.communicate()[0]
    assert "not recorded" in output
    small.ran()
    small.snakemake()
    assert small.ran() == ["A", "B", "evaluate", "prepare"]
    assert small.read("results/table.csv") == "A 0.2 48\nB 0.2 48\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a file system")
def test_results_may_be_on_another_file_system(small: SmallWorkflow) -> None:
    results = small.folder / "results"
    results.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(results)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount")
    try:
        assert "4 jobs of Snakemake recorded" in small.snakemake()
        assert small.ran() == ["A", "B", "evaluate", "prepare"]
        small.nothing_to_do()
        # what a person edited is moved to the clone's file system
        model = small.folder / "results/classify/baseline/A/0/model.txt"
        model.unlink()
        model.write_text("edited\n")
        small.snakemake()
        moved = small.folder / ".snakemake/replaced" / model.relative_to(small.folder)
        assert moved.read_text() == "edited\n"
        small.nothing_to_do()
    finally:
        subprocess.run(["umount", str(results)], check=True)
