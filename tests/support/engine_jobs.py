"""The jobs of both engines, read by the engines' own loaders; nothing of reprise.engines is used.

Run as a script it prints the jobs of Snakemake in the current folder as JSON.
"""

import json
import os
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """What both engines must agree on. `keys` are dotted keys of params.yaml.

    threads: what Snakemake reserves on two cores, of which DVC knows nothing.
    """

    command: str
    dependencies: frozenset[str]
    outputs: frozenset[str]
    keys: frozenset[str]
    threads: int = field(default=1, compare=False)


def stages_behind(folder: Path, names: set[str]) -> dict[str, set[str]]:
    """The outputs of these stages of DVC and of all stages that depend on them, by stage."""
    import networkx
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        graph = repo.index.graph
        found = {stage for stage in graph if stage.name in names}
        for stage in list(found):
            found |= networkx.ancestors(graph, stage)
        return {
            stage.name: {os.path.relpath(out.fs_path, folder) for out in stage.outs}
            for stage in found
        }


def snakemake_jobs(folder: Path) -> dict[str, list[Job]]:
    """The jobs of the Snakefile in `folder` by rule, in a process of their own."""
    from support import prestarted

    text = subprocess.run(
        ["python", __file__], cwd=folder, check=True, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(folder / "src"), "PATH": prestarted.path()},
    ).stdout  # fmt: skip
    jobs: dict[str, list[Job]] = {}
    for rule, command, threads, *sets in json.loads(text):
        jobs.setdefault(rule, []).append(Job(command, *map(frozenset, sets), threads))
    return jobs


def dvc_jobs(folder: Path) -> dict[str, list[Job]]:
    """The stages of the dvc.yaml in `folder` by name, a matrix under its name before the @.

    Without `code`, which has no rule: the Snakefile does the same when it is read.
    """
    from dvc.dependency.param import ParamsDependency
    from dvc.repo import Repo

    jobs: dict[str, list[Job]] = {}
    with Repo(str(folder)) as repo:
        for stage in (stage for stage in repo.index.stages if stage.name != "code"):
            keys = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
            files = [dep for dep in stage.deps if dep not in keys]
            job = Job(
                # without the check before it, and the quotes, which no name needs
                " ".join(shlex.split(stage.cmd if isinstance(stage.cmd, str) else stage.cmd[-1])),
                frozenset(dep.def_path for dep in files),
                frozenset(out.def_path for out in stage.outs),
                frozenset(key for dep in keys for key in dep.params),
            )
            jobs.setdefault(stage.name.split("@")[0], []).append(job)
    return jobs


def _print_snakemake_jobs() -> None:
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import DAGSettings, OutputSettings, ResourceSettings

    with SnakemakeApi(OutputSettings()) as api:
        flow = api.workflow(ResourceSettings(cores=2), snakefile=Path("Snakefile"))
        workflow = flow._workflow
        workflow.dag_settings = DAGSettings(forceall=True)
        workflow._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        jobs = [
            (
                job.rule.name,
                job.shellcmd,
                job.threads,
                sorted({str(path) for path in job.input}),
                sorted({str(path) for path in job.output}),
                sorted(job.params.params_keys),
            )
            for job in workflow.dag.jobs
            if job.shellcmd
        ]
    print(json.dumps(jobs))


if __name__ == "__main__":
    _print_snakemake_jobs()
