"""What every command shares: logging, and one line instead of a traceback for a user's mistake."""

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from reprise.errors import RepriseError
from reprise.job_record import JobRecord


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
    record = JobRecord(log) if log else None
    try:
        main()
        if record:
            record.write()
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
