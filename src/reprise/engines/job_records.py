"""Whether the record of a job proves that files on disk are what a stage of DVC would make now."""

import json
import os
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from dvc.stage import PipelineStage

from reprise.atomic_io import files_in, sha256
from reprise.engines.code import CODE, listed_sources
from reprise.params.base import value_at


def reason_not_proven(stage: PipelineStage) -> str | None:
    """Why no record proves that this stage makes what is on disk; None if one does.

    A record does if its job ran the stage's command after the last change of each dependency, with
    the present parameters of the stage, and wrote every output as it is now. The times are those at
    which the file system last changed a file (ctime), which no user command sets back.
    """
    record = _record(stage)
    if record is None or record["command"] != command(stage):
        return "no job left a record of this command"
    now = _parsed(Path("params.yaml").read_text())
    then = _parsed(record["params"])
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
            late = path.stat().st_ctime_ns - record["started"]
            if late > 0:
                return f"{os.path.relpath(path)} was changed {late / 1e9:.3f} s after it began"
    digests = {Path(path).absolute(): digest for path, digest in record["outputs"].items()}
    for file in files_in(outputs):
        if digests.get(file) != sha256(file):
            return f"{os.path.relpath(file)} is not what it wrote"
    return None


def finished_jobs(since: int) -> list[str]:
    """The commands of the jobs that succeeded and began after a time, in ns since 1970."""
    records = [_read(path) for path in sorted(Path("logs").rglob("*.json"))]
    jobs = [record for record in records if isinstance(record, dict) and "started" in record]
    return [" ".join(record["command"]) for record in jobs if record["started"] >= since]


def command(stage: PipelineStage) -> list[str]:
    """The arguments of the stage's Python: its shell line without variables and interpreter."""
    words = shlex.split(stage.cmd)
    return words[words.index("python") + 1 :] if "python" in words else words


def _record(stage: PipelineStage) -> Any:
    """The record next to the log of the stage's command; None if there is none to read."""
    words = command(stage)
    if "--log" not in words[:-1]:
        return None
    return _read(Path(words[words.index("--log") + 1]).with_suffix(".json"))


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


@cache
def _parsed(text: str) -> Any:
    """A text of params.yaml, parsed once: nearly all jobs of a run read the same one."""
    return yaml.safe_load(text)
