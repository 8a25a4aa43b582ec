"""A killed training job resumes from its last checkpoint: its whole state in one file.

The file is next to the folder of the job's outputs, because both engines delete outputs before they
start a job again. It is deleted when the job is done.
"""

import hashlib
import io
import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from reprise.atomic_io import atomic_file, remove_leftovers, sha256
from reprise.errors import RepriseError
from reprise.training.runtime import cpu_capability

SECONDS = 30.0  # between two checkpoints, unless the environment says otherwise
VARIABLE = "REPRISE_CHECKPOINT_SECONDS"
DIGEST_SIZE = 32  # bytes of SHA-256 before the content

State = dict[str, Any]
Fingerprint = dict[str, str]


class Checkpoint:
    """The checkpoint file of one job.

    path: the file. fingerprint: what a checkpoint must have been made with to be used, by topic:
    parameters, data, code, machine. seconds: the shortest time between two checkpoints.
    """

    def __init__(self, path: Path, fingerprint: Fingerprint, seconds: float = SECONDS) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.seconds = seconds
        self.saved = time.monotonic()

    def load(self) -> State | None:
        """The state of the killed job; None, after a warning, if there is none that fits."""
        remove_leftovers(self.path.parent, self.path.name)
        if not self.path.exists():
            return None
        try:
            content = self.path.read_bytes()
            if hashlib.sha256(content[DIGEST_SIZE:]).digest() != content[:DIGEST_SIZE]:
                raise ValueError("truncated or damaged")
            stream = io.BytesIO(content[DIGEST_SIZE:])
            stored = torch.load(stream, map_location="cpu", weights_only=True)
            fingerprint: Fingerprint = stored["fingerprint"]
            state: State = stored["state"]
        except Exception as error:
            self._ignore(" ".join(str(error).split())[:100])
            return None
        different = [t for t in self.fingerprint if fingerprint.get(t) != self.fingerprint[t]]
        if different:
            self._ignore(f"made with other {' and '.join(different)}")
            return None
        return state

    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return time.monotonic() - self.saved >= self.seconds

    def save(self, state: State) -> None:
        """Replace the file; if the disk is full, warn and keep the one before."""
        buffer = io.BytesIO()
        torch.save({"fingerprint": self.fingerprint, "state": state}, buffer)
        try:
            with atomic_file(self.path) as temporary, temporary.open("wb") as stream:
                stream.write(hashlib.sha256(buffer.getbuffer()).digest())
                stream.write(buffer.getbuffer())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            logging.warning(
                "%s: no checkpoint written (%s); the training continues, but a kill would lose "
                "more of it", self.path, error.strerror,
            )  # fmt: skip
        self.saved = time.monotonic()

    def remove(self) -> None:
        """Delete the file: the job is done."""
        self.path.unlink(missing_ok=True)

    def _ignore(self, reason: str) -> None:
        logging.warning("%s: checkpoint not used: %s; the job starts over", self.path, reason)


def job_checkpoint(out: Path, parameters: Any, inputs: Iterable[Path], device: Any) -> Checkpoint:
    """The checkpoint of the job that writes to the folder `out`.

    parameters: every value that the job reads, as JSON can hold it. inputs: the files that it
    reads, in the same order each time. device: where and how it computes, as text.
    """
    remove_leftovers(out)
    machine = [str(device), torch.__version__, cpu_capability()]
    fingerprint = {
        "parameters": _digest(json.dumps(parameters, sort_keys=True)),
        "data": _digest(*map(sha256, inputs)),
        "code": _digest(*map(sha256, _sources())),
        "machine": _digest(*machine, str(torch.get_num_threads())),
    }
    file = out.with_name(f".{out.name}.checkpoint")
    return Checkpoint(file, fingerprint, seconds_between())


def seconds_between() -> float:
    """The shortest time between two checkpoints. Raises RepriseError if the variable is wrong."""
    text = os.environ.get(VARIABLE, str(SECONDS))
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text):
        raise RepriseError(f"{VARIABLE}: '{text}' is not a number of seconds; set one such as 30")
    return float(text)


def _sources() -> list[Path]:
    """The source files of Reprise that are loaded, and the script that runs."""
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "reprise"]
    files = [getattr(module, "__file__", None) for module in [*modules, sys.modules["__main__"]]]
    return sorted({Path(file) for file in files if file})


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
