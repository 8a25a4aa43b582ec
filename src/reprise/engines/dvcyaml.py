"""The stages of dvc.yaml, derived from the Snakefile and the tasks of params.yaml.

Snakemake expands the rules over a copy of the parameters in which one placeholder stands for each
axis (datasets, runs, seeds, methods), and one for each name that leads to a file (data, run, seed).
A rule then gives one job for every stage of DVC. In the texts of that job,

- the placeholder of an axis becomes `${item.<wildcard>}` of a matrix over the key in params.yaml;
- the placeholder of a name becomes `${<its key in params.yaml>}`; so does the first seed of a
  pretraining that all seeds of a fine-tuning share;
- the files of other axes become their folder, and so do all files that jobs write to one folder.

A fine-tuning task has one stage for each start of its runs, which are named there: DVC cannot look
up the start of a run. So the stages are right for other values of the axes, and a new task, or run
of fine-tuning, needs `make dvc.yaml`. What dvc.yaml has besides `stages` is written by hand.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

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
from reprise.params.finetune import FinetuneTask
from reprise.params.load import Params, load_params
from reprise.params.reader import read_yaml, yaml_text

DVC_YAML = Path("dvc.yaml")
PAGE = Path("workflow/report")
PLACEHOLDER = re.compile(r"µ\d+µ")  # names in params.yaml are ASCII
# The first line of a command with names from params.yaml. If it fails, DVC does not start the next,
# in which a name could be any text. A command without names checks the whole file itself.
CHECK = "env PYTHONPATH=src python -m reprise.params"
FIXED = ("task", "name")  # wildcards whose values are part of a stage's name
# Small and read by people: Git keeps them, DVC's cache does not.
UNCACHED = ("results/metrics.json", "results/intervals.json", "results/tables/", "results/latex/")


@dataclass
class Placeholders:
    """What stands for what in a copy of the parameters.

    axes: what a matrix is over, by placeholder. names: dotted keys of params.yaml by placeholder.
    starts: what the runs of a fine-tuning start from, by their placeholder.
    """

    axes: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    starts: dict[str, str] = field(default_factory=dict)

    def insert(self, params: Params) -> Params:
        """A copy of the parameters with placeholders where the axes and the names of paths are."""
        blocks: dict[str, Any] = {"datasets": {self._new(self.axes, "${datasets}"): None}}
        for stage in RUN_STAGES:
            tasks = getattr(params, stage).items()
            blocks[stage] = {name: self._task(f"{stage}.{name}", task) for name, task in tasks}
        blocks["embed"] = {}
        for name, embed in params.embed.items():
            key = f"embed.{name}"
            values: dict[str, Any] = {
                "run": self._new(self.names, f"{key}.run"),
                "seed": self._new(self.names, f"{key}.seed"),
                "methods": [self._new(self.axes, f"${{{key}.methods}}")],
            }
            blocks["embed"][name] = embed.model_copy(update=values)
        for name in dict.fromkeys(
            task.pretraining
            for task in params.finetune.values()
            if task.pretraining and task.pretraining_seeds == "shared"
        ):
            first = self._new(self.names, f"pretrain.{name}.seeds[0]")
            blocks["pretrain"][name].seeds.insert(0, first)
        return params.model_copy(update=blocks)

    def _task(self, key: str, task: Any) -> Any:
        values: dict[str, Any] = {"data": self._new(self.names, f"{key}.data")}
        if isinstance(task, FinetuneTask):
            values |= self._by_start(task)
        for axis in ("runs", "seeds"):
            if hasattr(task, axis) and axis not in values:
                values[axis] = [self._new(self.axes, f"${{{key}.{axis}}}")]
        return task.model_copy(update=values)

    def _by_start(self, task: FinetuneTask) -> dict[str, Any]:
        """A placeholder for the runs of each start of a fine-tuning task."""
        recipes = {}
        for start in dict.fromkeys(task.recipes[name].start for name in task.runs):
            runs = [name for name in task.runs if task.recipes[name].start == start]
            token = self._new(self.axes, _list(runs))
            self.starts[token] = SCRATCH if start == "none" else start
            recipes[token] = task.recipes[runs[0]]
        return {"runs": list(recipes), "recipes": recipes}

    def _new(self, table: dict[str, Any], value: Any) -> str:
        """A new placeholder of a value in one of the tables."""
        token = f"µ{len(self.axes) + len(self.names)}µ"
        table[token] = value
        return token


def render() -> str:
    """The text of dvc.yaml with stages derived from the present rules and parameters."""
    document = read_yaml(DVC_YAML, layout=True)
    document["stages"] = stages(load_params())
    return yaml_text(document, width=10_000)  # a command stays on one line


def stages(params: Params) -> dict[str, Any]:
    """All stages by name, in the order of the rules."""
    placeholders = Placeholders()
    jobs = expand(placeholders.insert(params))
    # outputs by folder; and the page's files, all of which the report reads
    written: dict[str, set[str]] = defaultdict(set)
    written[str(PAGE)] |= {str(path) for path in PAGE.iterdir()}
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
        workflow._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        rules = [rule.name for rule in workflow.rules]
        return sorted(workflow.dag.jobs, key=lambda job: (rules.index(job.rule.name), job.output))


def _code_stage(params: Params) -> dict[str, Any]:
    """The first stage, which writes the digests of the source files of all other stages."""
    return {
        "cmd": "env PYTHONPATH=src python -m reprise.engines.code",
        "deps": _list(["src", "workflow/scripts"]),
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

    def quoted(word: str) -> str:
        return f"'{template(word)}'" if PLACEHOLDER.search(word) else word

    folders = {above for path in inputs if (above := folder(path))}
    inside = tuple(f"{above}/" for above in folders)
    files = {path for path in inputs if not path.startswith(inside)}
    stage: dict[str, Any] = {}
    if axes:
        stage["matrix"] = {name: placeholders.axes[value] for name, value in axes.items()}
    command = " ".join(map(quoted, job.shellcmd.split()))
    stage["cmd"] = [CHECK, command] if "${" in command else command
    stage["deps"] = _list(sorted(template(path) for path in folders | files))
    stage["params"] = _list(sorted({template(key) for key in job.params.params_keys}))
    stage["outs"] = _list(_out(template(str(path))) for path in job.output)
    return stage


def _out(path: str) -> Any:
    return {path: _flow(CommentedMap(cache=False))} if path.startswith(UNCACHED) else path


def _list(values: Iterable[Any]) -> CommentedSeq:
    """A list of names, on one line if it is short and nothing needs quotes."""
    names = CommentedSeq(values)
    text = ", ".join(map(str, names))
    return _flow(names) if len(text) <= 90 and "{" not in text else names


def _flow(block: Any) -> Any:
    """The same mapping or list, to be written on one line."""
    block.fa.set_flow_style()
    return block
