"""Snakemake and DVC share results/ and trust each other's outputs, whichever ran last."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from support.small_workflow import SmallWorkflow

ALL = ["A", "B", "evaluate", "prepare"]


@pytest.fixture
def small(tmp_path):
    return SmallWorkflow(tmp_path / "small")


@pytest.fixture
def engine():
    """Of the run that `built` is a copy of."""
    return "snakemake"


@pytest.fixture
def built(engine, tmp_path, tmp_path_factory):
    """The project after a run of an engine."""
    return SmallWorkflow.built(tmp_path_factory, engine, tmp_path / "small")


def test_dvc_has_nothing_to_do_after_snakemake(small):
    small.snakemake()
    assert small.ran() == ALL
    small.nothing_to_do()


def test_snakemake_has_nothing_to_do_after_dvc(small):
    small.dvc("repro")
    assert small.ran() == ALL
    small.nothing_to_do()


@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_a_value_set_back_trains_nothing(built, engine):
    first = built.read("results/table.csv")
    built.edit("params.yaml", "B: {learning_rate: 0.1", "B: {learning_rate: 0.2")
    built.ran()
    built.build(engine)
    assert built.ran() == ["B", "evaluate"]
    built.edit("params.yaml", "B: {learning_rate: 0.2", "B: {learning_rate: 0.1")
    built.build(engine)
    # DVC alone keeps no run of a stage whose outputs it does not cache
    assert built.ran() == {"snakemake": [], "dvc": ["evaluate"]}[engine]
    assert built.read("results/table.csv") == first
    built.nothing_to_do()


def test_files_that_dvc_changed_are_not_called_fresh(built):
    first = built.read("results/table.csv")
    built.dvc("exp", "run", "-S", "classify.baseline.recipes.B.learning_rate=0.2")
    built.edit("params.yaml", "learning_rate: 0.2", "learning_rate: 0.1")
    built.run("rm", "-r", ".dvc/cache/runs", ".dvc/cache/files")  # nothing to restore
    built.ran()
    assert "classify" in built.snakemake("-n", "--quiet", "progress")
    built.snakemake()
    assert built.ran() == ["B", "evaluate"]
    assert built.read("results/table.csv") == first
    built.nothing_to_do()


def test_touch_over_stale_files_poisons_nothing(built):
    built.edit("params.yaml", "B: {learning_rate: 0.1", "B: {learning_rate: 0.3")
    built.snakemake("--touch")
    assert "classify_baseline@B" in built.dvc("status")
    built.ran()
    built.snakemake()
    assert built.ran() == ["B", "evaluate"]
    assert "B 0.3" in built.read("results/table.csv")
    built.nothing_to_do()


@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_an_edit_of_a_source_file_reruns_the_jobs_that_import_it(built, engine):
    built.ran()
    built.edit("src/small.py", "def twice", "# a comment\ndef twice")
    status = built.dvc("status")
    assert "code:" in status and "classify_baseline" not in status
    built.build(engine)
    # the models have the same bytes; Snakemake plans evaluate before it sees that
    assert built.ran() == {"snakemake": ["A", "B", "evaluate"], "dvc": ["A", "B"]}[engine]
    built.nothing_to_do()


def test_another_source_file_reruns_nothing(built):
    built.ran()
    built.write("src/other.py", "")
    assert set(re.findall(r"^(\w+)[@:]", built.dvc("status"), re.M)) == {"code"}
    built.nothing_to_do()


def test_deleted_code_files_come_back_and_rerun_nothing(built):
    built.ran()
    built.run("rm", "-r", "workflow/code")
    built.dvc("repro")
    assert built.ran() == []
    built.nothing_to_do()


def test_a_clone_that_pulls_has_nothing_to_do(built, tmp_path):
    built.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    built.dvc("push", "--run-cache")
    built.commit("results")
    clone = SmallWorkflow.at(tmp_path / "clone")
    built.git("clone", "--quiet", ".", str(clone.folder))
    clone.dvc("pull", "--run-cache")
    clone.dvc("repro")  # writes workflow/code
    assert clone.ran() == []
    clone.nothing_to_do()
    clone.edit("params.yaml", "A: {learning_rate: 0.1", "A: {learning_rate: 0.7")
    clone.snakemake()
    assert clone.ran() == ["A", "evaluate"]


def test_a_fresh_clone_takes_results_from_a_cache_outside(small, tmp_path):
    small.dvc("cache", "dir", str(tmp_path / "cache"))
    small.dvc("repro")
    small.commit("results")
    clone = SmallWorkflow.at(tmp_path / "clone")
    small.git("clone", "--quiet", ".", str(clone.folder))
    clone.snakemake()
    assert clone.ran() == []
    assert clone.read("results/table.csv") == "A 0.1 24\nB 0.1 24\n"


@pytest.mark.parametrize("edited", ["results/classify/baseline/A/0/model.txt", "results/table.csv"])
def test_an_output_edited_by_hand_is_put_back_and_the_edit_kept(built, edited):
    first = built.read(edited)
    built.ran()
    (built.folder / edited).unlink()
    built.write(edited, "mine\n")
    printed = built.snakemake()
    assert built.read(edited) == first
    assert built.ran() == []
    assert built.read(f".snakemake/replaced/{edited}") == "mine\n"
    assert f"{edited} is not what its job wrote" in printed
    built.nothing_to_do()


def test_a_deleted_output_comes_back_from_the_cache(built):
    built.run("rm", "-r", "results/classify/baseline/B", "results/prepare")
    built.ran()
    built.snakemake()
    assert built.ran() == []
    built.nothing_to_do()


def test_partial_targets_are_recorded(small):
    small.snakemake("results/classify/baseline/A/0/model.txt")
    assert small.ran() == ["A", "prepare"]
    small.dvc("repro")
    assert small.ran() == ["B", "evaluate"]
    small.nothing_to_do()


def test_what_dvc_knew_but_had_lost_does_not_hide_a_proof(small):
    small.snakemake()
    small.run("rm", "-r", ".dvc/cache")
    small.edit("params.yaml", "runs: [A, B]", "runs: [A]")
    small.ran()
    small.snakemake()
    assert small.ran() == ["evaluate"]
    small.nothing_to_do()


@pytest.mark.parametrize("again", ["snakemake", "snakemake in two calls", "dvc"])
def test_what_follows_a_job_that_made_the_same_bytes(built, again):
    built.edit("workflow/scripts/prepare.py", "def main", "# a comment\ndef main")
    built.ran()
    if again == "snakemake in two calls":
        built.snakemake("--until", "prepare")
    built.dvc("repro") if again == "dvc" else built.snakemake()
    # Snakemake plans all that follows a job before it sees what the job makes
    assert built.ran() == (ALL if again == "snakemake" else ["prepare"])
    built.nothing_to_do()


@pytest.mark.parametrize(
    ("held", "touched", "jobs"),
    [
        ("evaluate", "results/classify/baseline/A/0/model.txt", 1),
        ("A", "results/prepare/all/numbers.csv", 2),  # and evaluate, whose record comes first
        ("A", "src/small.py", 2),
    ],
)
def test_the_line_of_jobs_not_recorded_names_what_changed(small, held, touched, jobs):
    small.snakemake("results/classify/baseline/B/0/model.txt")
    (small.folder / f"wait_{held}").touch()
    snakemake = small.start("snakemake", "--cores", "2")
    wait_for(small, f"reached_{held}")
    (small.folder / touched).touch()
    (small.folder / f"wait_{held}").unlink()
    printed = snakemake.communicate(timeout=200)[0]
    script = "evaluate.py" if held == "evaluate" else f"classify.py --run {held}"
    assert f"{jobs} jobs not recorded, such as `workflow/scripts/{script}" in printed
    assert f"{touched} was changed" in printed


def test_until_and_forcerun_are_recorded(small):
    small.snakemake("--until", "prepare")
    assert small.ran() == ["prepare"]
    small.snakemake()
    small.ran()
    small.snakemake("--forcerun", "classify")
    assert small.ran() == ["A", "B", "evaluate"]
    small.nothing_to_do()


def test_what_was_done_before_a_failure_is_recorded(small):
    (small.folder / "fail_evaluate").touch()
    small.snakemake(ok=False)
    (small.folder / "fail_evaluate").unlink()
    small.ran()
    small.dvc("repro")
    assert small.ran() == ["evaluate"]
    small.nothing_to_do()


def wait_for(small, name):
    for _ in range(1800):  # of a busy machine
        if (small.folder / name).exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{name} was not reached")


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_what_was_done_before_an_interrupt_is_recorded(small, kind):
    (small.folder / "wait_evaluate").touch()
    snakemake = small.start("snakemake", "--cores", "2")
    wait_for(small, "reached_evaluate")
    os.killpg(snakemake.pid, kind)
    printed = snakemake.communicate()[0]
    (small.folder / "wait_evaluate").unlink()
    small.ran()
    if kind == signal.SIGKILL:
        small.sync()
    small.dvc("repro")
    assert small.ran() == ["evaluate"], printed
    small.nothing_to_do()


def test_dvc_refuses_while_snakemake_runs(small):
    (small.folder / "wait_prepare").touch()
    snakemake = small.start("snakemake", "--cores", "2")
    wait_for(small, "reached_prepare")
    printed = small.dvc("repro", ok=False)
    assert f"(PID {snakemake.pid}): snakemake" in printed
    os.killpg(snakemake.pid, signal.SIGKILL)
    snakemake.communicate()


def test_snakemake_refuses_while_dvc_runs(small):
    (small.folder / "wait_prepare").touch()
    dvc = small.start("dvc", "repro")
    wait_for(small, "reached_prepare")
    printed = small.snakemake(ok=False)
    assert "reprise: DVC is at work here" in printed
    assert "Traceback" not in printed
    os.killpg(dvc.pid, signal.SIGKILL)
    dvc.communicate()
    (small.folder / "wait_prepare").unlink()
    small.snakemake()
    small.ran()
    small.nothing_to_do()


@pytest.mark.parametrize("mode", [pytest.param(0o644, marks=pytest.mark.exhaustive), 0o444])
def test_a_damaged_cache_gives_nothing_wrong(built, mode):
    first = built.read("results/classify/baseline/B/0/model.txt")
    built.edit("params.yaml", "B: {learning_rate: 0.1", "B: {learning_rate: 0.2")
    built.snakemake()
    for path in (built.folder / ".dvc/cache/files").rglob("*"):
        if path.is_file() and path.read_text() == first:
            path.chmod(0o644)
            path.write_text("B 9.9 24\n")
            path.chmod(mode)
    built.edit("params.yaml", "B: {learning_rate: 0.2", "B: {learning_rate: 0.1")
    built.ran()
    built.snakemake()
    assert built.ran() == ["B", "evaluate"]
    assert built.read("results/classify/baseline/B/0/model.txt") == first
    built.nothing_to_do()


def test_a_lock_file_with_conflicts_is_refused_with_the_way_out(built):
    built.edit("dvc.lock", "stages:", "<<<<<<< ours\nstages:\n=======\nstages:\n>>>>>>> theirs")
    printed = built.snakemake(ok=False)
    assert "reprise: dvc.lock: has merge conflicts; `git checkout --theirs dvc.lock`" in printed
    assert "Traceback" not in printed


def test_without_dvc_or_git_snakemake_runs_alone(small):
    small.run("rm", "-rf", ".dvc")
    printed = small.snakemake()
    assert small.ran() == ALL
    assert "Nothing to be done" in small.snakemake("-n")
    assert "reprise: no DVC here" in printed


def test_stages_edited_by_hand_are_named(small):
    small.edit("dvc.yaml", "evaluate.py --log", "evaluate.py --more --log")
    printed = small.snakemake()
    assert "dvc.yaml" in printed and "evaluate.py" in printed


def test_a_task_that_only_dvc_yaml_has_is_refused_with_the_way_out(built):
    built.edit("dvc.yaml", "${classify.baseline.runs}", "${classify.gone.runs}")
    printed = built.snakemake("-n", ok=False)
    assert "Could not find 'classify.gone" in printed
    assert "; run `make dvc.yaml`" in printed and "Traceback" not in printed


@pytest.mark.skipif(shutil.which("chattr") is None, reason="no chattr to lock a folder with")
def test_results_that_cannot_be_written_are_named(small):
    (small.folder / "results").mkdir()
    if subprocess.run(["chattr", "+i", small.folder / "results"], check=False).returncode:
        pytest.skip("this file system or user cannot lock a folder")
    try:
        printed = small.snakemake(ok=False)
    finally:
        subprocess.run(["chattr", "-i", small.folder / "results"], check=True)
    assert "reprise: results/: cannot be written" in printed
    assert "Traceback" not in printed
    assert small.ran() == []


@pytest.mark.skipif(os.getuid() or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_a_user_without_a_name_works_and_dvc_lock_may_be_read_only(small, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    capability = "-all,+dac_read_search"  # to read the environment, wherever it is
    user = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    user += [f"--{kind}={capability}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    nameless = dict.fromkeys(("USER", "LOGNAME", "LNAME", "USERNAME"), "")
    small.run("chown", "-R", "12345:12345", ".", str(home))

    def snakemake(*targets):
        return small.run(*user, "snakemake", "-c1", *targets, HOME=str(home), **nameless)

    printed = snakemake("results/prepare/all/numbers.csv")
    assert "1 jobs of Snakemake recorded" in printed
    small.run("chown", "root", "dvc.lock")
    small.ran()
    printed = snakemake()
    assert "reprise: DVC learns nothing of this run: dvc.lock: Permission denied\n" in printed
    assert small.ran() == ["A", "B", "evaluate"] and "Traceback" not in printed


def test_experiments_are_compared_by_names_that_a_person_reads(small):
    small.dvc("repro")
    small.commit("results")
    key = "classify.baseline.recipes.B.learning_rate"
    small.dvc("exp", "run", "--name", "quick", "-S", f"{key}=0.5")
    printed = small.dvc("params", "diff", "--json")
    assert json.loads(printed)["params.yaml"][key] == {
        "old": 0.1, "new": 0.5, "diff": 0.4,
    }  # fmt: skip
    assert "quick" in small.dvc("exp", "show", "--no-pager")
    small.ran()
    small.nothing_to_do()
