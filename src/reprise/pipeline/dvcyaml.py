"""The stages of dvc.yaml, derived from the Snakefile; a developer's tool, never used in a run.

Snakemake expands the rules over a stand-in for params.yaml: each axis (a list named sets, runs,
methods or seeds, and each list below settings) holds one placeholder, and so does each scalar named
data, run, setting or seed. A rule then gives one job for each stage. In the texts of that job,

- a placeholder that is one of the job's wildcards becomes `${item.<wildcard>}` of a DVC matrix,
- the placeholder of a scalar becomes `${<its key in params.yaml>}`,
- a path that holds a foreign axis (a file of every job of a part) is cut to the folder before it:
  DVC depends on that folder, and what is named of it alone is left out. The folder must be there
  where the axis is empty too.

So the stages hold for every value of the axes. What stands in dvc.yaml outside `stages` is kept.
"""

import argparse
import difflib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
)

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.files import write_text

AXES = ("sets", "runs", "methods", "seeds")
SCALARS = ("data", "run", "setting", "seed")
PLACEHOLDER = re.compile(r"__at_\w+?__")
# Small and read by people: Git keeps them, DVC's cache does not.
UNCACHED = ("results/metrics.json", "results/tables/")


@dataclass(frozen=True)
class Job:
    """What Snakemake says of one job over the placeholders."""

    rule: str
    wildcards: dict[str, str]
    command: str
    inputs: list[str]
    outputs: list[str]
    keys: list[str]  # of params.yaml


@dataclass(frozen=True)
class Placeholders:
    """params.yaml with placeholders, and the dotted key that each stands for."""

    config: dict[str, Any]
    axes: dict[str, str]
    scalars: dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description="Derive the stages of dvc.yaml.")
    parser.add_argument("--check", action="store_true", help="fail when dvc.yaml is out of date")
    check = parser.parse_args().check
    path = Path("dvc.yaml")
    old, new = path.read_text(), render(path)
    if not check:
        write_text(path, new)
    elif old != new:
        changes = difflib.unified_diff(old.split("\n"), new.split("\n"), "dvc.yaml", "derived", n=1)
        print("\n".join(changes))
        raise RepriseError("dvc.yaml: out of date with the Snakefile; run `make dvc.yaml`")


def render(path: Path) -> str:
    """The text of `path` with its stages derived anew."""
    layout = YAML()
    layout.width = 10_000  # a command stays on one line
    layout.indent(mapping=2, sequence=4, offset=2)
    document = layout.load(path.read_text())
    document["stages"] = stages()
    text = io.StringIO()
    layout.dump(document, text)
    return text.getvalue()


def stages() -> dict[str, Any]:
    """All stages by name, in the order of the rules."""
    stand_in = placeholders(yaml.safe_load(Path("presets/earth.yaml").read_text()))
    jobs = [job for job in expand(stand_in.config) if _is_stage(job, stand_in)]
    made: dict[str, Any] = {}
    for job in jobs:
        alone = sum(other.rule == job.rule for other in jobs) == 1
        name = job.rule if alone else f"{job.rule}_{_suffix(job, stand_in)}"
        if name in made:
            raise RepriseError(f"rule {job.rule}: two jobs would be the stage '{name}'")
        made[name] = _stage(job, stand_in)
    return made


def placeholders(params: dict[str, Any]) -> Placeholders:
    """Put a placeholder where an axis or a scalar of a path stands."""
    made = Placeholders({"placeholders": True}, {}, {})

    def visit(block: dict[str, Any], key: str) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for name, value in block.items():
            dotted = f"{key}.{name}" if key else name
            token = f"__at_{dotted.replace('.', '_')}__"
            if isinstance(value, list) and (name in AXES or key.endswith("settings")):
                made.axes[token] = dotted
                copy[name] = [token]
            elif name in SCALARS:
                made.scalars[token] = dotted
                copy[name] = token
            elif isinstance(value, dict) and name != "recipes":
                copy[name] = visit(value, dotted)
            else:
                copy[name] = value
        return copy

    made.config.update(visit(params, ""))
    return made


def expand(config: dict[str, Any]) -> list[Job]:
    """Every job of the whole graph under `config`, in the order of the rules."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        flow = api.workflow(
            config_settings=ConfigSettings(config=config),
            resource_settings=ResourceSettings(cores=1),
            snakefile=Path("Snakefile"),
        )
        flow.dag(DAGSettings(forceall=True))
        # no public call gives the jobs; the version of Snakemake is pinned, and a test holds this
        workflow = flow._workflow
        workflow.dag_settings = DAGSettings(forceall=True)
        workflow._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        rules = [rule.name for rule in workflow.rules]
        found = sorted(workflow.dag.jobs, key=lambda job: (rules.index(job.rule.name), job.output))
        return [_job(job) for job in found]


def _job(job: Any) -> Job:
    reads = getattr(job.params, "reads", {})
    return Job(
        rule=job.rule.name,
        wildcards=dict(job.wildcards_dict),
        command=job.shellcmd or "",
        inputs=[str(path) for path in job.input],
        outputs=[str(path) for path in job.output],
        keys=list(reads),
    )


def _is_stage(job: Job, stand_in: Placeholders) -> bool:
    """Not the target, and no job that another part wants beside the axes of its own block."""
    if not job.command or any(value in stand_in.scalars for value in job.wildcards.values()):
        return False
    axes = [stand_in.axes[value] for value in job.wildcards.values() if value in stand_in.axes]
    return job.rule not in stand_in.config or all(key.startswith(f"{job.rule}.") for key in axes)


def _suffix(job: Job, stand_in: Placeholders) -> str:
    """What tells the stages of one rule apart: a fixed wildcard, or the axis that one runs over."""
    fixed = [value for value in job.wildcards.values() if value not in stand_in.axes]
    if fixed:
        return "_".join(fixed)
    own = [stand_in.axes[value] for value in job.wildcards.values()]
    return next(key.rsplit(".", 1)[1] for key in own if ".settings." in key)


def _stage(job: Job, stand_in: Placeholders) -> dict[str, Any]:
    axes = {name: value for name, value in job.wildcards.items() if value in stand_in.axes}
    items = {value: f"${{item.{name}}}" for name, value in axes.items()}
    known = items | {token: f"${{{key}}}" for token, key in stand_in.scalars.items()}

    def template(text: str) -> str:
        return PLACEHOLDER.sub(lambda match: known[match[0]], text)

    def folder(path: str) -> str | None:
        foreign = next((m for m in PLACEHOLDER.finditer(path) if m[0] not in known), None)
        return template(path[: foreign.start()].rpartition("/")[0]) if foreign else None

    folders = {cut for path in job.inputs if (cut := folder(path))}
    files = {template(path) for path in job.inputs if not folder(path)}
    alone = {file for file in files if not file.startswith(tuple(f"{cut}/" for cut in folders))}
    stage: dict[str, Any] = {}
    if axes:
        stage["matrix"] = {name: f"${{{stand_in.axes[value]}}}" for name, value in axes.items()}
    stage["cmd"] = template(job.command)
    stage["deps"] = sorted(folders | alone)
    stage["params"] = _unique(template(key) for key in job.keys)
    stage["outs"] = [_out(template(path)) for path in job.outputs]
    return stage


def _out(path: str) -> Any:
    return {path: {"cache": False}} if path.startswith(UNCACHED) else path


def _unique(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


if __name__ == "__main__":
    run(main)
