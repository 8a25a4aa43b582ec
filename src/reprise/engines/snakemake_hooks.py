"""What the Snakefile does so that Snakemake and DVC share one results/; standard library only.

A run has three moments: before the graph is built (`sync_before`), before the first job
(`lock_results`) and after the last one (`record_after`). The work is done by reprise.engines.sync,
in a separate process, and only if something has changed since both engines last agreed.
"""

import atexit
import getpass
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from reprise.atomic_io import file_clock
from reprise.engines import locks, slurm
from reprise.errors import RepriseError

NO_DVC = 3  # exit status of `sync` where this user may not write what DVC writes
STAMP = Path(".snakemake/settled")  # the fingerprint when both engines last agreed
DECIDING = [Path(name) for name in ("params.yaml", "dvc.yaml", "dvc.lock", "Snakefile")]
DECIDING += [Path(name) for name in ("requirements", "data", "src", "workflow", "results")]
# options of Snakemake under which it only reads the rules, only plans, or runs no job
LOOKING = {
    "lint", "list_rules", "list_target_rules", "list_changes", "list_input_changes",
    "list_params_changes", "list_untracked", "report", "archive", "dag", "rulegraph", "filegraph",
    "d3dag", "print_compilation", "containerize",
}  # fmt: skip
PLANNING = {"dryrun", "summary", "detailed_summary"}
CLEANING = {
    "touch", "unlock", "cleanup_metadata", "cleanup_shadow", "delete_all_output",
    "delete_temp_output",
}  # fmt: skip


class Hooks:
    """The shared state of one Snakemake process, from reading the Snakefile to its end."""

    def __init__(self, workflow: Any) -> None:
        name_user()
        self.purpose = purpose(workflow)
        self.active = self.purpose != "job" and os.environ.get(locks.OFF) != "off"
        self.shared = self.active and uses_dvc()
        self.running = ExitStack()  # holds RUNNING
        self.kept_out = ExitStack()  # holds DVC's lock
        self.has_jobs = False
        self.start = file_clock(Path())
        self.on_slurm = (command_line() or {}).get("executor") == "slurm"
        self.terminal = None
        if self.purpose == "run":
            from reprise.engines.terminal import Terminal  # here: others import this module too

            self.terminal = Terminal(workflow)

    def sync_before(self) -> None:
        """Before the graph is built: tell Snakemake what DVC did, and the reverse.

        Raises RepriseError if another run is at work here. Ends this process, after a line of
        `sync`, if that was not possible.
        """
        if self.purpose in ("job", "look") or (self.purpose == "clean" and not self.active):
            return
        try:
            with locks.turn_to_sync():
                self._sync_alone()
        except locks.RunAtWork as error:
            if self.purpose != "plan":
                raise
            print(f"reprise: {error}; this plan is of the moment", file=sys.stderr)

    def _sync_alone(self) -> None:
        short = self.purpose in ("plan", "call")
        self.running.enter_context(locks.only_run("" if short else os.getpid()))
        locks.remove_stale_locks()
        if self.active and self.purpose != "clean":
            self._sync()
        if short:
            self.running.close()

    def _sync(self) -> None:
        if not self.shared:
            print("reprise: no DVC here (no .dvc/config, or no Git): it learns nothing of this run",
                  file=sys.stderr)  # fmt: skip
            return
        # a fresh clone, without results or a cache, has nothing to synchronise
        plans = self.purpose == "plan"
        status = not settled() and _has_results() and sync(*(["--dry-run"] if plans else []))
        if status == NO_DVC:
            self.shared = False
            return
        if status:
            sys.exit(1)
        if self.purpose == "run":
            self._keep_dvc_out()  # or the plan could be outdated before its first job

    def lock_results(self) -> None:
        """Before the first job: keep other runs and DVC out of results/ until this process ends.

        From then on the terminal shows how far the run is. Raises RepriseError if another run is
        working there, or nothing can be written there.
        """
        if self.active:
            self._lock_results()
        if self.terminal:
            self.terminal.start()

    def _lock_results(self) -> None:
        if self.purpose == "call":
            with locks.turn_to_sync():
                self.running.enter_context(locks.only_run(os.getpid()))
        _check_writable(Path("results"))
        self.has_jobs = True
        if self.shared:
            self._keep_dvc_out()

    def _keep_dvc_out(self) -> None:
        try:
            self.kept_out.enter_context(locks.dvc_kept_out("snakemake"))
        except OSError as error:  # not for this user to write
            cause = f"{error.filename}: {error.strerror}"
            print(f"reprise: DVC learns nothing of this run: {cause}", file=sys.stderr)
            self.shared = False
            return
        # also after Ctrl-C, for which Snakemake calls no handler
        atexit.register(self.record_after)

    def explain_failure(self) -> None:
        """After a failed job: what the logs of a cluster's nodes say of it, in one line."""
        if self.on_slurm and (line := slurm.explanation(self.start / 1e9)):
            print(f"reprise: {line}", file=sys.stderr)

    def record_after(self) -> None:
        """After the last job: DVC records what is proven to come from the present sources."""
        if self.terminal:
            self.terminal.end()
        self.kept_out.close()
        if self.shared and self.has_jobs:
            self.shared = False
            sync("--record", str(self.start))
        self.running.close()


def purpose(workflow: Any) -> str:
    """What a Snakemake process is for, however it was called.

    One of: run; plan (a dry run, a summary); clean (no job runs, but files or Snakemake's memory
    change); look (only the rules are read); call (a program uses the Python API, and may do any of
    these); job (of another Snakemake, here or on a node of a cluster).
    """
    if not workflow.is_main_process:
        return "job"
    options = command_line()
    if options is None:
        return "plan" if workflow.output_settings.dryrun else "call"
    if "generate_unit_tests" in options:
        raise RepriseError(
            "--generate-unit-tests: its tests run a rule in a folder without this workflow's "
            "sources; the tests that `make test` runs cover every rule"
        )
    if options.keys() & LOOKING and "report_after_run" not in options:
        return "look"
    if options.keys() & PLANNING:
        return "plan"
    return "clean" if options.keys() & CLEANING else "run"


def command_line() -> dict[str, Any] | None:
    """The options of Snakemake that are set, by name; None if a program uses its Python API.

    Snakemake tells a Snakefile nothing of its options, and sys.argv is that of any launcher.
    """
    frame = sys._getframe()
    while frame.f_back and frame.f_code.co_name != "args_to_api":
        frame = frame.f_back
    if frame.f_code.co_name != "args_to_api":
        return None
    return {name: value for name, value in vars(frame.f_locals["args"]).items() if value}


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
    return STAMP.exists() and STAMP.read_text(encoding="utf-8") == fingerprint()


def fingerprint() -> str:
    """Digest of the names, sizes and times of all files that an engine decides by."""
    sums = hashlib.sha256()
    for path in (path for root in DECIDING for path in [root, *sorted(root.rglob("*"))]):
        ignored = "__pycache__" in path.parts or path.name[0] == "." or path.is_dir()
        if path.exists() and not ignored:
            status = path.stat()
            sums.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return sums.hexdigest()


def _has_results() -> bool:
    """Whether there is a result here, or in DVC's cache, which may be outside of this clone."""
    from dvc.config import Config
    from dvc.exceptions import DvcException

    try:
        cache = Config.from_cwd()["cache"].get("dir", ".dvc/cache")
    except DvcException:
        return True  # `sync` says what is wrong
    return Path(cache).exists() or any(Path("results").glob("*/*/"))


def name_user() -> None:
    """Give a user whom this machine has no name for the number as a name; both engines need one."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())


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


def sync(*arguments: str) -> int:
    """Run reprise.engines.sync; its exit status. It says itself why it failed."""
    command = [sys.executable, "-m", "reprise.engines.sync", *arguments]
    environment = os.environ | {locks.OFF: "off", "PYTHONPATH": str(Path(__file__).parents[2])}
    # it keeps the locks if it outlives this process, and ends by itself after Ctrl-C
    with subprocess.Popen(command, env=environment, close_fds=False) as process:
        return process.wait()


def snakemake(*arguments: str) -> str:
    """What Snakemake prints for the project in the current folder; RepriseError if it fails."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines()
        raise RepriseError(f"snakemake {arguments[0]}: {lines[-1] if lines else 'failed'}")
    return ended.stdout
