"""Timers: of a function, and of a process with its memory."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def seconds_of(work: Callable[[], Any]) -> Callable[[], float]:
    """A function that does the work and gives its wall time in seconds."""

    def timed() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return timed


@dataclass(frozen=True)
class Used:
    """What a process took: wall and CPU seconds, and its largest memory in MiB."""

    wall: float
    cpu: float
    memory: float
    output: str


def spend(command: list[str], folder: Path, **environment: str) -> Used:
    """Run a command to its end. Raises RuntimeError with its last lines when it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: failed\n{output[-2000:]}")
    return Used(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)
