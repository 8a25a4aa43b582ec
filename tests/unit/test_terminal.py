"""What a run shows: the words on how far it is, and a bar that no line is glued to."""

import logging
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from snakemake.logging import DefaultFilter
from snakemake.settings.types import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from reprise.engines import terminal
from reprise.engines.forecast import Expected, estimates, seconds_left
from reprise.engines.terminal import JobLines, Progress, planned


def test_a_job_without_a_record_takes_as_long_as_its_rule_or_as_other_trainings() -> None:
    jobs = {
        1: Expected("finetune", 10.0),
        2: Expected("finetune", 20.0),
        3: Expected("finetune", None),
        4: Expected("segment", None),
        5: Expected("evaluate", None),
        6: Expected("prepare", 3.0),
    }
    assert estimates(jobs) == {1: 10, 2: 20, 3: 15, 4: 15, 5: 11, 6: 3}
    # how long a preparation takes says nothing of a training
    assert estimates({1: jobs[6], 2: jobs[3]}) == {} and estimates({}) == {}


def test_the_time_is_that_on_all_cores_but_not_more_gpus_than_there_are() -> None:
    one = Expected("finetune", 10.0)
    assert seconds_left([(one, 10.0)] * 4, 2) == 20 and seconds_left([(one, 10.0)], 8) == 10
    assert seconds_left([(Expected("finetune", 10.0, 2), 10.0)] * 4, 4) == 20
    assert seconds_left([(Expected("finetune", 10.0, 1, 1), 10.0)] * 4, 4) == 40
    assert seconds_left([], 4) == 0


def test_the_words_count_trainings_and_follow_what_a_job_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: clock[0])
    jobs = {n: Expected("finetune", None) for n in range(4)} | {9: Expected("prepare", None)}
    progress = Progress(jobs, 1, 1)
    assert progress.words() == "0 of 4 trainings"
    for number, until in ((9, 5.0), (0, 35.0)):
        progress.start(number)
        clock[0] = until
        progress.finish(number)
    assert progress.words() == "1 of 4 trainings, about 90 s left"
    progress.start(1)
    clock[0] += 10
    assert progress.words() == "1 of 4 trainings, about 80 s left"
    progress.finish(77)  # the target, which runs nothing
    assert Progress({1: Expected("plot", 2.0)}, 2, 1).words() == "0 of 1 jobs, about 2 s left"


def test_what_a_run_will_do_is_one_line() -> None:
    assert planned({"finetune": 2, "plot": 1, "all": 1, "total": 4}) == (
        "To do: 2 trainings and 1 other job"
    )
    assert planned({"plot": 2, "total": 2}) == "To do: 2 jobs"


def lines_of(quiet: set[Quietness], *records: logging.LogRecord) -> list[str]:
    """What is printed of records, with the filter that Snakemake has for --quiet."""
    printed: list[str] = []
    inner = logging.Handler()
    inner.addFilter(DefaultFilter(quiet, False, False, False, False).filter)
    inner.emit = lambda record: printed.append(record.getMessage())  # type: ignore[method-assign]
    lines = JobLines(inner)
    lines.progress = Progress({n: Expected("finetune", 4.0) for n in (1, 2)}, 2, 1)
    for record in records:
        lines.handle(record)
    return printed


def record(event: LogEvent | None, text: str | None = None, **values: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"levelno": logging.INFO, "msg": text, **values})
    if event:
        made.event = event
    return made


def started(number: int, message: str | None = None) -> logging.LogRecord:
    names = {"rule_name": "finetune", "wildcards": {"run": "A"}, "shellcmd": "python"}
    return record(LogEvent.JOB_INFO, jobid=number, rule_msg=message, **names)


def test_a_line_for_each_job_says_how_far_the_run_is() -> None:
    records = [
        record(None, "Building DAG of jobs..."),
        record(None, "Select jobs to execute..."),
        started(1, "Fine-tune earth: run A, seed 0"),
        record(LogEvent.JOB_FINISHED, "Finished jobid: 1", job_id=1),
        record(LogEvent.PROGRESS, done=1, total=2),
        started(2),
        record(LogEvent.JOB_INFO, jobid=3, rule_msg=None, rule_name="all", wildcards={},
               shellcmd=None),
        record(LogEvent.ERROR, "what went wrong"),
    ]  # fmt: skip
    dag, first, second, error = lines_of(set(), *records)
    assert (dag, error) == ("Building DAG of jobs...", "what went wrong")
    assert first == "[0 of 2 trainings, about 4 s left] Fine-tune earth: run A, seed 0"
    assert re.fullmatch(r"\[1 of 2 trainings, about \d s left\] finetune A", second)
    assert lines_of({Quietness.RULES}, *records) == [dag, error]
    assert lines_of({Quietness.ALL}, *records) == []


RUN = """
import subprocess, sys
from reprise.engines.forecast import Expected
from reprise.engines.terminal import Progress, Screen

# a line in one piece, as logging writes it
WORKER = '''
import sys
for n in range(200):
    FILE.write(f"job {sys.argv[1]} line {n}\\\\n")
    FILE.flush()
'''
screen = Screen(Progress({n: Expected("finetune", 5.0) for n in range(4)}, 2, 1))
files = ["sys.stderr", "sys.stdout", "sys.stderr"]
workers = [subprocess.Popen([sys.executable, "-c", WORKER.replace("FILE", file), str(n)])
           for n, file in enumerate(files)]
for n in range(4):
    screen.progress.start(n)
    screen.progress.finish(n)
    screen.show()
    sys.stderr.write("\\r 10%|bar of a job\\r own line\\n")
for worker in workers:
    worker.wait()
screen.end()
screen.end()
print("after", file=sys.stderr)
"""


def in_terminal(*command: str, folder: Path | None = None, **variables: str) -> str:
    """What a command writes to a new terminal, which is its standard output and error."""
    here, there = pty.openpty()
    termios.tcsetwinsize(there, (40, 100))
    process = subprocess.Popen(command, stdin=there, stdout=there, stderr=there, cwd=folder,
                               env=os.environ | variables)  # fmt: skip
    os.close(there)
    written = b""
    while True:
        try:
            chunk = os.read(here, 65536)
        except OSError:  # the last process that has the terminal is gone
            break
        if not chunk:
            break
        written += chunk
    os.close(here)
    assert process.wait() == 0, written.decode()
    return written.decode()


def test_no_line_of_several_jobs_is_glued_to_the_bar_or_lost() -> None:
    source = str(Path(__file__).parents[2] / "src")
    written = in_terminal(sys.executable, "-c", RUN, PYTHONPATH=source)
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in written.split("\n")]
    expected = [f"job {worker} line {n}" for worker in range(3) for n in range(200)]
    assert sorted(shown[:-2]) == sorted([*expected, *[" own line"] * 4])
    assert shown[-2:] == ["after", ""]
    assert re.search(r"\r[1-4] of 4 trainings \|.*\| ", written)  # there was a bar
