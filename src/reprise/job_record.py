"""What a finished job read and wrote, stored next to its log: the proof that `make sync` needs.

A job of Snakemake is recorded for DVC only if its record shows that the files on disk were made
from the present parameters and sources; see reprise.engines.sync.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

STARTED = time.time_ns()  # this module is imported before a job reads anything
WRITTEN: set[Path] = set()  # files and folders that this process renamed into place


class JobRecord:
    """The record of the running job; its file is next to the log."""

    def __init__(self, log: Path) -> None:
        self.path = log.with_suffix(".json")
        self.path.unlink(missing_ok=True)
        params = Path("params.yaml")
        self.params = params.read_text(errors="replace") if params.exists() else ""

    def write(self) -> None:
        """Write the command, its start time, params.yaml and the digests of the outputs."""
        content = {
            "command": sys.orig_argv[1:],
            "started": STARTED,
            "params": self.params,
            "outputs": {
                path.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(_files())
            },
        }
        temporary = self.path.with_suffix(".json.part")
        temporary.write_text(json.dumps(content, indent=1) + "\n")
        temporary.replace(self.path)


def _files() -> set[Path]:
    """Every output file of this process, without checkpoints, which are hidden files."""
    outputs = [path for path in WRITTEN if not path.name.startswith(".")]
    inside = {file for path in outputs for file in path.rglob("*") if file.is_file()}
    return inside | {path for path in outputs if path.is_file()}
