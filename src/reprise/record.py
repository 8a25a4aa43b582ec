"""What a finished job read and wrote, kept beside its log: the proof that `make sync` asks for.

A Snakemake run is told to DVC only where such a record shows that the files on disk came from the
parameters and sources that are there now; see reprise.pipeline.state.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

STARTED = time.time_ns()  # imported before what a job reads
WRITTEN: set[Path] = set()  # files and folders that this process gave their names


class Record:
    """The record of the running job; its file lies beside the log."""

    def __init__(self, log: Path) -> None:
        self.path = log.with_suffix(".json")
        self.path.unlink(missing_ok=True)
        params = Path("params.yaml")
        self.params = params.read_text(errors="replace") if params.exists() else ""

    def write(self) -> None:
        """Write aside and rename: the command, its start, params.yaml, digests of the outputs."""
        content = {
            "command": sys.orig_argv[1:],
            "started": STARTED,
            "params": self.params,
            "outputs": {
                path.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(_files())
            },
        }
        part = self.path.with_suffix(".json.part")
        part.write_text(json.dumps(content, indent=1) + "\n")
        part.replace(self.path)


def _files() -> set[Path]:
    """Every file that the process wrote for others; checkpoints, which are hidden, are not."""
    shown = [path for path in WRITTEN if not path.name.startswith(".")]
    inside = {file for path in shown for file in path.rglob("*") if file.is_file()}
    return inside | {path for path in shown if path.is_file()}
