# What the rules share: the parameters, and small functions for their inputs and params.

import json
import sys
from pathlib import Path

at_home = Path(workflow.basedir).samefile(".") and Path("workflow/scripts").is_dir()
if not (workflow.modifier.is_main_snakefile() and at_home):
    home = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parents[1]
    print(
        f"reprise: this workflow runs in its own folder, not as a module of another one:"
        f" cd {home}, or --directory {home}",
        file=sys.stderr,
    )
    sys.exit(1)
# this clone's package, not an installed one
sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from reprise.errors import RepriseError, one_line
from reprise.figures import figures, specs
from reprise.jobs import CLASSIFYING, STAGES, jobs, tasks
from reprise.params.base import value_at
from reprise.params.load import parse as parse_params
from reprise.params.reader import read_yaml


def fail(error):
    """End in one line, without a traceback."""
    print("reprise:", one_line(error), file=sys.stderr)
    sys.exit(1)


# The derivation of dvc.yaml passes parameters with placeholders; nothing else may be passed.
PLACEHOLDERS = config.pop("placeholders", None)
if config:
    fail("--config: the scripts read params.yaml only; write the values there")
try:
    # the one reader: Snakemake compares what the scripts and DVC read
    values = read_yaml(Path("params.yaml"))
    PARAMS = PLACEHOLDERS or parse_params(values)
    config.update(values)
except RepriseError as error:
    fail(error)


wildcard_constraints:
    dataset=r"\w+",
    run=r"\w+",
    seed=r"\w+",
    method=r"\w+",


def names_in(stage):
    """The tasks of a stage as a constraint of the wildcard `task`; without any, nothing matches."""
    return "|".join(getattr(PARAMS, stage)) or "(?!)"


def config_values(*keys):
    """A function of the wildcards: the values in params.yaml at dotted keys, as text by key.

    The keys become the `params` of the DVC stage; a job reruns when one of its own values changes.
    """

    def read(wildcards):
        filled = [key.format(**dict(wildcards.items())) for key in keys]
        present = [key for key in filled if key.split(".")[0] in config]
        return {key: json.dumps(value_at(config, key), sort_keys=True) for key in present}

    return read


def dataset_files(data):
    """The files of a prepared dataset, by name."""
    names = {"images": "images.npy", "labels": "labels.npy", "index": "index.csv"}
    names["info"] = "dataset.json"
    return {name: f"results/prepare/{data}/{file}" for name, file in names.items()}


def dataset_input(stage):
    """A function of the wildcards: the files of the dataset of a task, by name."""
    return lambda wildcards: dataset_files(getattr(PARAMS, stage)[wildcards.task].data)


def datasets_of(*stages):
    """The files of the datasets of all tasks of these stages (default: all training stages)."""
    data = [task.data for _, _, task in tasks(PARAMS, *stages)]
    return [file for name in data for file in dataset_files(name).values()]


def job_outputs(name, *stages):
    """One output of every training job of these stages (default: all)."""
    return [f"results/{job.path}/{name}" for job in jobs(PARAMS, *stages)]


def shown_masks():
    """The masks of the tasks whose shown epochs are scored on the test split."""
    scored = {
        name
        for name, task in PARAMS.segment.items()
        if any(recipe.score_shown_epochs for recipe in task.recipes.values())
    }
    return [f"results/{job.path}/masks" for job in jobs(PARAMS, "segment") if job.task in scored]


def keys_of_homeworks():
    """Dotted keys of the runs that a homework compares or draws, where a task names them."""
    keys = [f"finetune.{name}.gap" for name, task in PARAMS.finetune.items() if task.gap]
    return keys + [
        f"segment.{name}.published_curve"
        for name, task in PARAMS.segment.items()
        if task.published_curve
    ]


def axis_keys(*stages):
    """Dotted keys of the runs and seeds of every training task of these stages (default: all)."""
    return [
        f"{stage}.{task}.{key}"
        for stage, task, _ in tasks(PARAMS, *stages)
        for key in ("runs", "seeds")
    ]


def backbone(wildcards):
    """The pretrained backbone that a run starts from; none for a run from scratch."""
    task = PARAMS.finetune[wildcards.task]
    recipe = task.recipes.get(wildcards.run)
    if recipe is None or recipe.start == "none":
        return []
    seeds = PARAMS.pretrain[task.pretraining].seeds
    seed = task.pretraining_seed(wildcards.seed, seeds)
    return f"results/pretrain/{task.pretraining}/{recipe.start}/{seed}/backbone.safetensors"


def embedded_features(wildcards):
    """The features of the job that a block of `embed` names."""
    job = PARAMS.embed[wildcards.name]
    return f"results/{job.stage}/{job.task}/{job.run}/{job.seed}/features.safetensors"


def embedded_dataset(wildcards):
    """The dataset of an embedding: classes and splits of its points."""
    job = PARAMS.embed[wildcards.name]
    return dataset_files(getattr(PARAMS, job.stage)[job.task].data).values()


def in_report(figure):
    """Where a figure is in Snakemake's report."""
    caption = f"../report/{figure.kind}.rst"
    return {"caption": caption, "category": "Figures", "labels": {"figure": figure.name}}


def drawings(family):
    """The PNG files of a family."""
    members = [figure for figure in specs(PARAMS) if figure.family == family]
    return [report(f"results/figures/{fig.name}.png", **in_report(fig)) for fig in members]


def vectors(family):
    """The SVG files of a family."""
    return expand("results/vector/{figure}.svg", figure=figures(PARAMS, family))
