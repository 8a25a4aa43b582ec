"""What a training shows while it runs: the values of each epoch, and how long it will take.

The job whose log is logs/<job>.log writes live/<job>/ in the form of DVCLive: metrics.json has the
last values, plots/metrics/<name>.tsv those of all epochs. With REPRISE_TENSORBOARD=1 it writes them
for TensorBoard too. Nothing of it is an output of a job, so that no result depends on it.
"""

import json
import logging
import math
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reprise import cli
from reprise.errors import RepriseError

LOGS, LIVE = "logs", "live"
TENSORBOARD = "REPRISE_TENSORBOARD"
NOT_PLOTTED = ("epoch", "step", "selected")
Rows = Sequence[Mapping[str, float | int]]


class Live:
    """The progress of one training.

    key: of its recipe, for a log that is not of one job. epochs, steps: how many it has at most;
    step: those that are done, more than 0 if it was resumed.
    """

    def __init__(self, key: str, epochs: int, steps: int, step: int) -> None:
        self.key, self.epochs, self.steps = key, epochs, steps
        self.first_step, self.started = step, time.monotonic()
        self.folder = folder_of(cli.log_file)
        self.writer = tensorboard(self.folder) if os.environ.get(TENSORBOARD) == "1" else None
        self.shown = 0  # rows that TensorBoard has

    def show(self, rows: Rows) -> None:
        """Log the last row of a history, and write all of its rows."""
        row = rows[-1]
        words = [
            f"{name} {value:.4g}" for name, value in row.items() if name not in NOT_PLOTTED[1:]
        ]
        # a log belongs to one job, whose name `cli.run` puts before the line on a terminal
        name = "" if cli.log_file else f"{self.key}: "
        logging.info("%s%s%s", name, ", ".join(words), self.rest(int(row["step"])))
        try:
            if self.folder:
                write(self.folder, rows)
            if self.writer:
                for new in rows[self.shown :]:
                    for name, value in plotted(new).items():
                        self.writer.add_scalar(name, value, int(new["epoch"]))
                self.writer.flush()
                self.shown = len(rows)
        except OSError as error:
            logging.warning("%s: not written (%s); the training goes on", self.folder, error)
            self.folder = self.writer = None

    def rest(self, step: int) -> str:
        """The words on the time that the remaining steps will take; "" if that is not known."""
        done, left = step - self.first_step, self.steps - step
        if done <= 0 or left <= 0:
            return ""
        seconds = (time.monotonic() - self.started) / done * left
        return f" ({self.epochs} epochs, {in_words(seconds)} left)"


def folder_of(log: Path | None) -> Path | None:
    """The folder of the job that logs to logs/<job>.log: live/<job>, emptied; None for others."""
    if log is None or log.is_absolute() or log.parts[0] != LOGS:
        return None
    folder = Path(LIVE, *log.with_suffix("").parts[1:])
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def tensorboard(folder: Path | None) -> Any:
    """TensorBoard's writer for a folder; None without one. Raises RepriseError if it is missing."""
    if folder is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter  # imported on request: it takes a second
    except ImportError:
        raise RepriseError(
            f"{TENSORBOARD}=1: needs the package 'tensorboard'; install it, or unset the variable"
        ) from None
    return SummaryWriter(str(folder))


def write(folder: Path, rows: Rows) -> None:
    """Write the rows of a history in the form of DVCLive; each file is whole at any time."""
    plots = folder / "plots" / "metrics"
    plots.mkdir(parents=True, exist_ok=True)
    for name in plotted(rows[-1]):
        pairs = [
            (row["epoch"], value) for row in rows if (value := plotted(row).get(name)) is not None
        ]
        lines = [f"step\t{name}", *(f"{step}\t{value!r}" for step, value in pairs)]
        _replace(plots / f"{name}.tsv", "\n".join(lines) + "\n")
    last = {"step": rows[-1]["epoch"]} | plotted(rows[-1])
    _replace(folder / "metrics.json", json.dumps(last, indent=2) + "\n")


def plotted(row: Mapping[str, float | int]) -> dict[str, float]:
    """The values of a row that are finite numbers, without counts."""
    return {
        name: float(value)
        for name, value in row.items()
        if name not in NOT_PLOTTED and math.isfinite(value)
    }


def in_words(seconds: float) -> str:
    """A duration for people, such as 40 s, 12 min or 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def _replace(path: Path, text: str) -> None:
    """Not by atomic_io, which would enter the file in the record of the job."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
