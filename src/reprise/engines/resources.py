"""Memory and time that a scheduler reserves for a job, from its recipe and its dataset.

Generous bounds, not predictions: a job that exceeds one is killed. The next attempt gets more, and
a training goes on from its checkpoint. Nothing here changes an output. A test compares the bounds
with the networks as they are and with jobs as they were measured (tests/unit/test_resources.py).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError
from reprise.jobs import STAGES
from reprise.params.load import Params
from reprise.params.pieces import processes_of

# of a network at width 1: thousands of multiply-adds per pixel of the input, forward; millions of
# parameters. Another network: OTHER
COSTS = {
    "alexnet": (20, 60), "cnn": (10, 60), "efficientnet_b2": (20, 10), "lite0": (10, 5),
    "unet_mobilenetv3": (50, 10), "resnet10": (80, 5), "resnet18": (160, 15),
    "resnet50": (400, 30), "resnet101": (200, 45), "deeplabv3": (100, 10),
    "deeplabv3_resnet50": (700, 40), "deeplabv3_resnet101": (1000, 60),
}  # fmt: skip
OTHER = (600, 150)
# multiply-adds per second. CPU: a fifth of what one thread of an AMD EPYC was measured to reach
# with bfloat16 (50 to 60 billion); GPU: a tenth of a card of 2017
CPU_RATE, GPU_RATE = 1e10, 1e12
# a step costs this many forward passes of one image: a view costs three with its gradient, and one
# for a network that follows
PASSES = {
    "barlow_twins": 6, "byol": 8, "dino": 8, "moco_v2": 4, "simclr": 6, "simsiam": 6,
    "supervised": 3, "vicreg": 6,
}  # fmt: skip
EVALUATED = 1.5  # epochs are also evaluated, on the images that are not trained on
ACTIVATIONS = 10_000  # bytes of a training step per pixel of the batch
# bytes of a trained parameter: weight, gradient, two moments, best epoch, checkpoint in writing
PARAMETER = 28
GRADIENT = 8  # bytes of a parameter's gradient of each piece of a batch, twice while it is gathered
FEATURES = 2048  # that a projector reads, at most
PROCESS = 1500  # MiB of a process with torch and its libraries, and of the Snakemake that starts it
SHAPE = re.compile(rb"'shape': \((\d{1,9}), ([1-9]\d{0,5}),")
RAW = Path("data/raw")
ROW = 66  # bytes of a table's shortest row: a digest, a comma, the end of the line
# MiB of a preparation with one image of up to 50 megapixels; bytes that stay of each file: counts
# of colors and classes, borders, names
PREPARED, KEPT = 1000, 20_000
SHORTEST = 15  # minutes, of which a busy node may spend some on starting Python


@dataclass(frozen=True)
class Resources:
    """What one attempt of a job may use. mem_mb: of the host's memory; runtime: minutes."""

    mem_mb: int
    runtime: int


def training(
    params: Params, stage: str, task: str, run: str, images: Path, gpu: int, attempt: int = 1
) -> Resources:
    """The bounds of one training. Raises FileNotFoundError while its dataset is not prepared.

    images: images.npy of the dataset. gpu: GPUs that the job asks for, whose memory then holds the
    network and its activations. attempt: from 1; each has as much more as the first.
    """
    recipe, count = _recipe(params, stage, task, run), processes(params, stage, task, run)
    n_images, stored = array_shape(images)
    size = getattr(recipe, "image_size", stored)
    method = getattr(recipe, "method", "")
    network = getattr(recipe, "model", getattr(recipe, "backbone", ""))
    width = getattr(recipe, "width_mult", 1.0) ** 2
    cost, parameters = (width * number for number in COSTS.get(network, OTHER))
    work = EVALUATED * recipe.epochs * n_images * size**2 * 1e3 * cost * PASSES.get(method, 3)
    minutes = work / (GPU_RATE if gpu else CPU_RATE * params.runtime.threads) / 60 / count
    memory = 3 * images.stat().st_size * max(1, (size / stored) ** 2) * count
    if not gpu:
        views = 1 if PASSES.get(method, 3) == 3 else 2
        together = recipe.batch_size // recipe.micro_batches * count
        memory += views * together * size**2 * ACTIVATIONS
        pieces = GRADIENT * recipe.micro_batches if recipe.micro_batches > 1 else 0
        memory += (1e6 * parameters + projector(recipe)) * (PARAMETER + pieces) * count
    memory = PROCESS * (2 if gpu else 1) * count + memory / 2**20
    return Resources(attempt * ceil(memory), attempt * ceil(SHORTEST + minutes))


def processes(params: Params, stage: str, task: str, run: str) -> int:
    """The processes that compute one training together, on a GPU or on threads of its own each."""
    return processes_of(params.runtime, _recipe(params, stage, task, run))


def _recipe(params: Params, stage: str, task: str, run: str) -> Any:
    block = getattr(params, stage)[task]
    return block.training(run) if stage == "finetune" else block.recipes[run]


def check_gpus(params: Params, overwritten: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise RepriseError if a profile gives a training fewer GPUs than it has processes.

    overwritten: the option --set-resources, by stage.
    """
    for stage in STAGES:
        gpus = str(overwritten.get(stage, {}).get("gpu", 0))
        for task, block in getattr(params, stage).items():
            for run in block.runs:
                count = processes(params, stage, task, run)
                if gpus.isdigit() and 0 < int(gpus) < count:
                    raise RepriseError(
                        f"set-resources: {stage}: gpu is {gpus}, but {stage}.{task}.{run} has "
                        f"{count} processes, a GPU each; set it to {count}, or runtime.processes "
                        f"to {gpus}"
                    )


def projector(recipe: Any) -> int:
    """The parameters above the backbone of a method that compares two views, at most.

    Two networks of three layers each, such as projector and predictor or that of a target network,
    and what a method keeps of other batches.
    """
    hidden, out = (getattr(recipe, f"proj_{name}_dim", 0) for name in ("hidden", "output"))
    kept = getattr(recipe, "queue_size", 0) + getattr(recipe, "prototypes", 0)
    return 2 * (hidden * (FEATURES + hidden + out) + out * kept)


def preparation(params: Params, dataset: str, attempt: int = 1, raw: Path = RAW) -> Resources:
    """The bounds of the preparation of a dataset.

    Images are decoded one by one as they are written; what is kept of each is small. raw: the
    folder of the tables of registered files.
    """
    files = registered_files(raw / f"{getattr(params.datasets[dataset], 'registered_as', '')}.csv")
    memory = PREPARED + files * KEPT / 2**20
    return Resources(attempt * ceil(memory), attempt * (SHORTEST + files // 500))


def registered_files(table: Path) -> int:
    """The rows of a table of `make data`, at most, by its size; 0 if there is no such table."""
    return table.stat().st_size // ROW if table.is_file() else 0


def over_all_jobs(n_jobs: int, attempt: int = 1) -> Resources:
    """The bounds of a job that reads the outputs of `n_jobs` trainings, or draws them."""
    return Resources(attempt * (PROCESS + 2 * n_jobs), attempt * (SHORTEST + n_jobs // 50))


def array_shape(path: Path) -> tuple[int, int]:
    """The number of images in a file of NumPy, and their side, by its header alone.

    (0, 1) if it is another file: the job says so. Snakemake asks once a job, and importing NumPy
    would take longer than all of it.
    """
    with path.open("rb") as stream:
        start = stream.read(10)
        header = stream.read(int.from_bytes(start[8:10], "little"))
    match = SHAPE.search(header)
    return (int(match[1]), int(match[2])) if match else (0, 1)
