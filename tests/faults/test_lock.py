"""dvc.lock survives a kill: every read finds it whole, and what DVC left cut short is healed."""

import logging
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo
from support import faults
from support.small_workflow import SmallWorkflow

from reprise.engines import dvc_lock, sync
from reprise.engines.dvc_lock import GOOD, LOCK, heal, is_whole, keep

WRITES = 200
CHANGING = {"open", "write", "flush", "sendfile", "chmod", "replace", "unlink"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> SmallWorkflow:
    """A project whose lock file DVC wrote."""
    small = SmallWorkflow(tmp_path_factory.mktemp("lock") / "small")
    small.dvc("repro")
    small.commit("results")
    return small


@pytest.fixture
def whole(built: SmallWorkflow, monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    """The bytes of its lock file, which is as before at the end; the project is the folder."""
    monkeypatch.chdir(built.folder)
    monkeypatch.setattr(logging.getLogger("dvc"), "level", logging.ERROR)
    text = LOCK.read_bytes()
    keep()
    yield text
    LOCK.write_bytes(text)


def cut_in_a_key(text: bytes) -> bytes:
    return text[: text.index(b"outs:") + 3]


def cut_at_a_line(text: bytes) -> bytes:
    """As long as it is still valid, with fewer stages and fewer files of the last one."""
    return text[: text.index(b"    - path: results/classify/baseline/B/0/model.txt")]


@pytest.mark.parametrize("before", ["nothing", "other stages", "an older entry", "the same"])
def test_it_has_the_bytes_that_dvc_writes(before: str, whole: bytes) -> None:
    texts = {
        "nothing": None,
        "other stages": b"schema: '2.0'\nstages:\n  gone:\n    cmd: echo 'a # b'\n",
        "an older entry": whole.replace(b"--run B", b"--run C"),
        "the same": whole,
    }
    written = []
    repo = Repo()
    stages = [stage for stage in repo.index.stages if stage.name != "prepare"]
    for write in (
        lambda: stages[0].dvcfile.dump_stages(stages, update_pipeline=False),
        lambda: dvc_lock.write(repo, stages),
    ):
        LOCK.unlink() if texts[before] is None else LOCK.write_bytes(texts[before])
        write()
        written.append(LOCK.read_bytes())
    assert written[0] == written[1]
    assert is_whole(written[0])


def test_values_that_stages_share_are_written_for_each(whole: bytes) -> None:
    repo = Repo()
    of_params = [
        dependency
        for stage in repo.index.stages
        for dependency in stage.deps
        if isinstance(dependency, ParamsDependency) and dependency.params
    ]
    shared = {"model": "cnn"}
    for dependency in of_params:
        values = dict.fromkeys(dependency.params, shared)
        dependency.hash_info = HashInfo("params", values)
    assert len(of_params) > 1
    dvc_lock.write(repo, list(repo.index.stages))
    assert b"&id" not in LOCK.read_bytes() and b"*id" not in LOCK.read_bytes()
    assert LOCK.read_bytes().count(b"model: cnn") >= len(of_params)


def test_while_it_is_written_every_read_is_whole(whole: bytes) -> None:
    repo = Repo()
    stages = list(repo.index.stages)
    LOCK.write_bytes(whole[: whole.index(b"  prepare:")])  # is written faster
    reader = os.fork()
    if reader == 0:
        reads = 0
        while is_whole(LOCK.read_bytes()):
            reads += 1
            time.sleep(0.002)  # of the time, most goes to the writer
            if Path("stop").exists():
                os._exit(0 if reads > WRITES / 10 else 3)
        os._exit(2)
    for number in range(WRITES):
        stages[-1].cmd = f"echo {number}"  # or nothing would change
        dvc_lock.write(repo, stages[-1:])
    Path("stop").touch()
    assert os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1]) == 0
    Path("stop").unlink()
    assert b"cmd: echo 199\n" in LOCK.read_bytes()
    faults.count("reads of dvc.lock while it is written", "right", WRITES)


def killed_at(number: int, action: Callable[[], object]) -> bool:
    """Run an action in a child that is killed before its n-th call that may change a file.

    False if there are fewer. A long text is written into a buffer; every 100th such call counts.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    calls: Counter[str] = Counter()

    def profile(_: object, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in CHANGING:
            name = function.__name__
            calls[name] += 1
            calls["counted"] += name != "write" or calls[name] % 100 == 1
            if calls["counted"] == number:
                os.kill(os.getpid(), signal.SIGKILL)

    status = 2
    try:
        sys.setprofile(profile)
        action()
        status = 0
    finally:
        os._exit(status)


@pytest.mark.parametrize("action", ["write", "heal", "keep"])
def test_a_kill_at_any_call_leaves_the_old_or_the_new_file(action: str, whole: bytes) -> None:
    repo = Repo()
    stages = list(repo.index.stages)
    stages[-1].cmd = "echo another"
    run: Callable[[], None] = {
        "write": lambda: dvc_lock.write(repo, stages[-1:]), "heal": heal, "keep": keep
    }[action]  # fmt: skip
    short = whole[: whole.index(b"  prepare:")]  # is written faster
    before = short[:-5] if action == "heal" else short
    file = GOOD if action == "keep" else LOCK
    file.write_bytes(before)
    run()
    after = file.read_bytes()
    assert after != before and is_whole(after)
    number, killed = 0, True
    while killed:
        number += 1
        file.write_bytes(before)
        killed = killed_at(number, run)
        assert file.read_bytes() in (before, after), number
        if not is_whole(LOCK.read_bytes()):
            heal()
            assert is_whole(LOCK.read_bytes())
            assert not list(Path().glob(".dvc.lock*"))
    assert number > 5
    faults.count("kills while dvc.lock is written", "right", number - 1)


def cuts(text: bytes) -> list[int]:
    """Twenty places: at both ends, in keys and values, at ends of lines and of stages."""
    places = [0, 1, len(text) - 1]
    for name in ("schema", "stages:\n", "cmd", "\n    deps", "md5: ", "\n    outs", "\n  prepare"):
        places.append(text.index(name.encode()))
    places += [text.index(b"outs:") + 3, text.index(b"outs:\n") + 6, text.rindex(b"\n  ") + 1]
    return sorted({*places, *range(len(text) // 8, len(text), len(text) // 8)})[:20]


@pytest.mark.parametrize("source", ["its last good copy", "Git's HEAD", None])
def test_a_lock_file_cut_at_twenty_places_is_healed(
    source: str | None, whole: bytes, caplog: pytest.LogCaptureFixture, built: SmallWorkflow
) -> None:
    places = cuts(whole)
    assert len(places) == 20
    if source != "its last good copy":
        GOOD.unlink()
    if source is None:
        GOOD.write_bytes(b"stages: [")
        built.git("update-ref", "-d", "HEAD")
    for place in places:
        LOCK.write_bytes(whole[:place])
        lost = not is_whole(whole[:place])
        caplog.clear()
        heal()
        assert len(caplog.records) == lost
        if not lost:  # fewer stages; the records of their jobs and DVC's cache have the others
            assert LOCK.read_bytes() == whole[:place]
        elif source:
            assert LOCK.read_bytes() == whole
            assert f"dvc.lock was cut short; restored from {source}" in caplog.text
        else:
            assert not LOCK.exists()
            assert "dvc.lock was cut short; removed" in caplog.text
        faults.count("dvc.lock cut short", "right")
    LOCK.write_bytes(whole)
    if source is None:
        built.commit("results")


@pytest.mark.parametrize("text", [b"", b"stages: 3\n", b"\0" * 99, b"\xff\n", b"schema: '2.0'"])
def test_no_other_content_stays(text: bytes, whole: bytes) -> None:
    LOCK.write_bytes(text)
    heal()
    assert LOCK.read_bytes() == whole


def test_a_missing_lock_file_comes_back_only_if_git_has_one(
    whole: bytes, built: SmallWorkflow
) -> None:
    LOCK.unlink()
    heal()
    assert LOCK.read_bytes() == whole
    LOCK.unlink()
    built.commit("without")
    heal()
    assert not LOCK.exists()
    LOCK.write_bytes(whole)
    built.commit("with")


def test_conflicts_are_left_to_a_person(whole: bytes) -> None:
    LOCK.write_bytes(b"<<<<<<< ours\n" + whole)
    heal()
    assert dvc_lock.has_conflicts()


def test_a_cut_lock_file_trains_nothing(built: SmallWorkflow) -> None:
    text = (built.folder / LOCK).read_bytes()
    built.ran()
    (built.folder / LOCK).write_bytes(cut_at_a_line(text))
    assert "Nothing to be done" in built.snakemake()
    (built.folder / LOCK).write_bytes(cut_in_a_key(text))
    assert "dvc.lock was cut short; restored from its last good copy" in built.sync()
    assert "up to date" in built.dvc("repro")
    assert built.ran() == []
    assert (built.folder / LOCK).read_bytes() == text


@pytest.mark.parametrize(
    ("error", "outcome", "line"),
    [
        (PermissionError(13, "Permission denied", "dvc.lock"), 3, "dvc.lock: Permission denied"),
        (OSError(30, "Read-only file system", ".dvc/tmp/x"), 3, ".dvc/tmp/x: Read-only file"),
        (sqlite3.OperationalError("attempt to write a readonly database"), 3, "its database: "),
        (OSError(28, "No space left on device", "dvc.lock"), 1, "dvc.lock: No space left"),
        (sqlite3.DatabaseError("database disk image is malformed"), 1, "its database: database"),
        (KeyError("a bug"), 1, "Traceback"),
    ],
)
def test_what_keeps_dvc_from_its_work_is_one_line(
    error: Exception, outcome: int, line: str,
    built: SmallWorkflow, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(sync, "synchronise", fail)
    ending = faults.ending_of_main(sync.main, [], built.folder)
    assert (ending.status, line in ending.stderr) == (outcome, True), ending
    assert (len(ending.stderr.splitlines()) == 1) is (line != "Traceback")
