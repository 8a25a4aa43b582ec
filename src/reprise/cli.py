"""What every command shares: a log, one line instead of a traceback, and the record of a job.

The record proves what a finished job read and wrote. A job of Snakemake is entered in DVC's lock
file only if its record shows that the files on disk were made from the present parameters and
sources; see reprise.engines.sync.
"""

import argparse
import json
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from reprise.atomic_io import WRITTEN, files_in, sha256, write_text
from reprise.errors import RepriseError

STARTED = time.time_ns()  # this module is imported before a job reads anything
# where this process trains or predicts (see training/runtime.py); empty where torch is not used
MACHINE: dict[str, str | int] = {}


def run(main: Callable[[], None]) -> None:
    """Run a command's `main`; a RepriseError or Ctrl-C ends it in one line, exit status 1 or 130.

    Any other exception keeps its traceback: it is a bug in Reprise, not the user's mistake.
    Every command takes `--log FILE`: log messages and errors also go to that file, and a finished
    job leaves its record next to it.
    """
    # a script must not hide the installed package of its name, such as segment_anything
    scripts = str(Path(sys.argv[0]).resolve().parent)
    sys.path[:] = [folder for folder in sys.path if folder != scripts]
    log = _start_logging()
    try:
        with _recorded(log):
            main()
    except RepriseError as error:
        logging.error("reprise: %s", " ".join(str(error).split()))
        sys.exit(1)
    except KeyboardInterrupt:
        logging.error("reprise: interrupted; no half-written file was left behind")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception:
        logging.exception("reprise: unexpected error")
        sys.exit(1)


def _start_logging() -> Path | None:
    """Log to standard error and to the file after `--log`, which is removed from the arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--log", type=Path)
    args, sys.argv[1:] = parser.parse_known_args()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if args.log:
        args.log.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(args.log, mode="w"))
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=handlers)
    log: Path | None = args.log
    return log


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
    record.unlink(missing_ok=True)
    params = Path("params.yaml")
    text = params.read_text(errors="replace") if params.exists() else ""
    yield
    # not the checkpoints, which are hidden files
    outputs = [path for path in WRITTEN if not path.name.startswith(".")]
    digests = {file.as_posix(): sha256(file) for file in sorted(files_in(outputs))}
    content = {"command": sys.orig_argv[1:], "started": STARTED, "params": text}
    content |= {"machine": MACHINE, "resources": _resources(), "outputs": digests}
    write_text(record, json.dumps(content, indent=1) + "\n")


def _resources() -> dict[str, float]:
    """Seconds since the start, CPU seconds, and the peak memory in MiB, of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": round((time.time_ns() - STARTED) / 1e9, 2),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_memory_mib": round(used.ru_maxrss / 1024),
    }
