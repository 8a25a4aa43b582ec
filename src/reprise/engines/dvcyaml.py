"""The stages of dvc.yaml, derived from the Snakefile and the tasks of params.yaml.

Snakemake expands the rules over a copy of the parameters in which one placeholder stands for each
axis (datasets, runs, seeds, methods), and one for each name that leads to a file (data, run, seed).
A rule then gives one job for every stage of DVC. In the texts of that job,

- the placeholder of an axis becomes `${item.<wildcard>}` of a matrix over the key in params.yaml;
- the placeholder of a name becomes `${<its key in params.yaml>}`;
- the files of other axes become their folder, and so do all files that jobs write to one folder.

A fine-tuning task has one stage for each start of its runs, which are named there: DVC cannot look
up the start of a run. So the stages are right for other values of the axes, and a new task, or run
of fine-tuning, needs `make dvc.yaml`. What dvc.yaml has besides `stages` is written by hand.
"""

import io
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
)

from reprise.engines.code import CODE, RUN_STAGES, SCRATCH
from reprise.errors import RepriseError
from reprise.figures import FAMILIES
from reprise.params.load import Params, load_params

DVC_YAML = Path("dvc.yaml")
PLACEHOLDER = re.compile(r"__\d+__")
FIXED = ("task", "name")  # wildcards whose values are part of a stage's name
# Small and read by people: Git keeps them, DVC's cache does not.
UNCACHED = ("results/metrics.json", "results/intervals.json", "results/tables/")


@dataclass
class Placeholders:
    """Parameters with placeholders.

    axes: what a matrix is over, by placeholder. names: dotted keys of params.yaml by placeholder.
    starts: what the runs of a fine-tuning start from, by their placeholder.
    """

    params: Params
    axes: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    starts: dict[str, str] = field(default_factory=dict)

    def axis(self, values: Any) -> str:
        """A new placeholder of an axis: a dotted key of params.yaml, or a list."""
        token = f"__{len(self.axes) + len(self.names)}__"
        self.axes[token] = f"${{{values}}}" if isinstance(values, str) else values
        return token

    def name(self, key: str) -> str:
        """A new placeholder of the name at a dotted key."""
        token = f"__{len(self.axes) + len(self.names)}__"
        self.names[token] = key
        return token


def render() -> str:
    """The text of dvc.yaml with stages derived from the present rules and parameters."""
    layout = YAML()
    layout.width = 10_000  # a command stays on one line
    layout.indent(mapping=2, sequence=4, offset=2)
    document = layout.load(DVC_YAML.read_text())
    document["stages"] = stages(load_params())
    text = io.StringIO()
    layout.dump(document, text)
    return text.getvalue()


def stages(params: Params) -> dict[str, Any]:
    """All stages by name, in the order of the rules."""
    placeholders = insert_placeholders(params)
    jobs = expand(placeholders.params)
    written: dict[str, set[str]] = defaultdict(set)  # outputs by folder
    for path in (PurePosixPath(str(path)) for job in jobs for path in job.output):
        if not PLACEHOLDER.search(path.name):
            written[str(path.parent)].add(str(path))
    derived = {"code": _code_stage(params)}
    for job in jobs:
        wildcards = job.wildcards_dict
        axes = {name: value for name, value in wildcards.items() if name not in FIXED}
        if not job.shellcmd or not all(value in placeholders.axes for value in axes.values()):
            continue  # the target, or a job that another one reads by its name
        fixed = [value for name, value in wildcards.items() if name in FIXED]
        starts = [placeholders.starts[v] for v in axes.values() if v in placeholders.starts]
        name = "_".join([job.rule.name, *fixed, *starts])
        if name in derived:
            raise RepriseError(f"rule {job.rule.name}: two jobs would be the stage '{name}'")
        derived[name] = _stage(job, axes, placeholders, written)
    return derived


def insert_placeholders(params: Params) -> Placeholders:
    """Put placeholders where the axes and the names of paths are."""
    made = Placeholders(params)
    stages: dict[str, Any] = {"datasets": {made.axis("datasets"): None}}
    for stage in RUN_STAGES:
        stages[stage] = {}
        for task, block in getattr(params, stage).items():
            key = f"{stage}.{task}"
            values: dict[str, Any] = {"data": made.name(f"{key}.data")}
            if stage == "finetune":
                values |= _by_start(block, made)
                if "pretraining_seed" in block.model_fields_set:
                    values["pretraining_seed"] = made.name(f"{key}.pretraining_seed")
            for axis in ("runs", "seeds"):
                if hasattr(block, axis) and axis not in values:
                    values[axis] = [made.axis(f"{key}.{axis}")]
            stages[stage][task] = block.model_copy(update=values)
    stages["embed"] = {}
    for name, embed in params.embed.items():
        values = {axis: made.name(f"embed.{name}.{axis}") for axis in ("run", "seed")}
        values["methods"] = [made.axis(f"embed.{name}.methods")]
        stages["embed"][name] = embed.model_copy(update=values)
    made.params = params.model_copy(update=stages)
    return made


def _by_start(block: Any, made: Placeholders) -> dict[str, Any]:
    """A placeholder for the runs of each start of a fine-tuning task."""
    recipes = {}
    for start in dict.fromkeys(block.recipes[name].start for name in block.runs):
        runs = [name for name in block.runs if block.recipes[name].start == start]
        token = made.axis(_list(runs))
        made.starts[token] = SCRATCH if start == "none" else start
        recipes[token] = block.recipes[runs[0]]
    return {"runs": list(recipes), "recipes": recipes}


def expand(params: Params) -> list[Any]:
    """Every job of Snakemake's graph under `params`, in the order of the rules."""
    methods = {method for embed in params.embed.values() for method in embed.methods}
    FAMILIES["embeddings"] |= dict.fromkeys(methods, "embeddings")  # a placeholder is a method too
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        flow = api.workflow(
            config_settings=ConfigSettings(config={"placeholders": params}),
            resource_settings=ResourceSettings(cores=1),
            snakefile=Path("Snakefile"),
        )
        flow.dag(DAGSettings(forceall=True))
        # no public call gives the jobs; Snakemake's version is pinned, and a test covers this
        workflow = flow._workflow
        workflow.dag_settings = DAGSettings(forceall=True)
        workflow._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        rules = [rule.name for rule in workflow.rules]
        return sorted(workflow.dag.jobs, key=lambda job: (rules.index(job.rule.name), job.output))


def _code_stage(params: Params) -> dict[str, Any]:
    """The first stage, which writes the digests of the source files of all other stages."""
    return {
        "cmd": "PYTHONPATH=src python -m reprise.engines.code",
        "deps": ["src", "workflow/scripts"],
        "params": _list(s for s in (*RUN_STAGES, "embed") if s in params.model_fields_set),
        "outs": [{str(CODE): _flow(CommentedMap(cache=False, persist=True))}],
    }


def _stage(
    job: Any, axes: dict[str, str], placeholders: Placeholders, written: dict[str, set[str]]
) -> dict[str, Any]:
    """A job of Snakemake as a stage; `written`: outputs of all jobs by folder."""
    known = {value: f"${{item.{name}}}" for name, value in axes.items()}
    known |= {token: f"${{{key}}}" for token, key in placeholders.names.items()}
    inputs = {str(path) for path in job.input}

    def template(text: str) -> str:
        return PLACEHOLDER.sub(lambda match: known[match[0]], text)

    def folder(path: str) -> str | None:
        """The folder that DVC depends on instead of a file; None: on the file."""
        foreign = next((m for m in PLACEHOLDER.finditer(path) if m[0] not in known), None)
        if foreign:
            return path[: foreign.start()].rpartition("/")[0]
        parent = str(PurePosixPath(path).parent)
        siblings = written.get(parent, set())
        return parent if len(siblings) > 1 and siblings <= inputs else None

    folders = {above for path in inputs if (above := folder(path))}
    inside = tuple(f"{above}/" for above in folders)
    files = {path for path in inputs if not path.startswith(inside)}
    stage: dict[str, Any] = {}
    if axes:
        stage["matrix"] = {name: placeholders.axes[value] for name, value in axes.items()}
    stage["cmd"] = template(job.shellcmd)
    stage["deps"] = sorted(template(path) for path in folders | files)
    stage["params"] = _list(sorted({template(key) for key in job.params.params_keys}))
    stage["outs"] = [_out(template(str(path))) for path in job.output]
    return stage


def _out(path: str) -> Any:
    return {path: _flow(CommentedMap(cache=False))} if path.startswith(UNCACHED) else path


def _list(values: Iterable[str]) -> CommentedSeq:
    """A list of names, on one line if it is short and nothing needs quotes."""
    names = CommentedSeq(values)
    text = ", ".join(names)
    return _flow(names) if len(text) <= 90 and "{" not in text else names


def _flow(block: Any) -> Any:
    """The same mapping or list, to be written on one line."""
    block.fa.set_flow_style()
    return block
