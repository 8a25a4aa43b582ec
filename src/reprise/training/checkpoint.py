"""A training job that was killed goes on where it was: its whole state in one file, aside.

The file lies beside the folder of the job's outputs, not in it: both engines delete outputs before
they start a job again. It is gone when the job is done.
"""

import hashlib
import io
import json
import logging
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from reprise.files import aside, drop_parts, sha256

SECONDS = 30.0  # between two checkpoints, unless the environment says otherwise
VARIABLE = "REPRISE_CHECKPOINT_SECONDS"
DIGEST = 32  # bytes of SHA-256 before the content

State = dict[str, Any]
Fingerprint = dict[str, str]


class Checkpoint:
    """The checkpoint file of one job.

    path: where it lies. fingerprint: what a checkpoint must have been made with to be used, by
    topic: parameters, data, code, machine. seconds: the least time between two checkpoints.
    """

    def __init__(self, path: Path, fingerprint: Fingerprint, seconds: float = SECONDS) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.seconds = seconds
        self.saved = time.monotonic()

    def load(self) -> State | None:
        """The state of the killed job; None, after a line of log, when there is none to use."""
        drop_parts(self.path.parent, self.path.name)
        if not self.path.exists():
            return None
        try:
            content = self.path.read_bytes()
            if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
                raise ValueError("truncated or damaged")
            stored = torch.load(io.BytesIO(content[DIGEST:]), map_location="cpu", weights_only=True)
            theirs: Fingerprint = stored["fingerprint"]
            state: State = stored["state"]
        except Exception as error:
            self._refuse(" ".join(str(error).split())[:100])
            return None
        different = [t for t in self.fingerprint if theirs.get(t) != self.fingerprint[t]]
        if different:
            self._refuse(f"made with other {' and '.join(different)}")
            return None
        return state

    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return time.monotonic() - self.saved >= self.seconds

    def save(self, state: State) -> None:
        """Write the state aside and rename; without room, say so and keep the one before."""
        buffer = io.BytesIO()
        torch.save({"fingerprint": self.fingerprint, "state": state}, buffer)
        try:
            with aside(self.path) as part, part.open("wb") as stream:
                stream.write(hashlib.sha256(buffer.getbuffer()).digest())
                stream.write(buffer.getbuffer())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            logging.warning(
                "%s: no checkpoint written (%s); the training goes on, a kill now would lose more",
                self.path, error.strerror,
            )  # fmt: skip
        self.saved = time.monotonic()

    def remove(self) -> None:
        """Delete the file: the job is done, or its state is of no use."""
        self.path.unlink(missing_ok=True)

    def _refuse(self, why: str) -> None:
        logging.warning("%s: checkpoint not used: %s; the job starts over", self.path, why)


def for_job(
    out: Path, parameters: object, data: Path, files: Iterable[Path], device: object
) -> Checkpoint:
    """The checkpoint of the job that writes to `out`.

    Args:
        parameters: every value that the job reads, as JSON can hold it.
        data: folder of the prepared set.
        files: further files that the job reads, as a pretrained backbone.
        device: where it computes, and how; it is told apart by its text.
    """
    drop_parts(out)
    inputs = [*sorted(path for path in data.iterdir() if path.is_file()), *files]
    machine = [str(device), torch.__version__, torch.backends.cpu.get_cpu_capability()]
    fingerprint = {
        "parameters": _digest(json.dumps(parameters, sort_keys=True)),
        "data": _digest(*(sha256(path) for path in inputs)),
        "code": _digest(*(sha256(path) for path in _sources())),
        "machine": _digest(*machine, str(torch.get_num_threads())),
    }
    seconds = float(os.environ.get(VARIABLE, SECONDS))
    return Checkpoint(out.with_name(f".{out.name}.checkpoint"), fingerprint, seconds)


def _sources() -> list[Path]:
    """The source files of Reprise that are loaded, and the script that runs."""
    loaded = [module for name, module in sys.modules.items() if name.split(".")[0] == "reprise"]
    files = [
        module.__file__
        for module in [*loaded, sys.modules["__main__"]]
        if hasattr(module, "__file__")
    ]
    return sorted({Path(file) for file in files if file})


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
