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
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

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

    def __init__(self) -> None:
        Path(".snakemake").mkdir(exist_ok=True)
        self.alive = Path(".snakemake/alive").open("ab")  # noqa: SIM115 (open to the end)
        only_run = remove_stale_locks(self.alive)
        is_snakemake = Path(sys.argv[0]).name == "snakemake"
        # another Snakemake that runs here has a state which this one must not touch
        self.active = only_run and is_snakemake and os.environ.get(OFF) != "off"
        self.shared = self.active and uses_dvc()
        self.locks = ExitStack()
        self.start = time.time_ns()

    def sync_before(self) -> None:
        """Before the graph is built: tell Snakemake what DVC did, and the reverse.

        Raises RepriseError, after a line of `sync`, if that was not possible.
        """
        if self.active and not self.shared:
            print("reprise: no DVC here (no .dvc/config, or no Git): it learns nothing of this run",
                  file=sys.stderr)  # fmt: skip
        # a fresh clone, without results or a cache, has nothing to synchronise
        has_results = Path(".dvc/cache").exists() or any(Path("results").glob("*/*/"))
        if not self.shared or not has_results or settled():
            return
        from snakemake.cli import parse_args

        options = parse_args(sys.argv[1:])[1]
        if any(getattr(options, name, None) for name in NO_JOB_OPTIONS):
            return
        if _sync(*(["--dry-run"] if options.dryrun else [])):
            raise RepriseError("could not synchronise results/ with DVC; see above")

    def lock_results(self) -> None:
        """Before the first job: keep DVC's commands out of results/ until this process ends.

        Raises RepriseError if one of them is working there, or nothing can be written there.
        """
        if self.active:
            _check_writable(Path("results"))
        if not self.shared:
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
        if self.shared:
            self.shared = False
            self.locks.close()
            _sync("--record", str(self.start))


def remove_stale_locks(alive: IO[bytes]) -> bool:
    """Delete Snakemake's locks if no running Snakemake can own them; whether none runs.

    Each run holds a shared lock of the operating system on the file `alive`; it ends with the
    process, however that ends.
    """
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for stale in Path(".snakemake/locks").glob("*"):
            stale.unlink()
        return True
    except BlockingIOError:
        return False  # the locks of another run are valid
    finally:
        fcntl.flock(alive, fcntl.LOCK_SH)


def mark_current(paths: Sequence[str]) -> None:
    """Snakemake takes these files, and what they depend on, as made by its present rules.

    Raises RepriseError if it does not.
    """
    if not paths:
        return
    snakemake("--touch", "--cores", "1", "--forceall", "--quiet", "all", "--", *paths)


def mark_outdated(paths: Sequence[str]) -> None:
    """Snakemake makes these files again: it forgets their jobs, and they are older than all."""
    existing = [path for path in paths if os.path.exists(path)]
    if not existing:
        return
    with suppress(RepriseError):  # it fails if it knew none of them
        snakemake("--cores", "1", "--cleanup-metadata", *existing)
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
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise RepriseError(
            f"{folder}/: cannot be written ({error.strerror}); nothing was run or changed"
        ) from None


def _sync(*arguments: str) -> int:
    command = [sys.executable, "-m", "reprise.engines.sync", *arguments]
    environment = os.environ | {OFF: "off", "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(command, env=environment, check=False).returncode


def snakemake(*arguments: str) -> str:
    """What Snakemake prints for the project in the current folder; RepriseError if it fails."""
    command = ["snakemake", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines()
        raise RepriseError(f"snakemake {arguments[0]}: {lines[-1] if lines else 'failed'}")
    return ended.stdout
