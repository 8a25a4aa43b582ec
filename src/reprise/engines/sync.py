"""One state for both engines: DVC learns what Snakemake made, and Snakemake what DVC knows.

DVC's lock file is the common memory. A stage is fresh if it and all that it depends on are as the
lock file says. What Snakemake's jobs made is entered there, if their records prove it. Then, but
for `--record`, what DVC's cache has for the present parameters is restored, everything fresh is
marked as current for Snakemake (`snakemake --touch`), and the rest as outdated.
"""

import argparse
import errno
import hashlib
import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import dvc.dependency.param
import networkx
import yaml
from dvc.exceptions import ConfirmRemoveError, DvcException
from dvc.lock import LockError
from dvc.output import Output
from dvc.repo import Repo, lock_repo
from dvc.stage import PipelineStage
from dvc.stage.cache import RunCacheNotFoundError

from reprise.atomic_io import move, write_text
from reprise.cli import run
from reprise.engines import code, dvc_lock, locks
from reprise.engines import snakemake_hooks as hooks
from reprise.engines.job_records import command, finished_jobs, reason_not_proven, record_of
from reprise.errors import RepriseError
from reprise.params.load import load_params

REPLACED = Path(".snakemake/replaced")  # outputs that somebody edited by hand
CODE_STAGE = "code"  # writes the code files, as the Snakefile does; no rule of Snakemake


def main() -> None:
    """Record or synchronise."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dry-run", action="store_true", help="restore nothing from the cache")
    parser.add_argument(
        "--record", type=int, metavar="NS", help="only record; name jobs since then not recorded"
    )
    args = parser.parse_args()
    if not hooks.uses_dvc():
        raise RepriseError("no .dvc or no Git here: `git checkout .dvc`, or `git init && dvc init`")
    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        hooks.name_user()
        code.write(load_params())
        with locks.alone():
            os.environ[locks.OFF] = "off"  # for the Snakemake that this calls
            if args.record:
                stages = synchronise(restore=False, tell_snakemake=False)
                _log_unrecorded(stages, finished_jobs(args.record))
            else:
                synchronise(restore=not args.dry_run, tell_snakemake=True)
    except (DvcException, yaml.YAMLError) as error:
        raise RepriseError(_explanation(error)) from error
    except (OSError, sqlite3.Error) as error:
        if not _is_refusal(error):
            raise RepriseError(f"DVC cannot work here: {_cause(error)}") from error
        logging.error("reprise: DVC learns nothing of this run: %s", _cause(error))
        sys.exit(hooks.NO_DVC)


def synchronise(restore: bool, tell_snakemake: bool) -> "Stages":
    """Bring DVC's lock file and Snakemake's memory to what is proven of the files in results/."""
    repo = Repo()
    with lock_repo(repo), _params_parsed_once():
        dvc_lock.heal()
        stages = Stages(repo, restore)
        try:
            for stage in stages.ordered:
                stages.classify(stage)
        finally:
            stages.write()
            stages.log()
        dvc_lock.keep()
        if tell_snakemake:
            hooks.mark_current([path for stage in stages.fresh for path in _outputs(stage)])
            hooks.mark_outdated([path for stage in stages.stale for path in _outputs(stage)])
    if len(stages.fresh) == len(stages.ordered):
        write_text(hooks.STAMP, hooks.fingerprint())
    else:
        hooks.STAMP.unlink(missing_ok=True)
    return stages


@contextmanager
def _params_parsed_once() -> Iterator[None]:
    """Let DVC parse params.yaml once, not three times a stage, which grows with both numbers."""
    original = dvc.dependency.param.load_path
    dvc.dependency.param.load_path = cache(original)
    try:
        yield
    finally:
        dvc.dependency.param.load_path = original


class Stages:
    """The stages of DVC: fresh, stale, or neither as long as one that they depend on is stale.

    fresh: how each came to be so: locked (as the lock file says), uncached (locked, but missing in
    DVC's cache), code (the code stage, whose entry is out of date), recorded (its job's record
    proves it) or restored (from DVC's cache). stale: why each could not be recorded.
    """

    def __init__(self, repo: Repo, restore: bool) -> None:
        self.repo = repo
        self.restore = restore
        self.graph = repo.index.graph
        names = {stage: stage.addressing for stage in self.graph}
        order = networkx.lexicographical_topological_sort(self.graph.reverse(), names.get)
        self.ordered: list[PipelineStage] = list(order)  # each after those that it depends on
        self.fresh: dict[PipelineStage, str] = {}
        self.stale: dict[PipelineStage, str] = {}
        self.edited: list[Path] = []

    def classify(self, stage: PipelineStage) -> None:
        """Put a stage where it belongs; those that it depends on were classified before it."""
        if not all(other in self.fresh for other in self.graph.successors(stage)):
            return
        if stage.name == CODE_STAGE:
            how = "code" if any(stage.changed_entries()) or stage.changed_outs() else "locked"
        elif not any(stage.changed_entries()):
            how = "uncached" if stage.changed_outs() else "locked"
        elif not (reason := reason_not_proven(stage)):
            how = "recorded"
        elif self.restore and self._restored(stage):
            how = "restored"
        else:
            self.stale[stage] = reason
            return
        self.fresh[stage] = how

    def fresh_by(self, how: str) -> list[PipelineStage]:
        """The stages that came to be fresh in one way."""
        return [stage for stage in self.fresh if self.fresh[stage] == how]

    def write(self) -> None:
        """Enter the new stages in DVC's cache and lock file.

        Only after all are classified: DVC touches files that it adds, and a later proof would fail.
        """
        made = self.fresh_by("code") + self.fresh_by("recorded")
        for stage in made:
            stage.save()
        for stage in made + self.fresh_by("uncached"):
            stage.commit()
        new = made + self.fresh_by("restored")
        if new:
            dvc_lock.write(self.repo, new)

    def log(self) -> None:
        """One line for each kind of thing that was done."""
        if self.edited:
            more = f" (and {len(self.edited) - 1} more)" if len(self.edited) > 1 else ""
            what = f"{self.edited[0]} is not what its job wrote{more}"
            logging.info("reprise: %s; moved to %s", what, REPLACED)
        if recorded := self.fresh_by("recorded"):
            logging.info("reprise: %d jobs of Snakemake recorded in dvc.lock", len(recorded))
        if restored := self.fresh_by("restored"):
            logging.info("reprise: %d jobs restored from DVC's cache, not run", len(restored))

    def _restored(self, stage: PipelineStage) -> bool:
        """Whether DVC's cache had the outputs for the present command, dependencies, parameters."""
        for out in stage.outs:
            self._move_unknown(stage, out)
        locked = [dep.hash_info for dep in stage.deps]
        try:
            try:
                self.repo.stage_cache.restore(stage)
            except ConfirmRemoveError:  # it is all there, but DVC has no copy of what it replaces
                stage.remove_outs(force=True)
                # or DVC takes the outputs in its lock file for those of the present dependencies
                for dep, info in zip(stage.deps, locked, strict=True):
                    dep.hash_info = info
                self.repo.stage_cache.restore(stage)
        except RunCacheNotFoundError:
            return False
        stage.save()
        damaged = [out for out in stage.outs if _damaged(out)]
        for out in damaged:
            out.remove()
            logging.warning("reprise: %s: damaged in DVC's cache, dropped there", out)
        return not damaged

    def _move_unknown(self, stage: PipelineStage, out: Output) -> None:
        """Move an output that is neither in DVC's lock file nor in its cache out of the way.

        If no job wrote it either, then a person did.
        """
        path = Path(os.path.relpath(out.fs_path))
        known = out.get_hash() if path.exists() and out.workspace_status() else None
        if known and not out.cache.exists(known.value):
            record = record_of(stage)
            if record is None or record.other_file([path]):
                self.edited.append(path)
            move(path, REPLACED / path)


def _outputs(stage: PipelineStage) -> list[str]:
    """The outputs that a rule of Snakemake makes."""
    outs = stage.outs if stage.name != CODE_STAGE else []
    return [os.path.relpath(out.fs_path) for out in outs]


def _damaged(out: Output) -> bool:
    """Whether files from the cache do not have their digests; DVC does not check.

    What is damaged is dropped from the cache.
    """
    if not out.use_cache:
        return False
    files = [(out.fs_path, out.hash_info.value)]
    if out.hash_info.isdir:
        files = [(os.path.join(out.fs_path, *key), info.value) for key, _, info in out.get_obj()]
    bad = [md5 for path, md5 in files if hashlib.md5(Path(path).read_bytes()).hexdigest() != md5]
    for value in bad:
        out.cache.delete(value)
    return bool(bad)


def _log_unrecorded(stages: Stages, jobs: list[str]) -> None:
    """One line for jobs that no stage runs, and one for those that could not be recorded."""
    known = {" ".join(command(stage)): stage for stage in stages.ordered}
    if unknown := [job for job in jobs if job not in known]:
        logging.warning(
            "reprise: dvc.yaml: no stage for %d jobs such as `%s`; run `make dvc.yaml`",
            len(unknown), unknown[0],
        )  # fmt: skip
    if outdated := [job for job in jobs if job in known and known[job] not in stages.fresh]:
        # a job with a reason of its own explains those behind it
        first = next((job for job in outdated if known[job] in stages.stale), outdated[0])
        reason = stages.stale.get(known[first], "a job before it is not recorded")
        logging.warning(
            "reprise: %d jobs not recorded, such as `%s`: %s", len(outdated), first, reason
        )


def _cause(error: Exception) -> str:
    """What failed, such as `dvc.lock: Permission denied`."""
    if isinstance(error, OSError) and isinstance(error.filename, str):
        return f"{os.path.relpath(error.filename)}: {error.strerror}"
    return f"its database: {error}" if isinstance(error, sqlite3.Error) else str(error)


def _is_refusal(error: Exception) -> bool:
    """Whether this user may not write what DVC writes, so that only Snakemake can work here."""
    if isinstance(error, OSError):
        return error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    return "readonly" in str(error) or "unable to open" in str(error)


def _explanation(error: Exception) -> str:
    """What to do about an error of DVC, in one line."""
    text = " ".join(str(error).split())
    if dvc_lock.has_conflicts():
        return (
            "dvc.lock: has merge conflicts; `git checkout --theirs dvc.lock` (either side will "
            "do), then `make sync`: DVC's cache restores what belongs to params.yaml"
        )
    if isinstance(error, LockError):
        return locks.at_work(error)
    hint = "; run `make dvc.yaml`" if "'dvc.yaml'" in text else ""
    return f"DVC: {text}{hint}"


if __name__ == "__main__":
    run(main)
