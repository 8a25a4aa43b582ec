"""What a run of Snakemake shows: a line for each job and, on a terminal, one bar for the whole run.

Jobs write to standard error themselves, several at a time. On a terminal they write to a pipe
instead, and one thread writes their lines above the bar, so that no line and no bar are glued.
Elsewhere each line that starts a job says how far the run is.
"""

import atexit
import logging
import os
import select
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, TextIO

from snakemake.logging import get_event
from snakemake.settings.types import Quietness
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

from reprise.engines.forecast import TRAININGS, Expected, about, estimates, seconds_left
from reprise.errors import one_line
from reprise.record import resources

LETTERS = 90  # of the name of a job; the longest name a list of figures
BAR = "{n_fmt} of {total_fmt} {unit} |{bar}| {desc}"
REFRESH = 1.0  # seconds
SNAKEMAKE = logging.getLogger("snakemake.logging")
# not printed: what the line of a job or the bar says, and what is the same in every run
QUIET = {LogEvent.WORKFLOW_STARTED, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED, LogEvent.PROGRESS}
REPEATED = ("Select jobs to execute", "Using shell", "Rules claiming", "Provided resources")


class Progress:
    """How far a run is: its jobs by their number, which of them run, and which are done."""

    def __init__(self, jobs: dict[int, Expected], cores: int, gpus: int) -> None:
        self.jobs, self.cores, self.gpus = jobs, cores, gpus
        self.started: dict[int, float] = {}
        self.done: set[int] = set()
        trainings = {number for number, job in jobs.items() if job.rule in TRAININGS}
        self.counted, self.unit = (trainings, "trainings") if trainings else (set(jobs), "jobs")

    def start(self, number: int) -> None:
        """A job starts, or starts again."""
        self.started[number] = time.monotonic()

    def finish(self, number: int) -> None:
        """A job is done: the others of its rule may take as long."""
        if job := self.jobs.get(number):
            seconds = time.monotonic() - self.started.get(number, time.monotonic())
            self.jobs[number] = Expected(job.rule, seconds, job.threads, job.gpu)
            self.done.add(number)

    @property
    def count(self) -> int:
        """How many of `counted` are done."""
        return len(self.counted & self.done)

    def rest(self) -> str:
        """The words on the time that is left; "" if that is not known."""
        seconds = estimates(dict(self.jobs))
        now = time.monotonic()
        left = [
            (job, max(0.0, seconds[number] - (now - self.started.get(number, now))))
            for number, job in list(self.jobs.items())
            if seconds and number not in self.done
        ]
        return f"about {about(seconds_left(left, self.cores, self.gpus))} left" if left else ""

    def words(self) -> str:
        """Such as "3 of 51 trainings, about 2 min left"."""
        counts = f"{self.count} of {len(self.counted)} {self.unit}"
        return ", ".join(filter(None, [counts, self.rest()]))


class JobLines(logging.Handler):
    """Replaces Snakemake's own handler of the terminal: a line a job, instead of a block.

    What it has no words for, such as an error, is printed as Snakemake does.
    """

    def __init__(self, inner: logging.Handler) -> None:
        super().__init__()
        self.name, self.inner = inner.name, inner
        self.progress: Progress | None = None
        self.changed: Callable[[], None] | None = None  # called where there is a bar

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record of Snakemake, if its option --quiet lets it through."""
        if not self.inner.filter(record):
            return
        event = get_event(record)
        if event == LogEvent.JOB_INFO:
            self._job(vars(record))
        elif event == LogEvent.JOB_FINISHED and self.progress:
            self.progress.finish(vars(record)["job_id"])
            if self.changed:
                self.changed()
        elif event == LogEvent.RUN_INFO:
            self._line(planned(vars(record)["stats"]))
        elif event not in QUIET and not str(record.msg).startswith(REPEATED):
            self.inner.emit(record)

    def _job(self, job: dict[str, Any]) -> None:
        if not job["shellcmd"]:  # the target, which runs nothing
            return
        name = job["rule_msg"] or " ".join([job["rule_name"], *job["wildcards"].values()])
        line = one_line(name, LETTERS)
        if self.progress:
            self.progress.start(job["jobid"])
            line = line if self.changed else f"[{self.progress.words()}] {line}"
        self._line(line)

    def _line(self, text: str) -> None:
        self.inner.emit(logging.LogRecord(SNAKEMAKE.name, logging.INFO, "", 0, text, None, None))

    def close(self) -> None:
        """Close Snakemake's own handler too."""
        self.inner.close()
        super().close()


class Screen:
    """The bar of a run at the bottom of a terminal, and above it all that is written meanwhile."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self.saved = {fd: os.dup(fd) for fd in (1, 2) if os.isatty(fd)}
        # not inherited: no job keeps the terminal, or the end that is read
        self.terminal = os.fdopen(os.dup(self.saved[2]), "w", encoding="utf-8", errors="replace")
        self.pipe, end = os.pipe()
        for fd in self.saved:
            os.dup2(end, fd)
        os.close(end)
        self.ended = False
        self.bar = self._bar(self.terminal)
        self.thread = Thread(target=self._copy, daemon=True)
        self.thread.start()
        atexit.register(self.end)

    def _bar(self, terminal: TextIO) -> Any:
        total, unit = len(self.progress.counted), self.progress.unit
        return tqdm(total=total, file=terminal, unit=unit, bar_format=BAR, dynamic_ncols=True,
                    leave=False, mininterval=0, desc=self.progress.rest())  # fmt: skip

    def show(self) -> None:
        """Bring the bar up to date."""
        self.bar.n = self.progress.count
        self.bar.set_description_str(self.progress.rest())

    def _copy(self) -> None:
        """Until the end: the lines of the pipe above the bar, and the time left every second."""
        cut, shown = b"", time.monotonic()
        while True:
            if select.select([self.pipe], [], [], 0.05 if self.ended else REFRESH)[0]:
                *lines, cut = (cut + os.read(self.pipe, 65536)).split(b"\n")
                for line in lines:
                    self._write(line)
            elif self.ended:
                break
            if time.monotonic() - shown >= REFRESH:
                shown = time.monotonic()
                self.show()
        if cut:
            self._write(cut)

    def _write(self, line: bytes) -> None:
        # of a bar of a job, its last state; a terminal that was closed must not stop the jobs
        with suppress(OSError):
            text = line.decode(errors="replace").rstrip("\r").rpartition("\r")[2]
            tqdm.write(text, file=self.terminal)

    def end(self) -> None:
        """Remove the bar, and give the terminal back, after what was written so far."""
        if self.ended:
            return
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for fd, saved in self.saved.items():
            os.dup2(saved, fd)
        self.ended = True
        self.thread.join(5)
        self.bar.close()


def planned(stats: dict[str, int]) -> str:
    """What a run will do, from Snakemake's numbers of jobs by rule."""
    trainings = sum(stats.get(rule, 0) for rule in TRAININGS)
    others = stats["total"] - trainings - stats.get("all", 0)
    counts = [(trainings, "training"), (others, "other job" if trainings else "job")]
    listed = [f"{n} {what}{'s' if n > 1 else ''}" for n, what in counts if n]
    return f"To do: {' and '.join(listed) or 'nothing'}"


def expected(workflow: Any) -> dict[int, Expected]:
    """The jobs of a run by their number in it, with the seconds of their last records."""
    listed = {}
    for job in workflow.dag.needrun_jobs():
        if not job.shellcmd:
            continue
        used = resources(Path(str(job.log[0])).with_suffix(".json")) if job.log else None
        seconds = used["seconds"] if used else None
        # a node has the cores of its job
        threads = job.threads if workflow.local_exec else 1
        gpu = int(job.resources.get("gpu") or 0)
        listed[workflow.dag.jobid(job)] = Expected(job.rule.name, seconds, threads, gpu)
    return listed


def limit(workflow: Any, name: str) -> int:
    """How many of a resource a run has; 1 if it is not limited."""
    value = workflow.global_resources[name].value if name in workflow.global_resources else None
    return value if isinstance(value, int) else 1


class Terminal:
    """What one process of Snakemake shows; nothing of ours if a logger plugin does that."""

    def __init__(self, workflow: Any) -> None:
        """`workflow`: of Snakemake, before its graph is built."""
        self.workflow = workflow
        self.screen: Screen | None = None
        default = [one for one in SNAKEMAKE.handlers if one.name == "DefaultStreamHandler"]
        self.lines = JobLines(default[0]) if default else None
        if self.lines:
            SNAKEMAKE.removeHandler(default[0])
            SNAKEMAKE.addHandler(self.lines)

    def start(self) -> None:
        """Before the first job: count the jobs; on a terminal, show the bar, unless it is quiet."""
        if self.lines is None:
            return
        workflow = self.workflow
        parallel = limit(workflow, "_cores" if workflow.local_exec else "_nodes")
        self.lines.progress = Progress(expected(workflow), parallel, limit(workflow, "gpu"))
        quiet = {Quietness.ALL, Quietness.PROGRESS} & set(workflow.output_settings.quiet or ())
        if self.lines.progress.counted and os.isatty(2) and not quiet:
            self.screen = Screen(self.lines.progress)
            self.lines.changed = self.screen.show

    def end(self) -> None:
        """After the last job, or a failure: remove the bar."""
        if self.screen:
            self.screen.end()
        if self.lines:
            self.lines.changed = None
