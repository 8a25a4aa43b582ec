"""Snakemake and DVC share results/ and trust what they say of it, whichever ran last."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from toy import Toy

ALL = ["A", "B", "data", "table"]


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path / "toy")


def test_dvc_has_nothing_to_do_after_snakemake(toy):
    toy.snakemake()
    assert toy.ran() == ALL
    toy.nothing_to_do()


def test_snakemake_has_nothing_to_do_after_dvc(toy):
    toy.dvc("repro")
    assert toy.ran() == ALL
    toy.nothing_to_do()


@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_a_value_set_back_trains_nothing(toy, engine):
    run = {"snakemake": toy.snakemake, "dvc": lambda: toy.dvc("repro")}[engine]
    run()
    first = toy.read("results/table.csv")
    toy.edit("params.yaml", "B: {rate: 0.1}", "B: {rate: 0.2}")
    toy.ran()
    run()
    assert toy.ran() == ["B", "table"]
    toy.edit("params.yaml", "B: {rate: 0.2}", "B: {rate: 0.1}")
    run()
    # DVC alone keeps no run of a stage whose outputs it does not cache
    assert toy.ran() == {"snakemake": [], "dvc": ["table"]}[engine]
    assert toy.read("results/table.csv") == first
    toy.nothing_to_do()


def test_files_that_dvc_changed_are_not_called_fresh(toy):
    toy.snakemake()
    first = toy.read("results/table.csv")
    toy.dvc("exp", "run", "-S", "train.recipes.B.rate=0.2")
    toy.edit("params.yaml", "rate: 0.2", "rate: 0.1")
    toy.run("rm", "-r", ".dvc/cache/runs", ".dvc/cache/files")  # nothing to restore
    toy.ran()
    assert "train" in toy.snakemake("-n", "--quiet", "progress")
    toy.snakemake()
    assert toy.ran() == ["B", "table"]
    assert toy.read("results/table.csv") == first
    toy.nothing_to_do()


def test_touch_over_stale_files_poisons_nothing(toy):
    toy.snakemake()
    toy.edit("params.yaml", "B: {rate: 0.1}", "B: {rate: 0.3}")
    toy.snakemake("--touch")
    assert "train@B" in toy.dvc("status")
    toy.ran()
    toy.snakemake()
    assert toy.ran() == ["B", "table"]
    assert "B 0.3" in toy.read("results/table.csv")
    toy.nothing_to_do()


def test_a_clone_that_pulls_has_nothing_to_do(toy, tmp_path):
    toy.snakemake()
    toy.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    toy.dvc("push", "--run-cache")
    toy.commit("results")
    clone = Toy.__new__(Toy)
    clone.folder = tmp_path / "clone"
    toy.git("clone", "--quiet", ".", str(clone.folder))
    clone.dvc("pull", "--run-cache")
    clone.nothing_to_do()
    clone.edit("params.yaml", "A: {rate: 0.1}", "A: {rate: 0.7}")
    clone.snakemake()
    assert clone.ran() == ["A", "table"]


@pytest.mark.parametrize("edited", ["results/train/A/model.txt", "results/table.csv"])
def test_an_output_edited_by_hand_is_put_back_and_the_edit_kept(toy, edited):
    toy.snakemake()
    first = toy.read(edited)
    toy.ran()
    (toy.folder / edited).unlink()
    toy.write(edited, "mine\n")
    said = toy.snakemake()
    assert toy.read(edited) == first
    assert toy.ran() == []
    assert toy.read(f".snakemake/replaced/{edited}") == "mine\n"
    assert f"{edited} is not what its job made" in said
    toy.nothing_to_do()


def test_a_deleted_output_comes_back_from_the_cache(toy):
    toy.snakemake()
    toy.run("rm", "-r", "results/train/B", "results/data")
    toy.ran()
    toy.snakemake()
    assert toy.ran() == []
    toy.nothing_to_do()


def test_partial_targets_are_recorded(toy):
    toy.snakemake("results/train/A/model.txt")
    assert toy.ran() == ["A", "data"]
    toy.dvc("repro")
    assert toy.ran() == ["B", "table"]
    toy.nothing_to_do()


def test_what_dvc_knew_but_had_lost_does_not_hide_a_proof(toy):
    toy.snakemake()
    toy.run("rm", "-r", ".dvc/cache")
    toy.edit("params.yaml", "settings: [A, B]", "settings: [A]")
    toy.ran()
    toy.snakemake()
    assert toy.ran() == ["table"]
    toy.nothing_to_do()


@pytest.mark.parametrize("engine", ["snakemake", "snakemake in two calls", "dvc"])
def test_what_follows_a_job_that_made_the_same_bytes(toy, engine):
    toy.snakemake()
    toy.edit("workflow/scripts/data.py", "def main", "# a comment\ndef main")
    toy.ran()
    if engine == "snakemake in two calls":
        toy.snakemake("--until", "data")
    toy.dvc("repro") if engine == "dvc" else toy.snakemake()
    # Snakemake plans all that follows a job before it sees what the job makes
    assert toy.ran() == (ALL if engine == "snakemake" else ["data"])
    toy.nothing_to_do()


@pytest.mark.parametrize(
    ("held", "touched", "jobs"),
    [
        ("table", "results/train/A/model.txt", 1),
        ("A", "results/data/all/numbers.csv", 2),  # and the table, whose record comes first
    ],
)
def test_the_line_of_jobs_not_recorded_names_what_changed(toy, held, touched, jobs):
    toy.snakemake("results/train/B/model.txt")
    (toy.folder / f"wait_{held}").touch()
    snakemake = toy.start("snakemake", "--cores", "2")
    wait_for(toy, f"reached_{held}")
    (toy.folder / touched).touch()
    (toy.folder / f"wait_{held}").unlink()
    said = snakemake.communicate(timeout=200)[0]
    script = "table.py" if held == "table" else f"train.py --setting {held}"
    assert f"{jobs} jobs not recorded, as `workflow/scripts/{script}" in said
    assert f"{touched} was changed" in said


def test_until_and_forcerun_are_recorded(toy):
    toy.snakemake("--until", "data")
    assert toy.ran() == ["data"]
    toy.snakemake()
    toy.ran()
    toy.snakemake("--forcerun", "train")
    assert toy.ran() == ["A", "B", "table"]
    toy.nothing_to_do()


def test_what_was_done_before_a_failure_is_recorded(toy):
    (toy.folder / "fail_table").touch()
    toy.snakemake(ok=False)
    (toy.folder / "fail_table").unlink()
    toy.ran()
    toy.dvc("repro")
    assert toy.ran() == ["table"]
    toy.nothing_to_do()


def wait_for(toy, name):
    for _ in range(300):
        if (toy.folder / name).exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{name} was not reached")


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_what_was_done_before_an_interrupt_is_recorded(toy, kind):
    (toy.folder / "wait_table").touch()
    snakemake = toy.start("snakemake", "--cores", "2")
    wait_for(toy, "reached_table")
    os.killpg(snakemake.pid, kind)
    said = snakemake.communicate()[0]
    (toy.folder / "wait_table").unlink()
    toy.ran()
    if kind == signal.SIGKILL:
        toy.sync()
    toy.dvc("repro")
    assert toy.ran() == ["table"], said
    toy.nothing_to_do()


def test_dvc_refuses_while_snakemake_runs(toy):
    (toy.folder / "wait_data").touch()
    snakemake = toy.start("snakemake", "--cores", "2")
    wait_for(toy, "reached_data")
    said = toy.dvc("repro", ok=False)
    assert f"(PID {snakemake.pid}): snakemake" in said
    os.killpg(snakemake.pid, signal.SIGKILL)
    snakemake.communicate()


def test_snakemake_refuses_while_dvc_runs(toy):
    (toy.folder / "wait_data").touch()
    dvc = toy.start("dvc", "repro")
    wait_for(toy, "reached_data")
    said = toy.snakemake(ok=False)
    assert "reprise: DVC is at work here" in said
    assert "Traceback" not in said
    os.killpg(dvc.pid, signal.SIGKILL)
    dvc.communicate()
    (toy.folder / "wait_data").unlink()
    toy.snakemake()
    toy.ran()
    toy.nothing_to_do()


@pytest.mark.parametrize("mode", [pytest.param(0o644, marks=pytest.mark.exhaustive), 0o444])
def test_a_damaged_cache_gives_nothing_wrong(toy, mode):
    toy.snakemake()
    first = toy.read("results/train/B/model.txt")
    toy.edit("params.yaml", "B: {rate: 0.1}", "B: {rate: 0.2}")
    toy.snakemake()
    for path in (toy.folder / ".dvc/cache/files").rglob("*"):
        if path.is_file() and path.read_text() == first:
            path.chmod(0o644)
            path.write_text("B 9.9 24\n")
            path.chmod(mode)
    toy.edit("params.yaml", "B: {rate: 0.2}", "B: {rate: 0.1}")
    toy.ran()
    toy.snakemake()
    assert toy.ran() == ["B", "table"]
    assert toy.read("results/train/B/model.txt") == first
    toy.nothing_to_do()


def test_a_lock_file_with_conflicts_is_refused_with_the_way_out(toy):
    toy.snakemake()
    toy.edit("dvc.lock", "stages:", "<<<<<<< ours\nstages:\n=======\nstages:\n>>>>>>> theirs")
    said = toy.snakemake(ok=False)
    assert "reprise: dvc.lock: has merge conflicts; `git checkout --theirs dvc.lock`" in said
    assert "Traceback" not in said


def test_without_dvc_or_git_snakemake_runs_alone(toy):
    toy.run("rm", "-rf", ".dvc")
    said = toy.snakemake()
    assert toy.ran() == ALL
    assert "Nothing to be done" in toy.snakemake("-n")
    assert "reprise: no DVC here" in said


def test_stages_edited_by_hand_are_named(toy):
    toy.edit("dvc.yaml", "table.py --log", "table.py --more --log")
    said = toy.snakemake()
    assert "dvc.yaml" in said and "table.py" in said


@pytest.mark.skipif(shutil.which("chattr") is None, reason="no chattr to lock a folder with")
def test_results_that_cannot_be_written_are_named(toy):
    (toy.folder / "results").mkdir()
    if subprocess.run(["chattr", "+i", toy.folder / "results"], check=False).returncode:
        pytest.skip("this file system or user cannot lock a folder")
    try:
        said = toy.snakemake(ok=False)
    finally:
        subprocess.run(["chattr", "-i", toy.folder / "results"], check=True)
    assert "reprise: results/: cannot be written" in said
    assert "Traceback" not in said
    assert toy.ran() == []


def test_experiments_are_compared_by_names_that_a_person_reads(toy):
    toy.dvc("repro")
    toy.commit("results")
    toy.dvc("exp", "run", "--name", "quick", "-S", "train.recipes.B.rate=0.5")
    said = toy.dvc("params", "diff", "--json")
    assert json.loads(said)["params.yaml"]["train.recipes.B.rate"] == {
        "old": 0.1, "new": 0.5, "diff": 0.4,
    }  # fmt: skip
    assert "quick" in toy.dvc("exp", "show", "--no-pager")
    toy.ran()
    toy.nothing_to_do()
