import json
import sys
from pathlib import Path
from shutil import which

import yaml

# the clone's own package, also where another one is installed
sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from snakemake.utils import available_cpu_count

from reprise.errors import RepriseError
from reprise.params import load_params
from reprise.pipeline.alive import drop_stale_locks
from reprise.closure import closure as imported
from reprise.pipeline.guard import Guard

PARTS = ["pretrain", "finetune", "classify", "faces", "segment", "street"]
TRAININGS = ["pretrain", "finetune", "classify", "segment"]  # scripts of the parts
SHAPES = ["architecture", "layers"]  # tables of the networks themselves
TABLES = [*PARTS, "iou", "votes", "seeds", "pairs", "mcnemar", "confusion", "epochs", "histories"]
TABLES += ["reported"]
CLASSES = ["finetune", "classify", "faces"]  # parts that name the class of an image
MASKS = ["segment", "street"]  # parts that draw label maps
SCORED = [*CLASSES, *MASKS]
SOURCES = ["classify", "finetune"]  # of the features that `embed` shows


def refuse(error):
    """End in one line, without a traceback."""
    print("reprise:", " ".join(str(error).split()), file=sys.stderr)
    sys.exit(1)


# after a kill the same command goes on, without a call of --unlock before it
ALIVE, ALONE = drop_stale_locks()

# Jobs beyond the processors only slow each other down; a cluster's nodes have processors of their own.
CORES = workflow.global_resources["_cores"].value  # None where no job runs, as for --rulegraph
if workflow.nodes is None and CORES is not None:
    workflow.register_resource("_cores", min(CORES, available_cpu_count()))

# before Snakemake reads it: the checks name the key and what to do
try:
    load_params()
except RepriseError as error:
    refuse(error)


configfile: "params.yaml"


# the generator of dvc.yaml puts the names of lists where their values stand
if not config.pop("placeholders", False):
    if config != yaml.safe_load(Path("params.yaml").read_text()):
        refuse("--config: the scripts read params.yaml alone; write the values there")


wildcard_constraints:
    set=r"\w+",
    run=r"\w+",
    method=r"\w+",
    setting=r"\w+",
    seed=r"\w+",
    source="|".join(SOURCES),


# Training jobs wait for each other where they share a GPU (the profile offers one), not on CPU.
DEVICE = config["runtime"]["device"]
GPU = int(DEVICE == "cuda" or (DEVICE == "auto" and which("nvidia-smi") is not None))


def closure(stage):
    """The source files that a stage's script imports; an edit of another file reruns nothing."""
    return imported(Path("workflow/scripts") / f"{stage}.py")


def values(*keys):
    """A function of the wildcards: the values in params.yaml of dotted keys, as text by key.

    The keys become the `params` of the DVC stage; a job reruns when one of its own values changes.
    """

    def read(wildcards):
        chosen = [key.format(**dict(wildcards.items())) for key in keys]
        return {key: json.dumps(value_of(key), sort_keys=True) for key in chosen}

    return read


def value_of(key):
    """The value of a dotted key; None when it is not there, which the script reports."""
    block = config
    for name in key.split("."):
        block = block.get(name) if isinstance(block, dict) else None
    return block


def prepared(part, *names):
    """Files of the data set that a part works on: those named, or all four."""
    folder = f"results/prepare/{config[part]['data']}"
    names = names or ("images.npy", "labels.npy", "index.csv", "dataset.json")
    return [f"{folder}/{name}" for name in names]


def data_set(part):
    """The four files of the data set that a part works on, by name."""
    return lambda _: dict(zip(["images", "labels", "index", "about"], prepared(part)))


def of_jobs(part, name):
    """One file of every job of a part, over the part's axes."""
    block = config[part]
    folder = {"pretrain": "{run}/{method}", "finetune": "{run}/{setting}/{seed}"}
    return expand(
        f"results/{part}/{folder.get(part, '{run}/{seed}')}/{name}",
        run=block["runs"],
        method=block.get("methods", []),
        setting=sorted(name for names in block.get("settings", {}).values() for name in names),
        seed=block.get("seeds", []),
    )


def backbone(wildcards):
    """The backbone that a setting starts from; none for the settings from scratch."""
    for method, settings in config["finetune"]["settings"].items():
        if method != "scratch" and wildcards.setting in settings:
            return f"results/pretrain/{wildcards.run}/{method}/backbone.safetensors"
    return []


def embedded_features(wildcards):
    """The features whose PCA and t-SNE are shown."""
    names = config["embed"][wildcards.source]
    job = [str(names[axis]) for axis in ("run", "setting", "seed") if axis in names]
    return str(Path("results", wildcards.source, *job, "features.safetensors"))


def get_final_output():
    """What a run delivers: the report, which needs nearly all of the rest, and every data set."""
    return ["results/report.html"] + expand(
        "results/prepare/{set}/dataset.json", set=config["prepare"]["sets"]
    )
