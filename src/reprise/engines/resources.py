"""Memory and time that a scheduler reserves for a job, from its recipe and its dataset.

Generous bounds, not predictions: a job that exceeds one is killed. The next attempt gets more, and
a training goes on from its checkpoint. Nothing here changes an output. A test compares the bounds
with the networks as they are and with jobs as they were measured (tests/unit/test_resources.py).
"""

import re
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from reprise.params.load import Params

# thousands of multiply-adds per pixel of the input, forward, at width 1; another network: OTHER
COSTS = {
    "alexnet": 20, "cnn": 10, "efficientnet_b2": 20, "lite0": 10, "unet_mobilenetv3": 50,
    "resnet10": 80, "resnet18": 160, "resnet50": 400, "resnet101": 200, "deeplabv3": 100,
    "deeplabv3_resnet50": 700, "deeplabv3_resnet101": 1000,
}  # fmt: skip
OTHER = 600
# multiply-adds per second. CPU: a fifth of what one thread of an AMD EPYC was measured to reach
# with bfloat16 (50 to 60 billion); GPU: a tenth of a card of 2017
CPU_RATE, GPU_RATE = 1e10, 1e12
# forward and backward cost three times the forward pass; BYOL has two views and a target network
PASSES = {"byol": 8}
EVALUATED = 1.5  # epochs are also evaluated, on the images that are not trained on
ACTIVATIONS = 6_000  # bytes of a training step per pixel of the batch
PROCESS = 1500  # MiB of a process with torch and its libraries
SHAPE = re.compile(rb"'shape': \((\d{1,9}), ([1-9]\d{0,5}),")
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
    block = getattr(params, stage)[task]
    recipe = block.training(run) if stage == "finetune" else block.recipes[run]
    n_images, stored = array_shape(images)
    size = getattr(recipe, "image_size", stored)
    views = 2 if getattr(recipe, "method", "") in PASSES else 1
    network = getattr(recipe, "model", getattr(recipe, "backbone", ""))
    cost = 1e3 * COSTS.get(network, OTHER) * getattr(recipe, "width_mult", 1.0) ** 2
    passes = PASSES.get(getattr(recipe, "method", ""), 3)
    work = EVALUATED * recipe.epochs * n_images * size**2 * cost * passes
    minutes = work / (GPU_RATE if gpu else CPU_RATE * params.runtime.threads) / 60
    dataset = images.stat().st_size * max(1, (size / stored) ** 2)
    activations = 0 if gpu else views * recipe.batch_size * size**2 * ACTIVATIONS
    memory = PROCESS * (2 if gpu else 1) + (3 * dataset + activations) / 2**20
    return Resources(attempt * ceil(memory), attempt * ceil(SHORTEST + minutes))


def preparation(params: Params, dataset: str, attempt: int = 1) -> Resources:
    """The bounds of the preparation of a dataset.

    The images of a course are decoded one by one and then stacked, so that they are in memory
    twice; those that stay at their own size are taken to be of 512 x 512 pixels.
    """
    recipe: Any = params.datasets[dataset]
    count, side = COURSE_IMAGES.get(getattr(recipe, "layout", recipe.source), LARGE)
    side = getattr(recipe, "size", None) or side
    memory = PROCESS + 3 * count * side**2 * 4 / 2**20  # three colors and a label
    return Resources(attempt * ceil(memory), attempt * (SHORTEST + count // 500))


# images of a course's layout, and the side at which they are handed out; LARGE where they are not
# known. The packages of the other sources are small
LARGE = (10_000, 512)
COURSE_IMAGES = {
    "earth_tiles": (0, 0), "earth_maps": (0, 0), "orl": (0, 0), "dlcv_50": (25_000, 32),
    "office_home": (4_400, 512), "mini_imagenet": (38_400, 128), "deepglobe": (2_300, 512),
    "celeba_makeup": (6_000, 224), "camvid": (701, 480),
}  # fmt: skip


def over_all_jobs(n_jobs: int, attempt: int = 1) -> Resources:
    """The bounds of a job that reads the outputs of `n_jobs` trainings, or draws them."""
    return Resources(attempt * (1000 + 2 * n_jobs), attempt * (SHORTEST + n_jobs // 50))


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
