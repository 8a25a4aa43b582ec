"""What every command shares: logging, and one line instead of a traceback for a user's mistake."""

import argparse
import gc
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from reprise.errors import RepriseError
from reprise.record import Record

# What the imports of a script make stays: to look for garbage among it takes a fifth of its start.
# A script imports this module first; `run` collects again.
if Path(sys.argv[0]).parent.name == "scripts":
    gc.disable()


def run(main: Callable[[], None]) -> None:
    """Run a command's `main`; a RepriseError or Ctrl-C ends it in one line, exit status 1 or 130.

    Any other exception keeps its traceback: it is a fault of Reprise, not of its user.
    Every command takes `--log FILE`: what is logged, errors included, goes to that file too, and a
    record of the job beside it once it is done.
    """
    gc.freeze()
    gc.enable()
    log = _start_logging()
    record = Record(log) if log else None
    try:
        main()
        if record:
            record.write()
    except RepriseError as error:
        logging.error("reprise: %s", " ".join(str(error).split()))
        sys.exit(1)
    except KeyboardInterrupt:
        logging.error("reprise: interrupted; nothing half-written was left behind")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception:
        logging.exception("reprise: unexpected error")
        sys.exit(1)
    finally:
        gc.unfreeze()


def _start_logging() -> Path | None:
    """Log to standard error, and to the file after `--log`, which is taken off the arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--log", type=Path)
    given, sys.argv[1:] = parser.parse_known_args()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if given.log:
        given.log.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(given.log, mode="w"))
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=handlers)
    log: Path | None = given.log
    return log
