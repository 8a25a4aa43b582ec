"""Promise: whatever the system does, a command says so in one line, and nothing is lost."""

import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from support import faults
from support.faults import Ending, ending_of_command, ending_of_main
from support.small_datasets import small_dataset
from support.small_workflow import PARAMS, ROOT, SmallWorkflow

from reprise.atomic_io import atomic_file
from reprise.datasets.writer import write_dataset

OUT = Path("results/prepare/all")
LOGGED = ["--log", "logs/prepare/all.log"]
DAY = 86400
ENGINES = {"snakemake": ["snakemake", "--cores", "1"], "dvc": ["dvc", "repro"]}
workflow = pytest.mark.workflow
exhaustive = pytest.mark.exhaustive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a job, with the two that it writes to."""
    folder = tmp_path / "job"
    for name in ("results", "logs/prepare"):
        (folder / name).mkdir(parents=True)
    (folder / "params.yaml").write_text(PARAMS)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> SmallWorkflow:
    return SmallWorkflow(tmp_path / "small")


def prepare() -> None:
    """What the stage of this name does, with 60 small images: 15 kB in four files."""
    images = np.resize(np.arange(256, dtype=np.uint8), (60, 8, 8, 3))
    labels = np.repeat(np.arange(3, dtype=np.uint8), 20)
    write_dataset(OUT, "all", small_dataset(images, labels, 3))
    logging.info("all: 60 images")


def refused(kind: str, ending: Ending, *words: str) -> None:
    """Assert that a command refused in one line that has these words."""
    faults.count(kind, ending)
    assert ending.outcome == "refused", ending
    assert all(word in ending.stderr for word in words), ending.stderr


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[None]:
    """A file system mounted at a folder; the test is skipped where this user may not."""
    if subprocess.run(["mount", *options, path], check=False, capture_output=True).returncode:
        pytest.skip("this user cannot mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@contextmanager
def full_disk(path: Path, left: int, size: str = "1m") -> Iterator[Callable[[], None]]:
    """A small file system of its own with that many kB left; yields what frees the rest."""
    with mounted(path, "-t", "tmpfs", "-o", f"size={size}", "none"):
        filling = path / "filling"

        def fill() -> None:
            with filling.open("wb", 0) as stream:
                while stream.write(bytes(4096)) == 4096:
                    pass

        with pytest.raises(OSError):
            fill()
        os.truncate(filling, filling.stat().st_size - left * 1024)
        yield filling.unlink


@contextmanager
def held(small: SmallWorkflow, engine: str, job: str) -> Iterator["subprocess.Popen[str]"]:
    """An engine that runs, held in one of its jobs."""
    (small.folder / f"wait_{job}").touch()
    with small.start(*ENGINES[engine]) as process:
        end = time.monotonic() + 60
        while not (small.folder / f"reached_{job}").exists():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        yield process
    (small.folder / f"wait_{job}").unlink(missing_ok=True)


def files(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("left", [0, 8])
def test_a_job_on_a_full_disk_refuses_and_then_goes_on(folder: Path, left: int) -> None:
    with full_disk(folder / "results", left) as free:
        ending = ending_of_main(prepare, LOGGED, folder)
        refused("full disk: output", ending, "results", "No space left on device")
        assert files(folder / "results") == ["filling"]
        free()
        assert ending_of_main(prepare, LOGGED, folder).outcome == "right"
        assert len(files(folder / "results")) == 4


def test_a_job_whose_files_may_not_be_that_large_refuses(folder: Path) -> None:
    """As a full disk, also where nobody may mount one."""

    def main() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
        prepare()

    ending = ending_of_main(main, LOGGED, folder)
    refused("full disk: output", ending, "results/prepare/all/images.npy: cannot be written")
    assert files(folder / "results") == []


def test_a_job_without_room_for_its_log_and_record_refuses(folder: Path) -> None:
    with full_disk(folder / "logs", left=0) as free:
        ending = ending_of_main(prepare, ["--log", "logs/all.log"], folder)
        said = ending.stderr.splitlines()
        assert ending.status == 1 and said[0] == "all: all: 60 images" and len(said) == 2, ending
        assert said[1].startswith("reprise: ") and "No space left on device" in said[1]
        assert not list((folder / "logs").rglob("*.json"))
        assert not list(folder.rglob("*.part"))
        faults.count("full disk: log and record", "refused")
        free()
        assert ending_of_main(prepare, ["--log", "logs/all.log"], folder).outcome == "right"
        assert json.loads((folder / "logs/all.json").read_text())["outputs"]


@exhaustive
@pytest.mark.parametrize("out", ["classes.csv", "masks"])
def test_predict_on_a_full_disk_refuses_and_then_goes_on(tmp_path: Path, out: str) -> None:
    import torch  # in seconds
    from support.small_project import CLASSES, MASKS, write_project

    from reprise import __main__

    def main() -> None:
        torch.set_num_threads(1)  # the threads of this process are not in the forked one
        __main__.main()

    project = tmp_path / "project"
    write_project(project)
    disk = project / "disk"
    disk.mkdir()
    words = ["predict", MASKS if out == "masks" else CLASSES, "--images", "images"]
    words += ["--out", f"disk/{out}"]
    with full_disk(disk, left=0) as free:
        refused("full disk: predict", ending_of_main(main, words, project), "No space left")
        assert files(disk) == ["filling"]
        free()
        assert ending_of_main(main, words, project).outcome == "right"
    with mounted(disk, "-t", "tmpfs", "-o", "ro", "none"):
        ending = ending_of_main(main, words, project)
    refused("read-only folder: predict", ending, f"disk/{out}", "Read-only file system")


@pytest.mark.parametrize("place", ["results", "logs"])
def test_a_folder_that_is_read_only_is_named(folder: Path, place: str) -> None:
    with mounted(folder / place, "-t", "tmpfs", "-o", "ro", "none"):
        ending = ending_of_main(prepare, LOGGED, folder)
    refused(f"read-only {place}", ending, place, "Read-only file system")
    assert ending_of_main(prepare, LOGGED, folder).outcome == "right"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_interrupted_says_so_and_leaves_nothing(
    folder: Path, kind: signal.Signals
) -> None:
    def main() -> None:
        with atomic_file(OUT / "images.npy") as temporary:
            temporary.write_bytes(b"half")
            os.kill(os.getpid(), kind)
            time.sleep(5)

    ending = ending_of_main(main, LOGGED, folder)
    said = ending.stderr.splitlines()
    assert ending.status == 128 + kind and ending.changed == (), ending
    assert len(said) == 1 and said[0].startswith("reprise: "), ending.stderr
    faults.count(f"{kind.name} of a job", "refused")


def test_what_a_killed_job_left_is_removed_by_the_next(folder: Path) -> None:
    def main() -> None:
        with atomic_file(OUT / "images.npy") as temporary:
            temporary.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)

    killed = ending_of_main(main, LOGGED, folder)
    assert killed.status == -signal.SIGKILL and len(killed.changed) == 1
    ending = ending_of_main(prepare, LOGGED, folder)
    faults.count("SIGKILL of a job while it writes", ending)
    assert ending.outcome == "right" and len(files(folder / "results")) == 4


def test_a_reader_that_stops_early_ends_the_tables_without_a_word(folder: Path) -> None:
    (folder / "results/tables").mkdir()
    rows = f"| {'x' * 300} | 0.5 |\n" * 300  # more than a pipe holds
    table = folder / "results/tables/classify_baseline.md"
    table.write_text(f"| run | accuracy |\n|---|---:|\n{rows}")
    show = f"{sys.executable} -m reprise.engines.show tables | head -1"
    ending = ending_of_command(["bash", "-c", show], folder, PYTHONPATH=str(ROOT / "src"))
    faults.count("broken pipe", ending)
    assert ending.outcome == "right" and ending.stderr == "", ending


@exhaustive
@pytest.mark.parametrize("command", ["reprise", "reprise predict", "reprise compare"])
def test_a_reader_that_stops_early_ends_a_help_text_without_a_word(
    folder: Path, command: str
) -> None:
    line = f"{sys.executable} -m {command} --help | true"
    ending = ending_of_command(["bash", "-c", line], folder, PYTHONPATH=str(ROOT / "src"))
    faults.count("broken pipe", ending)
    assert ending.outcome == "right" and ending.stderr == "", ending


def finish(small: SmallWorkflow, engine: str) -> None:
    """The same command ends in the bytes of an undisturbed run, with nothing left over."""
    small.build(engine)
    runs = {"A": 0.1, "B": 0.1}
    models = {name: f"{name} {rate} 24\n" for name, rate in runs.items()}
    for name, model in models.items():
        assert small.read(f"results/classify/baseline/{name}/0/model.txt") == model
        assert small.read(f"results/classify/baseline/{name}/0/masks/one.txt") == "0.1\n"
    assert small.read("results/table.csv") == "".join(models.values())
    assert not list(small.folder.rglob("*.part"))


@workflow
@exhaustive
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_engine_that_is_interrupted_goes_on(
    small: SmallWorkflow, engine: str, kind: signal.Signals
) -> None:
    with held(small, engine, "B") as process:
        os.killpg(process.pid, kind)
        printed = process.communicate(timeout=20)[0]
    assert process.returncode != 0 and "reprise: unexpected error" not in printed
    small.ran()
    finish(small, engine)
    assert "prepare" not in small.ran()
    faults.count(f"{kind.name} of an engine", "right")


@workflow
@exhaustive
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_whose_job_is_killed_says_so_and_goes_on(
    small: SmallWorkflow, engine: str
) -> None:
    with held(small, engine, "B") as process:
        for child in psutil.Process(process.pid).children(recursive=True):
            if "--run" in child.cmdline() and child.cmdline()[0].endswith("python"):
                child.kill()
        printed = process.communicate(timeout=20)[0]
    assert process.returncode != 0 and "classify.py --run B" in printed
    small.ran()
    finish(small, engine)
    assert small.ran() in (["B", "evaluate"], ["A", "B", "evaluate"])
    faults.count("SIGKILL of one job", "right")


@workflow
@exhaustive
def test_snakemake_goes_on_when_nobody_reads_what_it_prints(small: SmallWorkflow) -> None:
    small.run("bash", "-c", "snakemake --cores 2 2>&1 | head -3")
    finish(small, "snakemake")
    small.run("bash", "-c", "snakemake --cores 2 -n | true")
    finish(small, "snakemake")
    small.ran()
    small.nothing_to_do()
    faults.count("broken pipe", "right")


@workflow
@exhaustive
@pytest.mark.parametrize("engine", ENGINES)
def test_a_disk_that_fills_while_an_engine_runs_costs_nothing(tmp_path: Path, engine: str) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    with mounted(place, "-t", "tmpfs", "-o", "size=16m", "none"):
        small = SmallWorkflow(place / "small")
        with held(small, engine, "B") as process:
            filling = place / "filling"
            with filling.open("wb", 0) as stream, suppress(OSError):
                while stream.write(bytes(4096)) == 4096:
                    pass
            (small.folder / "wait_B").unlink()
            printed = process.communicate(timeout=60)[0]
        assert process.returncode != 0, printed
        filling.unlink()
        finish(small, engine)
        small.ran()
        small.nothing_to_do()
    faults.count("full disk: engine", "right")


@workflow
@exhaustive
@pytest.mark.parametrize("engine", ENGINES)
def test_a_branch_that_is_left_and_checked_out_again_trains_nothing(
    small: SmallWorkflow, engine: str
) -> None:
    small.build(engine)
    small.commit("results")
    first = small.read("results/table.csv")
    small.git("checkout", "--quiet", "-b", "other")
    small.edit("params.yaml", "B: {learning_rate: 0.1", "B: {learning_rate: 0.2")
    small.build(engine)
    small.commit("other results")
    small.ran()
    for branch, table in (("-", first), ("other", first.replace("B 0.1", "B 0.2"))):
        small.git("checkout", "--quiet", branch)
        small.build(engine)
        assert small.read("results/table.csv") == table
        assert not {"A", "B", "prepare"} & set(small.ran())
    faults.count("branch switched between runs", "right")


@workflow
@exhaustive
@pytest.mark.parametrize("engine", ENGINES)
def test_an_older_commit_checked_out_with_dvc_trains_nothing(
    small: SmallWorkflow, engine: str
) -> None:
    small.build(engine)
    small.commit("first results")
    first = small.read("results/table.csv")
    small.edit("params.yaml", "B: {learning_rate: 0.1", "B: {learning_rate: 0.2")
    small.build(engine)
    small.commit("second results")
    small.ran()
    small.git("checkout", "--quiet", "HEAD~1")
    small.dvc("checkout")
    assert small.read("results/classify/baseline/B/0/model.txt") == "B 0.1 24\n"
    small.build(engine)
    assert small.read("results/table.csv") == first
    assert not {"A", "B", "prepare"} & set(small.ran())
    small.nothing_to_do()
    faults.count("dvc checkout of an older commit", "right")


@workflow
@exhaustive
@pytest.mark.parametrize("ahead", [DAY, -DAY])
def test_a_clock_that_is_set_between_runs_hides_no_edit(small: SmallWorkflow, ahead: int) -> None:
    """The first run is of a clock that was wrong; the files have the time that it gave them."""
    small.snakemake()
    for record in (small.folder / "logs").rglob("*.json"):
        content = json.loads(record.read_text())
        record.write_text(json.dumps(content | {"started": content["started"] + ahead * 10**9}))
    for path in (small.folder / "results").rglob("*"):
        os.utime(path, (time.time() + ahead,) * 2)
    small.ran()
    small.edit("params.yaml", "B: {learning_rate: 0.1", "B: {learning_rate: 0.2")
    small.snakemake()
    assert small.ran() == ["B", "evaluate"] and "B 0.2" in small.read("results/table.csv")
    small.edit("src/small.py", "2 * number", "number + number + 0")
    small.snakemake()
    assert small.ran() == ["A", "B", "evaluate"]
    small.nothing_to_do()
    faults.count("clock set", "right")


@workflow
@exhaustive
def test_a_record_of_a_clock_that_was_ahead_proves_nothing(small: SmallWorkflow) -> None:
    """Snakemake is killed before it reports to DVC, the clock is set back, a source is edited."""
    with held(small, "snakemake", "evaluate") as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    for record in (small.folder / "logs").rglob("*.json"):
        content = json.loads(record.read_text())
        record.write_text(json.dumps(content | {"started": content["started"] + DAY * 10**9}))
    small.ran()
    small.edit("src/small.py", "2 * number", "4 * number")
    small.snakemake()
    assert small.ran() == ["A", "B", "evaluate", "prepare"]
    assert small.read("results/table.csv") == "A 0.2 24\nB 0.2 24\n"
    faults.count("clock set", "right")


@workflow
@exhaustive
@pytest.mark.skipif(shutil.which("faketime") is None, reason="Debian's faketime is not installed")
def test_a_run_under_a_clock_that_is_a_day_ahead_is_known_to_both_engines(
    small: SmallWorkflow,
) -> None:
    own = {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}  # or Snakemake waits for ever
    small.run("faketime", "-f", "+1d", "snakemake", "--cores", "2", **own)
    small.ran()
    small.nothing_to_do()
    small.edit("params.yaml", "B: {learning_rate: 0.1", "B: {learning_rate: 0.2")
    small.snakemake()
    assert small.ran() == ["B", "evaluate"] and "B 0.2" in small.read("results/table.csv")
    small.nothing_to_do()
    faults.count("clock set", "right")
