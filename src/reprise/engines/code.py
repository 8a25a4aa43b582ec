"""workflow/code/: for every job one small file with the digests of its source files.

Both engines depend on that file, such as workflow/code/classify/baseline/cnn.sha256, instead of on
forty source files a job. It is rewritten only when its content changes. The Snakefile calls `write`
when it is read; for DVC the first stage does the same, `python -m reprise.engines.code`.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from reprise import plugins
from reprise.atomic_io import sha256_lines, write_text
from reprise.cli import run
from reprise.errors import RepriseError
from reprise.figures import FAMILIES, modules
from reprise.import_closure import SRC, closure, dataset_modules, loaded_by_name, with_packages
from reprise.jobs import STAGES
from reprise.params.base import value_at
from reprise.params.finetune import FinetuneTask
from reprise.params.load import Params, load_params

CODE = Path("workflow/code")
SCRIPTS = Path("workflow/scripts")
# Stages with a code file for each run, because recipes name modules; so do datasets.
RUN_STAGES = ("pretrain", "finetune", "classify", "segment", "segment_anything")
SCRATCH = "scratch"  # DVC's stage of the fine-tunings that start from no backbone
WHOLE_PARAMS = "src/reprise/params/load.py"  # a script that imports it reads all recipes


def main() -> None:
    """Write the code files. Raises RepriseError if dvc.yaml has no stage for a task or a run."""
    argparse.ArgumentParser(description=main.__doc__).parse_args()
    params = load_params()
    write(params)
    stages = yaml.load(Path("dvc.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)["stages"]
    if missing := next(stages_missing(params, stages), None):
        raise RepriseError(f"dvc.yaml: no stage for {missing}; run `make dvc.yaml`")


def write(params: Params) -> None:
    """Bring workflow/code/ up to date with the sources; a file that is right is not touched."""
    texts = {
        CODE / f"{name}.sha256": sha256_lines(map(Path, files))
        for name, files in job_sources(params).items()
    }
    for path in set(CODE.rglob("*.sha256")) - set(texts):
        path.unlink()
    for path, text in texts.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)


def listed_sources(path: Path) -> list[str]:
    """The source files that a code file lists."""
    return [line.partition("  ")[2] for line in path.read_text(encoding="utf-8").splitlines()]


def job_sources(params: Params) -> dict[str, list[str]]:
    """The source files of every job, its script first, by the name of its code file.

    A name is such as classify/baseline/cnn, evaluate or plot_masks.
    """
    datasets = {
        f"prepare/{name}": dataset_modules(recipe.source)
        for name, recipe in params.datasets.items()
    }
    runs = {
        f"{stage}/{task}/{name}": loaded_by_name(block, name)
        for stage in RUN_STAGES
        for task, block in getattr(params, stage).items()
        for name in block.runs
    }
    sources = {
        name: _sources(SCRIPTS / f"{name.partition('/')[0]}.py", named)
        for name, named in (datasets | runs).items()
    }
    recipes = sorted({module for named in runs.values() for module in named})
    metrics = with_packages(plugins.added("metrics").values())
    for script in sorted(SCRIPTS.glob("*.py")):
        if script.stem == "plot":
            for family in FAMILIES:
                figures = [SRC / f"{name.replace('.', '/')}.py" for name in modules(family)]
                sources[f"plot_{family}"] = _sources(script, figures, recipes)
        elif script.stem not in ("prepare", *RUN_STAGES):
            # the first builds the networks of all runs, the second loads metrics of packages
            by_name = {"model_summary": recipes, "evaluate": metrics}
            sources[script.stem] = _sources(script, by_name.get(script.stem, []), recipes)
    if "checksums" in sources:  # it takes the checksums of the sources of all trainings
        trained = [sources[name] for name in runs if name.split("/")[0] in STAGES]
        sources["checksums"] += sorted(set().union(*trained) - set(sources["checksums"]))
    return sources


def stages_missing(params: Params, stages: dict[str, Any]) -> Iterator[str]:
    """Dotted keys of the tasks and runs for which the stages of dvc.yaml have no job."""
    for stage in (*RUN_STAGES, "embed"):
        for task, block in getattr(params, stage).items():
            if stage == "finetune":
                for name in block.runs:
                    start = block.recipes[name].start
                    key = f"{stage}_{task}_{SCRATCH if start == 'none' else start}"
                    starts = start == "none" or _backbone(block, start) in _deps(stages, key)
                    if name not in (value_at(stages, f"{key}.matrix.run") or []) or not starts:
                        yield f"{stage}.{task}.runs: {name}"
            elif f"{stage}_{task}" not in stages:
                yield f"{stage}.{task}"


def _backbone(task: FinetuneTask, start: str) -> str:
    """The backbone on which DVC's stage of the runs with this start depends."""
    first = f"${{pretrain.{task.pretraining}.seeds[0]}}"
    seed = "${item.seed}" if task.pretraining_seeds == "paired" else first
    return f"results/pretrain/{task.pretraining}/{start}/{seed}/backbone.safetensors"


def _deps(stages: dict[str, Any], name: str) -> list[str]:
    return value_at(stages, f"{name}.deps") or []


def _sources(script: Path, named: list[Path], recipes: Sequence[Path] = ()) -> list[str]:
    """A script and its closure.

    named: what it loads by name. recipes: what the recipes of all runs name; a script that reads
    them all needs their types.
    """
    files = closure(script, named)
    if WHOLE_PARAMS in files:
        types = [module for module in recipes if module.parent.name == "params"]
        files = closure(script, [*named, *types])
    return [script.as_posix(), *files]


if __name__ == "__main__":
    run(main)
