"""Whether the record of a job proves that files on disk are what a stage of DVC would make now."""

import os
import shlex
from functools import cache
from pathlib import Path
from typing import Any

from dvc.stage import PipelineStage
from pydantic import ValidationError

from reprise.atomic_io import file_clock, files_in
from reprise.engines.code import CODE, listed_sources
from reprise.errors import RepriseError
from reprise.params.base import value_at
from reprise.params.reader import parse_yaml
from reprise.record import Record


def reason_not_proven(stage: PipelineStage) -> str | None:
    """Why no record proves that this stage makes what is on disk; None if one does.

    A record does if its job ran the stage's command after the last change of each dependency, with
    the present parameters of the stage, and wrote every output as it is now. The times are those at
    which the file system last changed a file (ctime), which no user command sets back; but a clock
    that is set back does, so a job that begins in the future proves nothing. All times are by the
    clock of the file system (see `cli`), so that those of nodes may differ from it.
    """
    record = record_of(stage)
    if record is None or record.command != command(stage):
        return "no job left a record of this command"
    if record.started > file_clock(Path("logs")):
        return "its record is from the future: the clock was set back since"
    try:
        now = _parsed(Path("params.yaml").read_text(encoding="utf-8"))
        then = _parsed(record.params)
    except RepriseError as error:
        return f"its params.yaml cannot be read: {error}"
    for key in (key for dep in stage.deps for key in getattr(dep, "params", None) or []):
        if value_at(now, key) != value_at(then, key):
            return f"params.yaml: {key} has changed since it began"
    inputs = [Path(dep.fs_path) for dep in stage.deps if not getattr(dep, "params", None)]
    outputs = [Path(out.fs_path) for out in stage.outs]
    for path in inputs + outputs:
        if not path.exists():
            return f"{os.path.relpath(path)} does not exist"
    for file in files_in(inputs):
        sources = map(Path, listed_sources(file)) if CODE.absolute() in file.parents else ()
        for path in (*sources, file):
            late = record.seconds_late(path)
            if late > 0:
                return f"{os.path.relpath(path)} was changed {late:.3f} s after it began"
    if other := record.other_file(outputs):
        return f"{os.path.relpath(other)} is not what it wrote"
    return None


def finished_jobs(since: int) -> list[str]:
    """The commands of the jobs that succeeded and began after a time, as `file_clock` gives it."""
    records = [_read(path) for path in sorted(Path("logs").rglob("*.json"))]
    return [" ".join(record.command) for record in records if record and record.started >= since]


def command(stage: PipelineStage) -> list[str]:
    """The arguments of the stage's Python: its shell line without variables and interpreter."""
    try:
        words = shlex.split(stage.cmd if isinstance(stage.cmd, str) else stage.cmd[-1])
    except ValueError:  # an open quote, edited by hand
        return []
    return words[words.index("python") + 1 :] if "python" in words else words


def record_of(stage: PipelineStage) -> Record | None:
    """The record next to the log of the stage's command; None if there is none to read."""
    words = command(stage)
    if "--log" not in words[:-1]:
        return None
    return _read(Path(words[words.index("--log") + 1]).with_suffix(".json"))


def _read(path: Path) -> Record | None:
    try:
        return Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


@cache
def _parsed(text: str) -> Any:
    """A text of params.yaml, parsed once: nearly all jobs of a run read the same one."""
    return parse_yaml(text)
