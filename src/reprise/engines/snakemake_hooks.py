"""What the Snakefile does so that Snakemake and DVC share one results/; standard library only.

A run has three moments: before the graph is built (`sync_before`), before the first job
(`lock_results`) and after the last one (`record_after`). The work is done by reprise.engines.sync,
in a separate process, and only if something has changed since both engines last agreed.
"""

import atexit
import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from reprise.errors import RepriseError

STAMP = Path(".snakemake/settled")  # the fingerprint when both engines last agreed
DECIDING = [Path(name) for name in ("params.yaml", "dvc.yaml", "dvc.lock", "Snakefile")]
DECIDING += [Path(name) for name in ("requirements", "data", "src", "workflow", "results")]
OFF = "REPRISE_STATE"  # 'off' for the Snakemake that `sync` itself calls
# options of Snakemake under which no job runs and none is planned
NO_JOB_OPTIONS = {
    "lint", "touch", "unlock", "list_rules", "list_target_rules", "list_changes",
    "list_input_changes", "list_params_changes", "list_untracked", "cleanup_metadata",
    "cleanup_shadow", "report", "archive", "dag", "rulegraph", "filegraph", "d3dag",
    "delete_all_output", "delete_temp_output", "print_compilation", "containerize",
}  # fmt: skip


class Hooks:
    """The shared state of one Snakemake process, from reading the Snakefile to its end."""

    def __init__(self, only_run: bool) -> None:
        """`only_run`: no other Snakemake runs here, whose state this one must not touch."""
        is_snakemake = Path(sys.argv[0]).name == "snakemake"
        self.active = only_run and is_snakemake and os.environ.get(OFF) != "off"
        self.locks = ExitStack()
        self.start = time.time_ns()

    def sync_before(self) -> None:
        """Before the graph is built: tell Snakemake what DVC did, and the reverse.

        Raises RepriseError, after a line of `sync`, if that was not possible.
        """
        if self.active and not uses_dvc():
            print("reprise: no DVC here (no .dvc/config, or no Git): it learns nothing of this run",
                  file=sys.stderr)  # fmt: skip
        if not self.active or not uses_dvc() or not _has_results() or settled():
            return
        options = _options()
        if any(getattr(options, name, None) for name in NO_JOB_OPTIONS):
            return
        if _sync("sync", *(["--dry-run"] if options.dryrun else [])):
            raise RepriseError("could not synchronise results/ with DVC; see above")

    def lock_results(self) -> None:
        """Before the first job: keep DVC's commands out of results/ until this process ends.

        Raises RepriseError if one of them is working there, or nothing can be written there.
        """
        if not self.active:
            return
        _check_writable(Path("results"))
        if not uses_dvc():
            return
        from dvc.exceptions import DvcException
        from dvc.fs import localfs
        from dvc.rwlock import rwlock

        temporary = Path(".dvc/tmp").absolute()
        temporary.mkdir(exist_ok=True)
        results = [str(Path("results").absolute())]
        lock = rwlock(str(temporary), localfs, "snakemake", [], results, False)
        try:
            self.locks.enter_context(lock)
        except DvcException as error:
            raise RepriseError(f"DVC is at work here; wait until it ends. DVC: {error}") from None
        # also after Ctrl-C, for which Snakemake calls no handler
        atexit.register(self.record_after)

    def record_after(self) -> None:
        """After the last job: DVC records what is proven to come from the present sources."""
        if self.active and uses_dvc():
            self.active = False
            self.locks.close()
            _sync("record", "--since", str(self.start))


def remove_stale_locks(folder: Path = Path(".snakemake")) -> tuple[IO[bytes], bool]:
    """Delete Snakemake's locks if no running Snakemake can own them.

    Each run holds a shared lock of the operating system on one file; it ends with the process,
    however that ends.

    Returns:
        The file, to be kept open as long as the run lasts, and whether this is the only run.
    """
    only_run = True
    folder.mkdir(exist_ok=True)
    lock = (folder / "alive").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for stale in (folder / "locks").glob("*"):
            stale.unlink()
    except BlockingIOError:
        only_run = False  # another one is running; its locks are valid
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock, only_run


def mark_current(paths: Sequence[str]) -> None:
    """Snakemake takes these files, and what they depend on, as made by its present rules.

    Raises RepriseError if it does not.
    """
    if not paths:
        return
    ended = snakemake("--cores", "1", "--touch", "--forceall", "--quiet", "all", "--", *paths)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines()
        raise RepriseError(f"snakemake --touch: {lines[-1] if lines else 'failed'}")


def mark_outdated(paths: Sequence[str]) -> None:
    """Snakemake makes these files again: it forgets their jobs, and they are older than all."""
    existing = [path for path in paths if os.path.exists(path)]
    if not existing:
        return
    snakemake(
        "--cores", "1", "--cleanup-metadata", *existing
    )  # exit status 1 if it knew none of them
    for path in existing:
        for file in [*Path(path).rglob("*"), Path(path)]:
            os.utime(file, (1, 1))  # Snakemake takes 0 for no time at all


def settled() -> bool:
    """Whether nothing has changed since both engines agreed on what is in results/."""
    return STAMP.exists() and STAMP.read_text() == fingerprint()


def fingerprint() -> str:
    """Digest of the names, sizes and times of all files that an engine decides by."""
    sums = hashlib.sha256()
    for path in (path for root in DECIDING for path in [root, *sorted(root.rglob("*"))]):
        ignored = "__pycache__" in path.parts or path.name[0] == "." or path.is_dir()
        if path.exists() and not ignored:
            status = path.stat()
            sums.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return sums.hexdigest()


def uses_dvc() -> bool:
    """Whether this is a repository of DVC inside one of Git."""
    here = Path().absolute()
    git = any((folder / ".git").exists() for folder in [here, *here.parents])
    return git and Path(".dvc/config").exists()


def _check_writable(folder: Path) -> None:
    """Raises RepriseError if no file can be created in a folder, or not the folder itself."""
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RepriseError(
            f"{folder}/: cannot be written ({error.strerror}); nothing was run or changed"
        ) from None


def _has_results() -> bool:
    """Whether there are results or a cache; a fresh clone has nothing to synchronise."""
    return Path(".dvc/cache").exists() or any(Path("results").glob("*/*/"))


def _options() -> Any:
    """Snakemake's own reading of its command line."""
    from snakemake.cli import parse_args

    return parse_args(sys.argv[1:])[1]


def _sync(*arguments: str) -> int:
    command = [sys.executable, "-m", "reprise.engines.sync", *arguments]
    source = str(Path(__file__).parents[2])
    environment = os.environ | {OFF: "off", "PYTHONPATH": source}
    return subprocess.run(command, env=environment, check=False).returncode


def snakemake(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Call Snakemake on the project in the current folder, and keep what it prints."""
    return subprocess.run(["snakemake", *arguments], capture_output=True, text=True, check=False)
