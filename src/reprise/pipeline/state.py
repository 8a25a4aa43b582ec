"""One state for both engines: DVC learns what Snakemake made, and Snakemake what DVC knows.

DVC's lock file is the common memory. A stage is fresh when it and all that it depends on are as
the lock file says. `record` enters what Snakemake's jobs made, where their records prove it. `sync`
does so too, then gets back from DVC's cache what it remembers of the present parameters, lets
Snakemake take over everything fresh (`snakemake --touch`), and makes it forget the rest.
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

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.files import write_text
from reprise.pipeline.guard import STAMP, fingerprint, uses_dvc
from reprise.pipeline.memory import adopt, forget
from reprise.pipeline.proof import command, doubt, ran

KEPT = Path(".snakemake/replaced")  # outputs that somebody edited by hand


def main() -> None:
    """Record or sync."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["record", "sync"], nargs="?", default="sync")
    parser.add_argument("--dry-run", action="store_true", help="bring nothing back from the cache")
    parser.add_argument("--since", type=int, help="say which jobs since this time, in ns, are left")
    given = parser.parse_args()
    if not uses_dvc():
        raise RepriseError("no .dvc or no Git here: `git checkout .dvc`, or `git init && dvc init`")
    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        sync = given.what == "sync"
        verdicts = settle(restore=sync and not given.dry_run, take_over=sync)
    except (DvcException, yaml.YAMLError) as error:
        raise RepriseError(_explained(error)) from error
    if given.since:
        _say_left_out(verdicts, ran(given.since))


def settle(restore: bool, take_over: bool) -> "Verdicts":
    """Bring DVC's lock file and Snakemake's memory to what is proven of the files in results/."""
    repo = Repo()
    with lock_repo(repo):
        verdicts = Verdicts(repo, restore)
        try:
            for stage in verdicts.stages:
                verdicts.judge(stage)
        finally:
            verdicts.write()
            verdicts.say()
        if take_over:
            adopt([out for stage in verdicts.fresh for out in _outs(stage)])
            forget([out for stage in verdicts.stale for out in _outs(stage)])
    if len(verdicts.fresh) == len(verdicts.stages):
        write_text(STAMP, fingerprint())
    else:
        STAMP.unlink(missing_ok=True)
    return verdicts


class Verdicts:
    """What is known of each stage: fresh, stale, or neither as long as another one is stale."""

    def __init__(self, repo: Repo, restore: bool) -> None:
        self.repo = repo
        self.restore = restore
        graph = repo.index.graph
        self.stages = in_order(graph)
        self.before = {stage: list(graph.successors(stage)) for stage in self.stages}
        self.fresh: list[PipelineStage] = []
        self.stale: list[PipelineStage] = []
        self.uncached: list[PipelineStage] = []  # fresh, but gone from DVC's cache
        self.recorded: list[PipelineStage] = []
        self.restored: list[PipelineStage] = []
        self.edited: list[Path] = []
        self.doubts: dict[tuple[str, ...], str] = {}  # of jobs that could not be recorded

    def judge(self, stage: PipelineStage) -> None:
        """Put a stage, whose dependencies were judged before it, where it belongs."""
        if not all(other in self.fresh for other in self.before[stage]):
            return
        if not any(stage.changed_entries()):
            self.fresh.append(stage)
            if stage.changed_outs():
                self.uncached.append(stage)
        elif not (doubted := doubt(stage)):
            self.recorded.append(stage)
            self.fresh.append(stage)
        elif self.restore and self._restored(stage):
            self.restored.append(stage)
            self.fresh.append(stage)
        else:
            self.stale.append(stage)
            self.doubts[tuple(command(stage))] = doubted

    def write(self) -> None:
        """Enter the new stages in DVC's cache and lock file.

        Not before all are judged: DVC touches files that it takes in, and a later proof would fail.
        """
        for stage in self.recorded:
            stage.save()
        for stage in self.recorded + self.uncached:
            stage.commit()
        new = self.recorded + self.restored
        if new:
            new[0].dvcfile.dump_stages(new, update_pipeline=False)

    def say(self) -> None:
        """A line for each kind of thing that was done."""
        if self.edited:
            more = f" (and {len(self.edited) - 1} more)" if len(self.edited) > 1 else ""
            what = f"{self.edited[0]} is not what its job made{more}"
            logging.info("reprise: %s; kept in %s", what, KEPT)
        if self.recorded:
            logging.info("reprise: %d jobs of Snakemake recorded in dvc.lock", len(self.recorded))
        if self.restored:
            logging.info("reprise: %d jobs taken from DVC's cache, not run", len(self.restored))

    def _restored(self, stage: PipelineStage) -> bool:
        """Whether DVC's cache had the outputs for the present command, dependencies, parameters."""
        self.edited += _keep_edited(stage)
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


def _outs(stage: PipelineStage) -> list[str]:
    return [os.path.relpath(out.fs_path) for out in stage.outs]


def _damaged(out: Output) -> bool:
    """Whether files that came from the cache are not those of their digests; DVC trusts them.

    What is damaged is dropped from the cache.
    """
    if not out.use_cache:
        return False
    found = [(out.fs_path, out.hash_info.value)]
    if out.hash_info.isdir:
        tree = out.get_obj()
        found = [(os.path.join(out.fs_path, *key), info.value) for key, _, info in tree]
    bad = [value for path, value in found if _md5(path) != value]
    for value in bad:
        out.cache.delete(value)
    return bool(bad)


def _md5(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def _keep_edited(stage: PipelineStage) -> list[Path]:
    """Move outputs that DVC has never seen out of the way: a person wrote them, and they differ.

    DVC refuses to replace these, also such as it does not cache for itself.
    """
    edited = []
    for out in stage.outs:
        path = Path(os.path.relpath(out.fs_path))
        if path.exists() and out.workspace_status():
            known = out.get_hash()
            if known and not out.cache.exists(known.value):
                kept = KEPT / path
                shutil.rmtree(kept) if kept.is_dir() else kept.unlink(missing_ok=True)
                kept.parent.mkdir(parents=True, exist_ok=True)
                path.rename(kept)
                edited.append(path)
    return edited


def _say_left_out(verdicts: Verdicts, jobs: list[list[str]]) -> None:
    """One line for jobs that no stage runs, and one for those that could not be recorded."""
    stages = [command(stage) for stage in verdicts.stages]
    recorded = [command(stage) for stage in verdicts.fresh]
    if unknown := [job for job in jobs if job not in stages]:
        logging.warning(
            "reprise: dvc.yaml: no stage for %d jobs, as `%s`; `make dvc.yaml` derives the stages",
            len(unknown), " ".join(unknown[0]),
        )  # fmt: skip
    if late := [job for job in jobs if job in stages and job not in recorded]:
        # one whose own files are in doubt explains those behind it
        first = next((job for job in late if tuple(job) in verdicts.doubts), late[0])
        logging.warning(
            "reprise: %d jobs not recorded, as `%s`: %s", len(late), " ".join(first),
            verdicts.doubts.get(tuple(first), "a job before it is not recorded"),
        )  # fmt: skip


def _explained(error: Exception) -> str:
    """What to do about an error of DVC, in one line."""
    text = " ".join(str(error).split())
    try:
        lock = Path("dvc.lock").read_text()
    except OSError:
        lock = ""
    if "<<<<<<<" in lock:
        return (
            "dvc.lock: has merge conflicts; `git checkout --theirs dvc.lock` (either side will "
            "do), then `make sync`: DVC's cache gives back what belongs to params.yaml"
        )
    if "lock" in type(error).__name__.lower():
        return f"DVC is at work here, or Snakemake is; wait for its end. DVC: {text}"
    return f"DVC: {text}"


if __name__ == "__main__":
    run(main)
