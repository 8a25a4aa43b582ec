"""What the Snakefile does so that Snakemake and DVC trust one results/; standard library only.

Three moments of a run: before the graph is built (`settle`), while jobs run (`hold`), and after
(`tell`). The work itself is done by reprise.pipeline.state, in a process of its own, and only when
a file has changed since it last found everything in order.
"""

import atexit
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError

STAMP = Path(".snakemake/settled")  # the fingerprint when both engines last agreed
OFF = "REPRISE_STATE"  # set to 'off' for the Snakemake that `state` itself calls
# options of Snakemake under which no job runs and none is planned
ASIDE = {
    "lint", "touch", "unlock", "list_rules", "list_target_rules", "list_changes",
    "list_input_changes", "list_params_changes", "list_untracked", "cleanup_metadata",
    "cleanup_shadow", "report", "archive", "dag", "rulegraph", "filegraph", "d3dag",
    "delete_all_output", "delete_temp_output", "print_compilation", "containerize",
}  # fmt: skip


class Guard:
    """The shared state of one Snakemake process, from its Snakefile to its end."""

    def __init__(self, alone: bool) -> None:
        """`alone`: no other Snakemake runs here, whose state this one must leave as it is."""
        called = Path(sys.argv[0]).name == "snakemake"
        self.on = alone and called and os.environ.get(OFF) != "off"
        self.held = ExitStack()
        self.start = time.time_ns()

    def settle(self) -> None:
        """Before the graph is built: let Snakemake know what DVC did, and the reverse.

        Raises RepriseError, after the line of `state`, when it could not.
        """
        if self.on and not uses_dvc():
            print("reprise: no DVC here (no .dvc/config, or no Git): it learns nothing of this run",
                  file=sys.stderr)  # fmt: skip
        if not self.on or not uses_dvc() or not _anything_known() or settled():
            return
        options = _options()
        if any(getattr(options, name, None) for name in ASIDE):
            return
        if _state("sync", *(["--dry-run"] if options.dryrun else [])):
            raise RepriseError("the files in results/ could not be settled; the reason is above")

    def hold(self) -> None:
        """Before the first job: keep DVC's commands out of results/ until this process ends.

        Raises RepriseError when one of them is at work there, or nothing can be written there.
        """
        if not self.on:
            return
        _writable(Path("results"))
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
            self.held.enter_context(lock)
        except DvcException as error:
            raise RepriseError(
                f"DVC is at work here; wait until it ends. It says: {error}"
            ) from None
        # also after Ctrl-C, for which Snakemake calls no handler
        atexit.register(self.tell)

    def tell(self) -> None:
        """After the last job: DVC records what is proven to come from this state of things."""
        if self.on and uses_dvc():
            self.on = False
            self.held.close()
            _state("record", "--since", str(self.start))


def settled() -> bool:
    """Whether nothing changed since both engines agreed on what is in results/."""
    return STAMP.exists() and STAMP.read_text() == fingerprint()


def fingerprint() -> str:
    """Digest of what both engines decide by: contents of sources, names and times of results."""
    sums = hashlib.sha256()
    for source in _sources():
        sums.update(f"{source}\0".encode())
        sums.update(source.read_bytes())
    for path in _below("results"):
        status = os.stat(path, follow_symlinks=False)
        sums.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return sums.hexdigest()


def _sources() -> list[Path]:
    names = ["params.yaml", "dvc.yaml", "dvc.lock", "requirements-data.txt", "Snakefile"]
    code = [path for folder in ("src", "workflow", "data") for path in Path(folder).rglob("*.*")]
    kinds = {".py", ".smk", ".csv", ".yaml", ".json"}
    files = [path for path in code if path.suffix in kinds and path.is_file()]
    return sorted(files) + [Path(name) for name in names if Path(name).is_file()]


def _below(folder: str) -> list[str]:
    """Every file in `folder` and below that is not hidden, sorted."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(place, name) for name in files if not name.startswith(".")]
    return sorted(found)


def _writable(folder: Path) -> None:
    """Raises RepriseError when no file can be made in a folder, or the folder itself."""
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RepriseError(
            f"{folder}/: cannot be written ({error.strerror}); nothing was run or changed"
        ) from None


def uses_dvc() -> bool:
    """Whether DVC can be told: this is a repository of DVC inside one of Git."""
    here = Path().absolute()
    git = any((folder / ".git").exists() for folder in [here, *here.parents])
    return git and Path(".dvc/config").exists()


def _anything_known() -> bool:
    """Whether there are results or a cache; in a fresh clone there is nothing to settle."""
    return Path(".dvc/cache").exists() or any(Path("results").glob("*/*/"))


def _options() -> Any:
    """Snakemake's own reading of its command line."""
    from snakemake.cli import parse_args

    return parse_args(sys.argv[1:])[1]


def _state(*arguments: str) -> int:
    command = [sys.executable, "-m", "reprise.pipeline.state", *arguments]
    source = str(Path(__file__).parents[2])
    environment = os.environ | {OFF: "off", "PYTHONPATH": source}
    return subprocess.run(command, env=environment, check=False).returncode
