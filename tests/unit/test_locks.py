"""engines/locks: one at a time works in results/, and who it is is said."""

import errno
import json
import os
import subprocess
from pathlib import Path
from typing import IO

import dvc.rwlock
import pytest
from dvc.fs import localfs

from reprise.engines import locks
from reprise.errors import RepriseError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    return tmp_path


def test_a_second_run_is_refused_with_the_process_of_the_first_one() -> None:
    with locks.turn_to_sync(), locks.only_run(os.getpid()):
        # at once: it does not wait for the comparison of a run
        with pytest.raises(locks.RunAtWork, match=rf"snakemake \(PID {os.getpid()}\) is at work"):
            locks.turn_to_sync().__enter__()
        with pytest.raises(locks.RunAtWork):
            locks.only_run().__enter__()
    with locks.turn_to_sync(), locks.only_run():
        assert locks.RUNNING.read_text() == ""


def test_the_locks_of_a_killed_run_are_removed(folder: Path) -> None:
    (folder / ".snakemake/locks").mkdir(parents=True)
    (folder / ".snakemake/locks/0.output.lock").write_text("results/table.csv\n")
    locks.RUNNING.write_text("1")  # a process that lives, but has no lock
    with locks.turn_to_sync(), locks.only_run():
        locks.remove_stale_locks()
    assert not list((folder / ".snakemake/locks").iterdir())


@pytest.mark.parametrize("text", ["", '{"write": '])
def test_a_lock_file_that_dvc_left_cut_short_is_replaced(folder: Path, text: str) -> None:
    path = folder / ".dvc/tmp/rwlock"
    path.write_text(text)
    with locks.dvc_kept_out("snakemake"):
        written = json.loads(path.read_text())["write"]
        assert written == {str(folder / "results"): {"pid": os.getpid(), "cmd": "snakemake"}}
    assert "write" not in json.loads(path.read_text())


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (
            "/a/b/dvc repro x",
            "DVC is at work here: dvc repro x (PID {pid}); wait until it ends",
        ),
        ("snakemake", "snakemake (PID {pid}) is at work here; wait until it ends"),
    ],
)
def test_a_command_of_dvc_is_named(folder: Path, command: str, line: str) -> None:
    owner = {"pid": os.getppid(), "cmd": command}
    busy = {"write": {str(folder / "results/table.csv"): owner}}
    (folder / ".dvc/tmp/rwlock").write_text(json.dumps(busy))
    with pytest.raises(RepriseError) as raised:
        locks.dvc_kept_out("snakemake").__enter__()
    assert str(raised.value) == line.format(pid=os.getppid())


def test_a_kill_while_dvc_locks_in_our_process_leaves_its_lock_file_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a bare `dvc repro` would not start after it."""
    path, dump, seen = folder / ".dvc/tmp/rwlock", json.dump, []
    path.write_text("{}")

    def dump_and_read(lock: object, stream: IO[str]) -> None:
        dump(lock, stream)
        stream.flush()
        seen.append(json.loads(path.read_text()))  # what a kill at this moment would leave

    monkeypatch.setattr(dvc.rwlock.json, "dump", dump_and_read)
    as_a_stage = (str(folder / ".dvc/tmp"), localfs, "sync", ["a"], ["b"], False)
    with locks.alone(), dvc.rwlock.rwlock(*as_a_stage):
        assert set(json.loads(path.read_text())["write"]) == {"b", str(folder / "results")}
    assert len(seen) == 4
    assert json.loads(path.read_text()) == {"read": {}}


def no_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the file system have no locks, as Lustre without the option flock."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.fcntl, "flock", refuse)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_file_locks_the_owner_on_this_node_counts(
    number: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_locks(monkeypatch, number)
    with locks.turn_to_sync(), locks.only_run(os.getpid()):
        with pytest.raises(locks.RunAtWork, match=rf"PID {os.getpid()}\) is at work here"):
            locks.only_run().__enter__()
        assert locks.RUNNING.read_text().split() == [str(os.getpid()), os.uname().nodename]
    with subprocess.Popen(["true"]) as process:
        process.wait()
    # of a process that was killed
    locks.RUNNING.write_text(f"{process.pid} {os.uname().nodename}")
    (folder / ".snakemake/locks").mkdir()
    (folder / ".snakemake/locks/0.output.lock").write_text("results/table.csv\n")
    with locks.turn_to_sync(), locks.only_run(os.getpid()):
        locks.remove_stale_locks()
    assert not list((folder / ".snakemake/locks").iterdir())


def test_another_error_of_a_lock_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    no_locks(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        locks.only_run().__enter__()


def test_a_lock_of_another_node_is_not_seen_but_its_owner_counts(folder: Path) -> None:
    """With locks that hold on one node, as Lustre's localflock, this node gets each of them."""
    (folder / ".snakemake").mkdir()
    locks.RUNNING.write_text("12 node7")
    with pytest.raises(locks.RunAtWork) as raised, locks.turn_to_sync():
        locks.only_run(os.getpid()).__enter__()
    assert str(raised.value) == (
        "snakemake (PID 12 on node7) is at work here; wait until it ends, or, if it was killed "
        "there, `rm .snakemake/running`"
    )
    assert locks.RUNNING.read_text() == "12 node7"
    locks.RUNNING.unlink()
    with locks.only_run(os.getpid()):
        pass
