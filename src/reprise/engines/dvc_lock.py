"""dvc.lock is whole whenever somebody reads it, also after a kill.

DVC writes it in place, and if it is killed meanwhile, every later command of both engines fails.
Here it is written to a temporary file and renamed. What DVC left cut short is replaced by an older
copy. That makes nothing wrong fresh: an entry says what a stage makes of its dependencies and
parameters, and is used only where all of these are so on disk.
"""

import logging
import shutil
import subprocess
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from dvc.dependency import ParamsDependency
from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.utils.serialize import parse_yaml
from dvc_data.hashfile.hash_info import HashInfo

from reprise.atomic_io import atomic_file, remove_leftovers, write_bytes

LOCK = Path("dvc.lock")
GOOD = Path(".dvc/tmp/dvc.lock.good")  # as it was after the last synchronisation
CONFLICT = b"<<<<<<<"  # of Git


def write(repo: Repo, stages: Sequence[PipelineStage]) -> None:
    """Enter stages in dvc.lock, in the bytes that DVC writes, by one rename."""
    for stage in stages:
        _copy_values(stage)
    with atomic_file(LOCK) as temporary:
        if LOCK.exists():
            shutil.copy(LOCK, temporary)
        Lockfile(repo, str(temporary.absolute())).dump_stages(stages)


def _copy_values(stage: PipelineStage) -> None:
    """Give a stage its own parameters: values that stages share would be written as YAML aliases.

    `sync` parses params.yaml once for all stages, DVC once for each.
    """
    for dependency in stage.deps:
        if isinstance(dependency, ParamsDependency) and dependency.hash_info.value:
            values = {name: deepcopy(value) for name, value in dependency.hash_info.value.items()}
            dependency.hash_info = HashInfo(dependency.PARAM_PARAMS, values)  # type: ignore[arg-type]


def keep() -> None:
    """Keep a copy of a dvc.lock that DVC has read."""
    text = _bytes(LOCK)
    if text and text != _bytes(GOOD):
        write_bytes(GOOD, text)


def heal() -> None:
    """Replace a dvc.lock that is cut short by its last good copy, or by that of Git's HEAD.

    Without any it is removed: the records of the jobs and DVC's cache have the rest. One line says
    what was done. Nobody else may write dvc.lock meanwhile. Raises OSError if it cannot be
    written.
    """
    if LOCK.exists():
        LOCK.open("r+b").close()  # or a rename would replace a write-protected file
    remove_leftovers(Path(), LOCK.name)
    text, good = _bytes(LOCK), _bytes(GOOD)
    if (text and text == good) or is_whole(text):
        return
    head = subprocess.run(["git", "show", f"HEAD:./{LOCK}"], capture_output=True, check=False)
    if has_conflicts() or (text is None and head.returncode):
        return  # a person decides; or nobody has made one
    copies = {"its last good copy": good, "Git's HEAD": head.stdout}
    source = next((name for name, copy in copies.items() if is_whole(copy)), None)
    if source:
        write_bytes(LOCK, copies[source] or b"")
        done = f"restored from {source}"
    else:
        LOCK.unlink()
        done = "removed, as there is no good copy"
    what = "missing" if text is None else "cut short"
    logging.warning("reprise: %s was %s; %s; what it lacks is looked up in the records of the jobs "
                    "and in DVC's cache", LOCK, what, done)  # fmt: skip


def has_conflicts() -> bool:
    """Whether Git left both sides of a merge in dvc.lock."""
    return CONFLICT in (_bytes(LOCK) or b"")


def is_whole(text: bytes | None) -> bool:
    """Whether this is all of a dvc.lock: it ends a line, and DVC can read it."""
    try:
        Lockfile.validate(parse_yaml((text or b"").decode(), LOCK), LOCK)
    except (DvcException, ValueError):
        return False
    return text is not None and text.endswith(b"\n")


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
