"""One state for both engines: DVC learns what Snakemake made, and Snakemake what DVC knows.

DVC's lock file is the common memory. A stage is fresh if it and all that it depends on are as the
lock file says. `record` enters what Snakemake's jobs made, if their records prove it. `sync` does
the same, then restores what DVC's cache has for the present parameters, marks everything fresh as
current for Snakemake (`snakemake --touch`), and the rest as outdated.
"""

import argparse
import hashlib
import logging
import os
import shutil
from pathlib import Path

import networkx
import yaml
from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.repo import Repo, lock_repo
from dvc.stage import PipelineStage
from dvc.stage.cache import RunCacheNotFoundError

from reprise.atomic_io import write_text
from reprise.cli import run
from reprise.engines import code
from reprise.engines import snakemake_hooks as hooks
from reprise.engines.job_records import command, finished_jobs, reason_not_proven
from reprise.errors import RepriseError
from reprise.params.load import load_params

REPLACED = Path(".snakemake/replaced")  # outputs that somebody edited by hand
CODE_STAGE = "code"  # writes the code files, as the Snakefile does; no rule of Snakemake


def main() -> None:
    """Record or synchronise."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["record", "sync"], nargs="?", default="sync")
    parser.add_argument("--dry-run", action="store_true", help="restore nothing from the cache")
    parser.add_argument("--since", type=int, help="name the jobs since this time (ns) not recorded")
    args = parser.parse_args()
    if not hooks.uses_dvc():
        raise RepriseError("no .dvc or no Git here: `git checkout .dvc`, or `git init && dvc init`")
    logging.getLogger("dvc").setLevel(logging.ERROR)
    code.write(load_params())
    try:
        sync = args.what == "sync"
        status = synchronise(restore=sync and not args.dry_run, tell_snakemake=sync)
    except (DvcException, yaml.YAMLError) as error:
        raise RepriseError(_explanation(error)) from error
    if args.since:
        _log_unrecorded(status, finished_jobs(args.since))


def synchronise(restore: bool, tell_snakemake: bool) -> "StageStatus":
    """Bring DVC's lock file and Snakemake's memory to what is proven of the files in results/."""
    repo = Repo()
    with lock_repo(repo):
        status = StageStatus(repo, restore)
        try:
            for stage in status.stages:
                status.classify(stage)
        finally:
            status.write()
            status.log()
        if tell_snakemake:
            hooks.mark_current([path for stage in status.fresh for path in _outputs(stage)])
            hooks.mark_outdated([path for stage in status.stale for path in _outputs(stage)])
    if len(status.fresh) == len(status.stages):
        write_text(hooks.STAMP, hooks.fingerprint())
    else:
        hooks.STAMP.unlink(missing_ok=True)
    return status


class StageStatus:
    """Each stage of DVC is fresh, stale, or neither as long as one that it depends on is stale."""

    def __init__(self, repo: Repo, restore: bool) -> None:
        self.repo = repo
        self.restore = restore
        graph = repo.index.graph
        self.stages = in_order(graph)
        self.before = {stage: list(graph.successors(stage)) for stage in self.stages}
        self.fresh: list[PipelineStage] = []
        self.stale: list[PipelineStage] = []
        self.uncached: list[PipelineStage] = []  # fresh, but missing in DVC's cache
        self.code: list[PipelineStage] = []  # the code stage, if its entry is out of date
        self.recorded: list[PipelineStage] = []
        self.restored: list[PipelineStage] = []
        self.edited: list[Path] = []
        self.reasons: dict[tuple[str, ...], str] = {}  # why jobs could not be recorded

    def classify(self, stage: PipelineStage) -> None:
        """Put a stage where it belongs; those that it depends on were classified before it."""
        if not all(other in self.fresh for other in self.before[stage]):
            return
        if stage.name == CODE_STAGE:
            self.fresh.append(stage)
            if any(stage.changed_entries()) or stage.changed_outs():
                self.code.append(stage)
        elif not any(stage.changed_entries()):
            self.fresh.append(stage)
            if stage.changed_outs():
                self.uncached.append(stage)
        elif not (reason := reason_not_proven(stage)):
            self.recorded.append(stage)
            self.fresh.append(stage)
        elif self.restore and self._restored(stage):
            self.restored.append(stage)
            self.fresh.append(stage)
        else:
            self.stale.append(stage)
            self.reasons[tuple(command(stage))] = reason

    def write(self) -> None:
        """Enter the new stages in DVC's cache and lock file.

        Only after all are classified: DVC touches files that it adds, and a later proof would fail.
        """
        for stage in self.code + self.recorded:
            stage.save()
        for stage in self.code + self.recorded + self.uncached:
            stage.commit()
        new = self.code + self.recorded + self.restored
        if new:
            new[0].dvcfile.dump_stages(new, update_pipeline=False)

    def log(self) -> None:
        """One line for each kind of thing that was done."""
        if self.edited:
            more = f" (and {len(self.edited) - 1} more)" if len(self.edited) > 1 else ""
            what = f"{self.edited[0]} is not what its job wrote{more}"
            logging.info("reprise: %s; moved to %s", what, REPLACED)
        if self.recorded:
            logging.info("reprise: %d jobs of Snakemake recorded in dvc.lock", len(self.recorded))
        if self.restored:
            logging.info("reprise: %d jobs restored from DVC's cache, not run", len(self.restored))

    def _restored(self, stage: PipelineStage) -> bool:
        """Whether DVC's cache had the outputs for the present command, dependencies, parameters."""
        self.edited += _move_edited(stage)
        try:
            self.repo.stage_cache.restore(stage)
        except RunCacheNotFoundError:
            return False
        stage.save()
        damaged = [out for out in stage.outs if _damaged(out)]
        for out in damaged:
            out.remove()
            logging.warning("reprise: %s: damaged in DVC's cache, dropped there", out)
        return not damaged


def in_order(graph: networkx.DiGraph) -> list[PipelineStage]:
    """All stages, each after those that it depends on."""
    names = {stage: stage.addressing for stage in graph}
    return list(networkx.lexicographical_topological_sort(graph.reverse(), names.get))


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


def _move_edited(stage: PipelineStage) -> list[Path]:
    """Move outputs that DVC has never seen out of the way: a person wrote them.

    DVC refuses to replace these, including those that it does not cache.
    """
    edited = []
    for out in stage.outs:
        path = Path(os.path.relpath(out.fs_path))
        if path.exists() and out.workspace_status():
            known = out.get_hash()
            if known and not out.cache.exists(known.value):
                target = REPLACED / path
                shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
                edited.append(path)
    return edited


def _log_unrecorded(status: StageStatus, jobs: list[list[str]]) -> None:
    """One line for jobs that no stage runs, and one for those that could not be recorded."""
    stages = [command(stage) for stage in status.stages]
    fresh = [command(stage) for stage in status.fresh]
    if unknown := [job for job in jobs if job not in stages]:
        logging.warning(
            "reprise: dvc.yaml: no stage for %d jobs such as `%s`; run `make dvc.yaml`",
            len(unknown), " ".join(unknown[0]),
        )  # fmt: skip
    if outdated := [job for job in jobs if job in stages and job not in fresh]:
        # a job with a reason of its own explains those behind it
        first = next((job for job in outdated if tuple(job) in status.reasons), outdated[0])
        logging.warning(
            "reprise: %d jobs not recorded, such as `%s`: %s", len(outdated), " ".join(first),
            status.reasons.get(tuple(first), "a job before it is not recorded"),
        )  # fmt: skip


def _explanation(error: Exception) -> str:
    """What to do about an error of DVC, in one line."""
    text = " ".join(str(error).split())
    try:
        lock = Path("dvc.lock").read_text()
    except OSError:
        lock = ""
    if "<<<<<<<" in lock:
        return (
            "dvc.lock: has merge conflicts; `git checkout --theirs dvc.lock` (either side will "
            "do), then `make sync`: DVC's cache restores what belongs to params.yaml"
        )
    if "lock" in type(error).__name__.lower():
        return f"DVC or Snakemake is at work here; wait until it ends. DVC: {text}"
    hint = "; run `make dvc.yaml`" if "'dvc.yaml'" in text else ""
    return f"DVC: {text}{hint}"


if __name__ == "__main__":
    run(main)
