"""The record that a finished job leaves next to its log (written by reprise.cli), as it is read."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from reprise.atomic_io import files_in, sha256


class Record(BaseModel):
    """What a job read and wrote.

    started: in ns since 1970, by the clock of the file system that has the logs. results_started:
    the same by that of results/, if it is another one. params: the text of params.yaml. outputs:
    SHA-256 by path.
    """

    model_config = ConfigDict(strict=True)
    command: list[str]
    started: int
    results_started: int | None = None
    params: str
    outputs: dict[str, str]

    def seconds_late(self, path: Path) -> float:
        """By how much a file was last changed after the job began; negative if before it.

        Both times are those of the file system that holds the file.
        """
        start = self.started
        if (
            self.results_started is not None
            and Path("results").absolute() in path.absolute().parents
        ):
            start = self.results_started
        return (path.stat().st_ctime_ns - start) / 1e9

    def other_file(self, paths: Iterable[Path]) -> Path | None:
        """The first file among these paths, or in these folders, that the job did not write so."""
        digests = {Path(path).absolute(): digest for path, digest in self.outputs.items()}
        files = files_in(path.absolute() for path in paths)
        return next((file for file in files if digests.get(file) != sha256(file)), None)


def resources(path: Path) -> dict[str, Any] | None:
    """What a job used, from its record; None without a record, or in one of an older version."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    used = record.get("resources") if isinstance(record, dict) else None
    return used if isinstance(used, dict) and "seconds" in used else None
