"""`reprise gc`: what no commit, experiment or parameter needs is shown, and deleted on request."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.small_project import CLASSES, MASKS, values

from reprise.engines import collect
from reprise.errors import RepriseError
from reprise.params.load import parse

AUTHOR = ["-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false"]
OUTS = ["results/one.txt", "results/folder"]


def git(*words: str) -> str:
    command = ["git", *AUTHOR, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def state(text: str, commit: bool = True) -> str:
    """Outputs with this content in DVC's cache; in a commit too, whose name is returned."""
    from dvc.repo import Repo

    Path("results/folder").mkdir(parents=True, exist_ok=True)
    Path("results/one.txt").write_text(f"one {text}")
    Path("results/folder/two.txt").write_text(f"two {text}")
    with Repo() as repo:
        repo.commit(force=True)
    if not commit:
        return ""
    git("add", "--all")
    git("commit", "--quiet", "-m", text)
    return git("rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits, an experiment, a present state, and one that is nobody's."""
    monkeypatch.chdir(tmp_path)
    from dvc.repo import Repo

    git("init", "--quiet")
    Repo.init(".").close()
    Path("params.yaml").write_text(yaml.safe_dump(values()))
    Path(".gitignore").write_text("/results/\n/logs/\n/live/\n/.snakemake/\n")
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"all": {"cmd": "true", "outs": OUTS}}}))
    state("first")
    second = state("second")
    experiment = state("experiment")
    git("update-ref", f"refs/exps/{second[:2]}/{second[2:]}/mine", experiment)
    git("reset", "--quiet", "--hard", second)
    state("nobody", commit=False)
    state("present", commit=False)
    return tmp_path


def contents() -> set[str]:
    """The texts of the files in the cache."""
    files = Path(".dvc/cache/files/md5").glob("??/*")
    return {path.read_text() for path in files if path.suffix != ".dir"}


def output(patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    patch.setattr(sys, "argv", ["reprise gc", *words])
    collect.main()
    return capsys.readouterr().out


def of(*states: str) -> set[str]:
    return {f"{name} {state}" for name in ("one", "two") for state in states}


def test_only_what_nobody_needs_is_deleted_and_only_on_request(project, monkeypatch, capsys):
    kept = of("first", "second", "experiment", "present")
    assert contents() == kept | of("nobody")
    text = output(monkeypatch, capsys)
    assert "in DVC's cache, of no commit, experiment or present result: 3 files" in text
    assert "nothing was deleted: `reprise gc --force` does it" in text
    assert contents() == kept | of("nobody")
    assert output(monkeypatch, capsys, "--force").endswith("deleted\n")
    assert contents() == kept
    assert "DVC's cache, of no commit, experiment or present result: nothing" in output(
        monkeypatch, capsys
    )
    subprocess.run([sys.executable, "-m", "dvc", "checkout", "--quiet"], check=True)
    assert Path("results/folder/two.txt").read_text() == "two present"


def test_results_of_jobs_that_params_yaml_does_not_have(project, monkeypatch, capsys):
    gone = "classify/baseline/gone/0"
    for name in (CLASSES, MASKS, gone, "prepare/zones", "prepare/old"):
        for path in (f"results/{name}/a.txt", f"logs/{name}.log", f"live/{name}/metrics.json"):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("x")
    for path in ("results/classify/baseline/cnn/.0.checkpoint", f"logs/{gone}.json",
                 "results/classify/baseline/gone/.0.checkpoint", "logs/evaluate.log"):  # fmt: skip
        Path(path).write_text("x")
    results, logs = collect.unused_jobs(parse(values()))
    assert {str(path) for path in results.paths} == {f"results/{gone}", "results/prepare/old"}
    assert {str(path) for path in logs.paths} == {
        f"logs/{gone}.log", f"logs/{gone}.json", f"live/{gone}", "logs/prepare/old.log",
        "live/prepare/old", "results/classify/baseline/gone/.0.checkpoint",
    }  # fmt: skip
    replaced = Path(".snakemake/replaced/edited.csv")
    replaced.parent.mkdir(parents=True)
    replaced.write_text("x")
    output(monkeypatch, capsys, "--force")
    assert not any(path.exists() for path in [*results.paths, *logs.paths, replaced])
    assert Path(f"results/{CLASSES}/a.txt").exists() and Path("logs/evaluate.log").exists()


def test_what_a_running_experiment_has_stored_is_kept(project, monkeypatch, capsys):
    folder = Path(".dvc/tmp/exps/tmpabc")
    folder.mkdir(parents=True)
    lock = Path("dvc.lock").read_bytes()
    state("running", commit=False)
    Path("dvc.lock").rename(folder / "dvc.lock")
    Path("dvc.lock").write_bytes(lock)
    output(monkeypatch, capsys, "--force")
    assert contents() == of("first", "second", "experiment", "present", "running")


def test_what_is_stored_while_it_looks_is_kept(project, monkeypatch):
    looked = collect.referenced

    def referenced() -> set[str]:
        needed = looked()
        state("late", commit=False)
        return needed

    monkeypatch.setattr(collect, "referenced", referenced)
    names = [path.parent.name + path.name for path in collect.unused_cache().paths]
    texts = {
        Path(f".dvc/cache/files/md5/{n[:2]}/{n[2:]}").read_text() for n in names if "." not in n
    }
    assert texts == of("nobody")


def test_a_link_to_a_folder_is_deleted_and_the_folder_is_kept(
    project, monkeypatch, capsys, tmp_path_factory
):
    other = tmp_path_factory.mktemp("large disk")
    (other / "model.txt").write_text("x")
    for name in ("results/classify/baseline/gone/0", "live/classify/baseline/gone/0"):
        Path(name).parent.mkdir(parents=True)
        Path(name).symlink_to(other)
    output(monkeypatch, capsys, "--force")
    assert not Path("results/classify/baseline/gone/0").is_symlink()
    assert not Path("live/classify/baseline/gone/0").is_symlink()
    assert (other / "model.txt").read_text() == "x"


def test_a_cache_that_others_may_use_is_left_alone(project, monkeypatch, tmp_path_factory):
    shared = tmp_path_factory.mktemp("shared")
    command = [sys.executable, "-m", "dvc", "cache", "dir", "--local", str(shared)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(RepriseError, match="is not in this project, and others may use it"):
        collect.unused_cache()


def test_without_dvc_there_is_nothing_to_compare_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reprise gc"])
    with pytest.raises(RepriseError, match="no .dvc or no Git here"):
        collect.main()


def test_sizes_in_words():
    assert [collect.in_words(n) for n in (0, 999, 5_300, 7_000_000, 3_240_000_000)] == [
        "0 bytes", "999 bytes", "5 kB", "7 MB", "3.2 GB",
    ]  # fmt: skip
