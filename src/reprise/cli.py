"""What every command shares: a log, one line instead of a traceback, and the record of a job.

The record proves what a finished job read and wrote. A job of Snakemake is entered in DVC's lock
file only if its record shows that the files on disk were made from the present parameters and
sources; see reprise.engines.sync.
"""

import argparse
import errno
import json
import logging
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import FrameType

from reprise.atomic_io import (
    WRITTEN,
    file_clock,
    files_in,
    refuse_overwrite,
    sha256,
    write_text,
    writing,
)
from reprise.errors import RepriseError, one_line

STARTED = time.time_ns()  # this module is imported before a job reads anything
# where this process trains or predicts (see training/runtime.py); empty where torch is not used
MACHINE: dict[str, str | int] = {}
log_file: Path | None = None  # of this process
# what the operating system refuses although nothing is wrong with a value or a file
REFUSALS = {errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EPERM}
REFUSALS |= {errno.EROFS}
INTERRUPTED = "reprise: interrupted; no half-written file was left behind"


def run(main: Callable[[], None]) -> None:
    """Run a command's `main`; a RepriseError ends it in one line, exit status 1.

    So do a full disk and a read-only folder; Ctrl-C and SIGTERM, with the status that a shell uses;
    and, if there is a log for the traceback, what a library refuses (see `_library_refused`).
    Any other exception keeps its traceback: it is a bug in Reprise, not the user's mistake.
    Every command takes `--log FILE`: log messages and errors also go to that file, and a finished
    job leaves its record next to it.
    """
    # a script must not hide the installed package of its name, such as segment_anything
    scripts = str(Path(sys.argv[0]).resolve().parent)
    sys.path[:] = [folder for folder in sys.path if folder != scripts]
    signal.signal(signal.SIGTERM, _interrupt)
    global log_file
    log = log_file = None
    try:
        log = log_file = _start_logging()
        with _recorded(log):
            main()
    except RepriseError as error:
        logging.error("reprise: %s", one_line(error, 900))
        sys.exit(1)
    except KeyboardInterrupt as interrupt:
        logging.error(INTERRUPTED)
        sys.exit(128 + (interrupt.args[0] if interrupt.args else signal.SIGINT))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if reason := _refusal(error):
            logging.error("reprise: %s; then run the same command again", reason)
        elif log and _library_refused(error):
            kind, reason = type(error).__name__, one_line(error, 200)
            logging.error("reprise: %s: %s: %s; traceback in %s", _job(), kind, reason, log)
            with log.open("a") as stream:
                traceback.print_exception(error, file=stream)
        else:
            logging.exception("reprise: unexpected error")
        sys.exit(1)


def _refusal(error: Exception) -> str | None:
    """What the operating system refused, and what to do; None if the error is another."""
    if not isinstance(error, OSError) or error.errno not in REFUSALS:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}; make room or change permissions"


def _library_refused(error: Exception) -> bool:
    """Whether a library cannot do what the values and the data ask for, such as a huge image.

    It can raise other errors only for a bug of ours. A library in C has no frame in the traceback:
    a RuntimeError or MemoryError is its own unless a line of ours raises it.
    """
    if not isinstance(error, ValueError | ArithmeticError | RuntimeError | MemoryError):
        return False
    if isinstance(error, RecursionError | NotImplementedError):
        return False
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file = Path(frame.filename)
    if "site-packages" in file.parts or file.suffix == ".pyx":
        return True
    ours = isinstance(error, ValueError | ArithmeticError) or (frame.line or "").startswith("raise")
    return not ours


def _job() -> str:
    """What runs, from its arguments: stage, task, run and seed, or a dataset."""
    options = ("--dataset", "--task", "--run", "--seed", "--name", "--method")
    named = [word for option, word in pairwise(sys.argv) if option in options]
    return "/".join([Path(sys.argv[0]).stem, *named])


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


def _start_logging() -> Path | None:
    """Log to standard error and to the file after `--log`, which is removed from the arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--log", type=Path)
    args, sys.argv[1:] = parser.parse_known_args()
    logging.raiseExceptions = False  # a log that cannot be written must not hide the reason
    screen = logging.StreamHandler(sys.stderr)
    handlers: list[logging.Handler] = [screen]
    try:
        if args.log:
            # it is emptied, and the file of the same name that ends in .json is replaced
            if args.log.resolve().suffix != ".log":
                raise RepriseError(f"--log {args.log}: must end in .log; pass another path")
            refuse_overwrite([args.log], map(Path, sys.argv[1:]))
            with writing(args.log):
                args.log.parent.mkdir(parents=True, exist_ok=True)
                handlers.append(logging.FileHandler(args.log, "w", "utf-8"))
            screen.setFormatter(_Named("/".join(args.log.with_suffix("").parts[1:])))
    finally:
        logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=handlers)
    log: Path | None = args.log
    return log


class _Named(logging.Formatter):
    """Puts the job before a line, such as finetune/earth/B/0: several jobs write to one terminal.

    Not before an error, which names what is wrong, and which the engine prints with the job.
    """

    def __init__(self, job: str) -> None:
        super().__init__()
        self.job = job

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        return f"{self.job}: {line}" if self.job and record.levelno < logging.ERROR else line


@contextmanager
def _recorded(log: Path | None) -> Iterator[None]:
    """If there is a log, write a record next to it when the block succeeds.

    It has the command, its start time, params.yaml as it was, the machine that it trained on, what
    it took (see `_resources`), and the digests of the outputs.
    """
    if log is None:
        yield
        return
    record = log.with_suffix(".json")
    if not _replaceable(record):
        raise RepriseError(f"{record}: is not the record of a job; pass another --log")
    record.unlink(missing_ok=True)
    starts = _starts(log.parent)
    params = Path("params.yaml")
    text = params.read_text("utf-8", errors="replace") if params.is_file() else ""
    yield
    # not the checkpoints, which are hidden files
    outputs = [path for path in WRITTEN if not path.name.startswith(".")]
    digests = {file.as_posix(): sha256(file) for file in sorted(files_in(outputs))}
    content = {"command": sys.orig_argv[1:], **starts, "params": text}
    content |= {"machine": MACHINE, "resources": _resources(), "outputs": digests}
    write_text(record, json.dumps(content, indent=1) + "\n")


def _starts(logs: Path) -> dict[str, int]:
    """When this process started, in ns since 1970, by the clocks that date its files.

    started: of the file system that has the logs. results_started: of that of results/, where it is
    another one. They are compared with the times of files there, never with a node's clock.
    """
    starts = {"started": STARTED + file_clock(logs) - time.time_ns()}
    results = Path("results")
    if results.is_dir() and results.stat().st_dev != logs.stat().st_dev:
        starts["results_started"] = STARTED + file_clock(results) - time.time_ns()
    return starts


def _resources() -> dict[str, float]:
    """Seconds since the start, CPU seconds, and the peak memory in MiB of the largest process.

    CPU seconds are those of this process and of the processes that it has started.
    """
    process, children = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "seconds": round((time.time_ns() - STARTED) / 1e9, 2),
        "cpu_seconds": round(sum(u.ru_utime + u.ru_stime for u in (process, children)), 2),
        "peak_memory_mib": round(max(process.ru_maxrss, children.ru_maxrss) / 1024),
    }


def _replaceable(record: Path) -> bool:
    """Whether a path is free, or has a record or a damaged one; a file of another kind is kept."""
    try:
        content = json.loads(record.read_bytes()) if record.is_file() else None
    except (ValueError, RecursionError):
        return True
    return not os.path.lexists(record) or (isinstance(content, dict) and "command" in content)
