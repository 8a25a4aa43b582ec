"""`reprise gc`: what no commit, no experiment and no job of params.yaml needs; --force deletes it.

- files in DVC's cache that no commit, no experiment and not the workspace refers to
- datasets, results, logs and checkpoints of jobs that params.yaml does not have
- what `make sync` has moved to .snakemake/replaced/
"""

import argparse
import json
import logging
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from reprise.atomic_io import delete, file_clock
from reprise.cli import run
from reprise.engines.dvc_lock import LOCK
from reprise.engines.git import git
from reprise.engines.locks import alone
from reprise.engines.snakemake_hooks import name_user, uses_dvc
from reprise.engines.sync import REPLACED
from reprise.errors import RepriseError
from reprise.jobs import STAGES, jobs
from reprise.params.load import Params, load_params

DIR = ".dir"  # ends the name of a list of files
DIGEST = re.compile(rb"\bmd5: ([0-9a-f]{32}(?:\.dir)?)\b")
EXPERIMENTS = Path(".dvc/tmp/exps")  # has a folder for each one that runs, with this cache
SHOWN = 5  # names of a kind, unless all are requested


@dataclass
class Garbage:
    """Paths of one kind that can be deleted."""

    kind: str
    paths: list[Path] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """How much space they take."""
        return sum(size(path) for path in self.paths)


def main() -> None:
    """Show what no committed state needs, and how much space it takes; or delete it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--force", action="store_true", help="delete it")
    parser.add_argument("--all", action="store_true", help="name every file and folder")
    args = parser.parse_args()
    if not uses_dvc():
        raise RepriseError("no .dvc or no Git here: there is no commit that could need anything")
    name_user()
    logging.getLogger("dvc").setLevel(logging.ERROR)
    params = load_params()
    with alone():
        kinds = [unused_cache(), *unused_jobs(params), Garbage("replaced by `make sync`")]
        kinds[-1].paths = sorted(REPLACED.glob("*"))
        for kind in kinds:
            print(summary(kind, None if args.all else SHOWN))
            for path in kind.paths if args.force else ():
                delete(path)
    total = in_words(sum(kind.bytes for kind in kinds))
    if args.force:
        print("deleted")
    else:
        print(f"{total} in all; nothing was deleted: `reprise gc --force` does it")


def unused_cache() -> Garbage:
    """Files in DVC's cache to which nothing refers.

    Raises RepriseError if the cache is outside the project, where others may use it.
    """
    garbage = Garbage("in DVC's cache, of no commit, experiment or present result")
    with Repo() as repo:
        folders = {Path(db.path) for _, db in repo.cache.by_scheme() if db and is_local(db)}
        project_cache = Path(repo.dvc_dir).resolve()
    # what an experiment that runs stores later is not looked at
    started = file_clock(project_cache)
    needed = referenced()
    for folder in sorted(folders):
        if project_cache not in folder.resolve().parents:
            raise RepriseError(
                f"{folder}: DVC's cache is not in this project, and others may use it; see "
                "`dvc gc --help` for --projects"
            )
        of_folders = [folder / name[:2] / name[2:] for name in needed if name.endswith(DIR)]
        needed |= {name for path in of_folders if path.is_file() for name in listed(path)}
    for path in (path for folder in sorted(folders) for path in sorted(folder.glob("??/*"))):
        unused = path.is_file() and path.parent.name + path.name not in needed
        if unused and path.stat().st_ctime_ns < started:
            garbage.paths.append(Path(os.path.relpath(path)))
    return garbage


def referenced() -> set[str]:
    """The MD5 of all files and folders that a commit, an experiment or dvc.lock here names."""
    named = git("rev-list", "--all", "--objects", "--", LOCK.name, "*.dvc").splitlines()
    blobs = [
        line.split()[0]
        for line in named
        if line.endswith((f"/{LOCK.name}", f" {LOCK.name}", ".dvc"))
    ]
    command = ["git", "cat-file", "--batch"]
    ended = subprocess.run(
        command, input="\n".join(blobs).encode(), capture_output=True, check=True
    )
    present = [LOCK, *Path().glob("*.dvc"), *EXPERIMENTS.glob(f"*/{LOCK.name}")]
    texts = [
        ended.stdout,
        *(path.read_bytes() for path in present if path.is_file()),
    ]
    return {name.decode() for text in texts for name in DIGEST.findall(text)}


def listed(path: Path) -> set[str]:
    """The MD5 of the files of a folder, from the object of DVC's cache that lists them."""
    try:
        return {entry["md5"] for entry in json.loads(path.read_bytes())}
    except (ValueError, KeyError, TypeError):
        return set()  # a damaged list is of no use to DVC


def is_local(database: Any) -> bool:
    """Whether an object database of DVC is a folder on this machine."""
    return "local" in database.fs.protocol


def unused_jobs(params: Params) -> list[Garbage]:
    """Datasets, results, logs and checkpoints of jobs that params.yaml does not have."""
    known = {job.path for job in jobs(params)} | {f"prepare/{name}" for name in params.datasets}
    results = Garbage("results of no job in params.yaml")
    results.paths = [path for name, path in job_folders(Path("results")) if name not in known]
    logs = Garbage("logs and checkpoints of no job in params.yaml")
    for top in ("logs", "live"):
        logs.paths += [path for name, path in job_folders(Path(top)) if name not in known]
    for path in sorted(Path("logs").glob("*/*/*/*.*")) + sorted(Path("logs/prepare").glob("*.*")):
        name = path.relative_to("logs").with_suffix("").as_posix()
        if name.split("/")[0] in (*STAGES, "prepare") and name not in known:
            logs.paths.append(path)
    for path in sorted(Path("results").glob("*/*/*/.*.checkpoint")):
        name = path.with_name(path.name[1:].partition(".")[0]).relative_to("results").as_posix()
        if name not in known:
            logs.paths.append(path)
    return [results, logs]


def job_folders(top: Path) -> Iterator[tuple[str, Path]]:
    """Name and folder of each job, and of each dataset, below `top`."""
    patterns = ["prepare/*", *(f"{stage}/*/*/*" for stage in STAGES)]
    for path in (path for pattern in patterns for path in sorted(top.glob(pattern))):
        if path.is_dir() and not path.name.startswith("."):
            yield path.relative_to(top).as_posix(), path


def summary(garbage: Garbage, shown: int | None) -> str:
    """A line on one kind, and the first of its paths."""
    count = f"{len(garbage.paths)} files and folders, {in_words(garbage.bytes)}"
    names = [f"  {path}" for path in garbage.paths[:shown]]
    more = len(garbage.paths) - len(names)
    if more:
        names.append(f"  and {more} more (--all)")
    return "\n".join([f"{garbage.kind}: {count if garbage.paths else 'nothing'}", *names])


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 if it does not exist."""
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())


def in_words(count: int) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000  # type: ignore[assignment]
    return f"{count:.1f} GB"


if __name__ == "__main__":
    run(main)
