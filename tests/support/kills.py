"""Kill an engine at chosen moments, and start the same command again until it ends.

Between two starts no file may be half-written, and in the end all must be as undisturbed.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from reprise.engines.verify import digests

PATIENCE = 120.0  # seconds until SIGTERM or Ctrl-C has ended an engine and its jobs
HEALED = ", then `make sync`"
KILLS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

Poll = Callable[[Path, psutil.Process], bool]


@dataclass(frozen=True)
class Moment:
    """When to kill: as soon as `has_come`, and up to `delay` seconds later, at random."""

    name: str
    has_come: Poll
    delay: float = 0.0


def job_runs(*words: str, delay: float = 0.5) -> Moment:
    """A process with all these words in its command line runs."""

    def has_come(_: Path, engine: psutil.Process) -> bool:
        return any(all(word in line for word in words) for line in command_lines(engine))

    return Moment(words[0], has_come, delay)


def file_appears(name: str, pattern: str, delay: float = 0.0) -> Moment:
    """A file below results/ matches a pattern, and changed after the engine started."""

    def has_come(folder: Path, engine: psutil.Process) -> bool:
        for path in (folder / "results").glob(pattern):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime > engine.create_time():
                    return True
        return False

    return Moment(name, has_come, delay)


def lock_changes(delay: float = 0.0) -> Moment:
    """dvc.lock, or a file next to it with a longer name, is being written."""

    def has_come(folder: Path, engine: psutil.Process) -> bool:
        for path in folder.glob("*dvc.lock*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime > engine.create_time():
                    return True
        return False

    return Moment("dvc.lock", has_come, delay)


def at_random(seconds: float) -> Moment:
    """Any moment of the first seconds."""
    return Moment("any moment", lambda folder, engine: True, seconds)


def command_lines(engine: psutil.Process) -> list[str]:
    """The command lines of the processes that an engine has started."""
    lines, parents = [], [engine.pid]
    while parents:
        # psutil would look at all processes of the machine each time
        for listed in Path(f"/proc/{parents.pop()}/task").glob("*/children"):
            with suppress(OSError):
                parents += map(int, listed.read_text().split())
        if parents:
            with suppress(OSError):
                words = Path(f"/proc/{parents[-1]}/cmdline").read_bytes()
                lines.append(words.replace(b"\0", b" ").decode())
    return lines


@dataclass
class Engine:
    """A command that is killed, in a folder; `expected`: digests of undisturbed results."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    expected: Mapping[str, str]
    seconds: float  # that the command may take
    heal: Sequence[str] = ()
    kills: list[str] = field(default_factory=list)  # moment and signal of each kill

    def kill_and_finish(self, moments: Sequence[Moment], draw: random.Random) -> None:
        """Kill the command once at each moment that comes, then let it end; check the files."""
        left = list(moments)
        while moment := self._run_until(left, draw):
            left.remove(moment)
            self.check(complete=False)
        self.check(complete=True)

    def _run_until(self, moments: Sequence[Moment], draw: random.Random) -> Moment | None:
        """Start the command; the moment at which it was killed, None if it ended before one."""
        with self.folder.with_suffix(".printed").open("w+") as log:
            process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment, stdout=log, stderr=log,
                start_new_session=True,
                # a background job of a shell ignores Ctrl-C, and so would its children
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )  # fmt: skip
            moment = self._wait(process, moments)
            time.sleep(draw.uniform(0, moment.delay) if moment else 0)
            killed = moment is not None and process.poll() is None
            if moment and killed:
                self._kill(process, moment, draw.choice(KILLS))
            log.seek(0)
            printed = log.read()
        if self.heal and self.kills and not killed and process.wait() != 0:
            self._heal()
            return self._run_until(moments, draw)
        assert killed or process.wait() == 0, f"after {self.kills}\n{printed}"
        assert "reprise: unexpected error" not in printed, printed
        return moment

    def _heal(self) -> None:
        """Once after a kill: what the documentation names for a command that does not start."""
        assert not self.kills[-1].endswith(HEALED), f"after {self.kills}"
        self.kills[-1] += HEALED
        ended = subprocess.run(
            self.heal, cwd=self.folder, env=self.environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert ended.returncode == 0, f"after {self.kills}\n{ended.stdout}"

    def _wait(self, process: "subprocess.Popen[bytes]", moments: Sequence[Moment]) -> Moment | None:
        end = time.monotonic() + self.seconds
        engine = psutil.Process(process.pid)
        while process.poll() is None:
            for moment in moments:
                if moment.has_come(self.folder, engine):
                    return moment
            time.sleep(0.005)
            if time.monotonic() > end:
                os.killpg(process.pid, signal.SIGKILL)
                raise AssertionError(f"hangs after {self.kills}")
        return None

    def _kill(
        self, process: "subprocess.Popen[bytes]", moment: Moment, kind: signal.Signals
    ) -> None:
        self.kills.append(f"{kind.name} {moment.name}")
        os.killpg(process.pid, kind)
        try:
            process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"{kind.name} does not end it after {self.kills}") from None
        for _ in range(int(PATIENCE / 0.01)):  # its jobs end with it
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.01)
        raise AssertionError(f"{kind.name} leaves a process after {self.kills}")

    def check(self, complete: bool) -> None:
        """Assert that every file has its bytes, and that all are there with nothing else."""
        files = digests(self.folder / "results")
        other = [name for name in files if files[name] != self.expected.get(name)]
        assert not other, f"other bytes in {other} after {self.kills}"
        if complete:
            assert files.keys() == self.expected.keys(), f"after {self.kills}"
            left = [p for end in ("part", "checkpoint") for p in self.folder.rglob(f".*.{end}")]
            assert not left, f"left behind after {self.kills}: {left}"


def is_cut(lock: Path) -> bool:
    """Whether a lock file of DVC, in YAML or JSON, is not whole."""
    try:
        return lock.exists() and not yaml.safe_load(lock.read_text())
    except yaml.YAMLError:
        return True
