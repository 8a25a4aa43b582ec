"""Commands of both engines at the same time, some of them killed, end in the same bytes."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support.faults import count
from support.kills import is_cut
from support.small_workflow import SmallWorkflow

from reprise.engines.verify import digests

RUN = ["snakemake", "--cores", "2"]
COMMANDS = [
    RUN, RUN, [sys.executable, "-m", *RUN], ["snakemake", "-n"], ["snakemake", "--lint"],
    ["dvc", "repro"], ["dvc", "repro"], ["dvc", "status"],
    [sys.executable, "-m", "reprise.engines.sync"],
]  # fmt: skip
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
SECONDS = 240.0  # that a command may take on a busy machine
SHORT = 2  # the round of `make test`: dvc repro ended by SIGTERM, then snakemake killed
ROUNDS = [
    seed if seed == SHORT else pytest.param(seed, marks=pytest.mark.exhaustive)
    for seed in range(50)
]
# what a command prints that does not do its work because another one is at work
REFUSED = [
    r"^reprise: .* is at work here(: .*)?; wait until it ends$",
    r"is busy, it is being blocked by:|Unable to acquire lock",  # DVC's
]
KIND = "commands of both engines at the same time"


@dataclass
class Command:
    """A command that starts at a time, in s, and gets a signal, if any, some time later."""

    words: list[str]
    start: float
    signal: signal.Signals | None
    after: float
    group: bool  # the signal goes to all its processes, as Ctrl-C does, not to the first one alone
    log: Path
    process: "subprocess.Popen[str] | None" = None
    was_killed: bool = False

    def advance(self, small: SmallWorkflow, seconds: float) -> None:
        """Do what is due `seconds` after the beginning."""
        if self.process is None and seconds >= self.start:
            with self.log.open("w") as stream:
                self.process = small.start(*self.words, stdout=stream)
        elif (
            self.process and self.signal and not self.was_killed
            and seconds >= self.start + self.after and self.process.poll() is None
        ):  # fmt: skip
            self.was_killed = True
            os.kill(-self.process.pid if self.group else self.process.pid, self.signal)

    def outcome(self) -> str:
        """How it ended, for the table; its output if that is a fault."""
        assert self.process is not None
        printed, status = self.log.read_text(), self.process.returncode
        if self.was_killed:
            return "right"
        if "Traceback" in printed or "unlock" in printed:
            return printed
        if status == 0 or "--lint" in self.words:
            return "right"
        lines = [line for line in printed.splitlines() if line.startswith("reprise:")]
        is_refused = any(re.search(pattern, printed, re.M) for pattern in REFUSED)
        return "refused" if is_refused and len(lines) <= 1 else printed


@pytest.mark.parametrize("seed", ROUNDS)
def test_commands_at_the_same_time_end_in_the_same_bytes(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    small = SmallWorkflow(tmp_path / "small")
    if draw.random() < 0.7:  # results of other values are there
        small.snakemake() if draw.random() < 0.5 else small.dvc("repro")
    for run in "AB":
        rate = draw.choice(["0.1", "0.2"])
        small.edit("params.yaml", f"{run}: {{learning_rate: 0.1", f"{run}: {{learning_rate: {rate}")
    expected = undisturbed(small, tmp_path / "undisturbed")
    commands = [
        Command(
            draw.choice(COMMANDS), draw.uniform(0, 5), draw.choice([None, *SIGNALS]),
            draw.uniform(0.1, 6), draw.random() < 0.5, tmp_path / f"{number}.log",
        )
        for number in range(draw.randint(2, 4))
    ]  # fmt: skip
    let_them_end(small, commands)
    for command in commands:
        outcome = command.outcome()
        count(KIND, outcome if outcome in ("right", "refused") else "other")
        assert outcome in ("right", "refused"), f"{command}\n{outcome}"
    last = draw.choice(["snakemake", "dvc"])
    cut = [name for name in ("dvc.lock", ".dvc/tmp/rwlock") if is_cut(small.folder / name)]
    if last == "dvc" and cut:  # DVC itself cannot go on; `make sync` is the way out
        count(f"{KIND}: {', '.join(cut)} cut by a kill", "right")
        small.sync()
    small.snakemake() if last == "snakemake" else small.dvc("repro")
    assert digests(small.folder / "results") == expected
    small.ran()
    small.nothing_to_do()


def let_them_end(small: SmallWorkflow, commands: list[Command]) -> None:
    """Run the commands, each at its time, until they and the jobs that they left have ended."""
    begin = time.monotonic()
    while any(c.process is None or c.process.poll() is None for c in commands):
        seconds = time.monotonic() - begin
        for command in commands:
            command.advance(small, seconds)
        assert seconds < SECONDS, f"hangs: {commands}"
        time.sleep(0.01)
    while left := processes_in(small.folder):
        assert time.monotonic() - begin < SECONDS, f"left behind: {left}"
        time.sleep(0.1)


def processes_in(folder: Path) -> list[psutil.Process]:
    """The processes that work in a folder."""
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, FileNotFoundError):
            if Path(process.cwd()).is_relative_to(folder) and process.status() != "zombie":
                processes.append(process)
    return processes


def undisturbed(small: SmallWorkflow, folder: Path) -> dict[str, str]:
    """Digests of what the scripts make of the present values, one after another."""
    other = SmallWorkflow(folder)
    other.write("params.yaml", small.read("params.yaml"))
    (folder / "logs").mkdir()
    path = f"{folder / 'src'}{os.pathsep}{other.environment()['PYTHONPATH']}"
    for words in ("prepare", "classify --run A", "classify --run B", "evaluate"):
        name, *arguments = words.split()
        script = f"workflow/scripts/{name}.py"
        other.run(sys.executable, script, *arguments, PYTHONPATH=path)
    return digests(folder / "results")
