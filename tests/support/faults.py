"""Run bad input, and judge by rule how a command ends: the harness of tests/faults.

A case runs in a forked child (`ending_of_main`: milliseconds) or as a command of its own
(`ending_of_command`), in a folder of its own, with a time limit. `Ending.outcome` is "right" (exit
status 0), "refused" (exit status 1 and one line, "reprise: ...", and no file changed), or one of
FAULTS. A generator runs its cases, checks them and counts them:

    ending = ending_of_main(main, ["--set", "x"], folder)
    count("values of params.yaml", ending)
    assert ending.outcome not in FAULTS, ending

`make faults` adds up what is counted (see tests/faults/conftest.py).
"""

import logging
import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from reprise.cli import run

SECONDS = 10.0  # a command that refuses its input is done by then, where a core is free
MEMORY = 4 << 30  # bytes that a forked case may allocate
COUNTS: Counter[tuple[str, str]] = Counter()  # of the test that runs: cases by kind and outcome
FAULTS = ("traceback", "hang", "half-written", "several lines", "no reason", "killed")
# what every command may leave, whatever it ends with
KEPT = re.compile(r"(^|/)(logs|\.snakemake|\.git|\.dvc/tmp|__pycache__)/|\.log$")


@dataclass(frozen=True)
class Ending:
    """How a command ended.

    status: the exit status; negative: the signal that ended it; None: it ran into the time limit.
    changed: files of its folder that are new, other or gone, without logs.
    """

    status: int | None
    stdout: str
    stderr: str
    seconds: float
    changed: tuple[str, ...]

    @property
    def outcome(self) -> str:
        """ "right", "refused", or one of FAULTS."""
        if self.status is None:
            return "hang"
        if "Traceback" in self.stdout + self.stderr:
            return "traceback"
        if any(name.endswith(".part") for name in self.changed):
            return "half-written"
        if self.status == 0:
            return "right"
        if self.status < 0:
            return "killed"
        if self.changed:
            return "half-written"
        lines = self.stderr.splitlines()
        if not lines or self.status != 1:
            return "no reason"
        return "refused" if len(lines) == 1 and is_reason(lines[0]) else "several lines"


def is_reason(line: str) -> bool:
    """Whether a line says in the form of all commands why one refused."""
    return re.match(r"reprise: \S", line) is not None and len(line) <= 1000


def ending_of_main(
    main: Callable[[], None], arguments: Sequence[str], folder: Path,
    seconds: float = SECONDS, memory: int = MEMORY,
) -> Ending:  # fmt: skip
    """Run a `main` as reprise.cli.run does, in `folder`, in a child forked from this process."""
    before = files_of(folder)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            _run_forked(main, arguments, folder, (out.fileno(), err.fileno()), memory)
        descriptor = os.pidfd_open(child)
        ended = select.select([descriptor], [], [], seconds * load())[0]
        os.close(descriptor)
        if not ended:
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        took = time.monotonic() - start
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    changed = differences(before, files_of(folder))
    return Ending(status if ended else None, texts[0], texts[1], took, changed)


def _run_forked(
    main: Callable[[], None], arguments: Sequence[str], folder: Path,
    streams: tuple[int, int], memory: int,
) -> NoReturn:  # fmt: skip
    status = 70
    try:
        os.dup2(streams[0], 1)
        os.dup2(streams[1], 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        logging.root.handlers.clear()  # those of pytest
        forget_caches()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job may ignore it
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        os.chdir(folder)
        sys.argv = ["command", *arguments]
        try:
            run(main)
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def forget_caches() -> None:
    """Empty the caches of Reprise's functions: some are of the files in the folder before."""
    for module in [m for name, m in sys.modules.items() if name.split(".")[0] == "reprise"]:
        for value in list(vars(module).values()):
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def ending_of_command(
    command: Sequence[str], folder: Path, seconds: float = SECONDS, **variables: str
) -> Ending:
    """Run a command in `folder`, in a process group of its own."""
    before = files_of(folder)
    start = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=os.environ | variables, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    status: int | None = None
    try:
        out, err = process.communicate(timeout=seconds * load())
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
    took = time.monotonic() - start
    return Ending(status, out, err, took, differences(before, files_of(folder)))


def load() -> float:
    """How many processes share a core, at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def files_of(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, size and time of the last change of every file below a folder, without logs."""
    states = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if not KEPT.search(name) and (path.is_symlink() or not path.is_dir()):
            status = path.lstat()
            states[name] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return states


def differences(
    before: dict[str, tuple[int, int, int]], after: dict[str, tuple[int, int, int]]
) -> tuple[str, ...]:
    """The names of files that are new, other or gone; what a killed process left may go."""
    names = (name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return tuple(sorted(name for name in names if name in after or not name.endswith(".part")))


def count(kind: str, ending: Ending | str, number: int = 1) -> None:
    """Count cases of a kind by their outcome, for the table of `make faults`."""
    COUNTS[kind, ending if isinstance(ending, str) else ending.outcome] += number
