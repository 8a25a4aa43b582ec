"""Small trainings by several processes, forked from one that has already imported torch."""

import multiprocessing
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from reprise.datasets.prepared import read_prepared
from reprise.models.build import BUILDERS
from reprise.models.weights import write_tensors
from reprise.params.classify import ClassifyRecipe
from reprise.params.segment import SegmentRecipe
from reprise.params.supervised import Recipe
from reprise.params.training import Runtime
from reprise.training.classification import train_classifier
from reprise.training.processes import Processes, connect
from reprise.training.runtime import Device, configure_torch
from reprise.training.segmentation import load_targets, train_segmenter
from reprise.training.ssl import supervised
from support.small_datasets import small_dataset, write_and_read
from support.ssl_methods import recipe_of
from support.training import job_context, no_checkpoint

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["support.processes"])
SPLITS = ["train"] * 18 + ["val"] * 5 + ["test"] * 7
SHORT: dict[str, Any] = {"epochs": 1, "batch_size": 8, "micro_batches": 4, "learning_rate": 0.01}
# of the methods those whose steps keep something besides the network, or mix both views
METHODS = ("byol", "dino", "moco_v2", "simclr")
TRAININGS = (*METHODS, "supervised", "classifier", "segmenter")


def write_inputs(folder: Path) -> None:
    """Two datasets of 30 images: with a class an image, and with label maps."""
    rng = np.random.default_rng(0)
    labels = (np.arange(30) % 2).astype(np.uint8)
    maps = np.kron(rng.integers(0, 2, (30, 2, 2)), np.ones((1, 16, 16))).astype(np.uint8)
    images = rng.integers(0, 250, (30, 32, 32, 3)).astype(np.uint8)
    small = small_dataset(images[:, :16, :16], labels, 2, SPLITS)
    write_and_read(folder / "classes", small)
    write_and_read(folder / "maps", small_dataset(images, maps, 2, SPLITS))


def train_in(folder: Path, count: int, names: Sequence[str]) -> None:
    """Write the results of trainings, computed by so many processes, to folder/<count>/."""
    calls = [(folder, rank, count, names) for rank in range(count)]
    ranks = [FORKED.Process(target=_train, args=call) for call in calls]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
        assert process.exitcode == 0


def _train(folder: Path, rank: int, count: int, names: Sequence[str]) -> None:
    device = configure_torch(Runtime(device="cpu", precision="float32"))
    processes = Processes(rank, count)
    if count > 1:
        connect(processes, device.device, dist.FileStore(str(folder / f"store{count}"), count))
    device = Device(device.device, device.dtype, processes=processes)
    results = {name: training(folder, name, device) for name in names}
    batches = np.split(np.arange(30), range(4, 30, 4))  # the last one is smaller
    doubled = processes.concatenate(lambda rows: 2 * torch.from_numpy(rows)[:, None], batches)
    results["doubled"] = {"rows": doubled}
    if processes.finish():
        for name, tensors in results.items():
            write_tensors(folder / str(count) / f"{name}.safetensors", tensors)


def training(folder: Path, name: str, device: Device) -> dict[str, Tensor]:
    """The weights of a short training, and its history as tensors."""
    data = read_prepared(folder / ("maps" if name == "segmenter" else "classes"))
    torch.manual_seed(0)
    if name in METHODS:
        more = {"queue_size": 16} if name == "moco_v2" else {}
        context = job_context(data, recipe_of(name, **SHORT, **more), device)
        method = import_module(f"reprise.training.ssl.{name}")
        state, history = method.pretrain(context, no_checkpoint(), {})
    elif name == "supervised":
        values = {"method": name, "backbone": "resnet10", "stem": "small", "knn_k": 3}
        context = job_context(data, Recipe.model_validate(SHORT | values), device)
        state, history = supervised.pretrain(context, no_checkpoint(), {})
    elif name == "classifier":
        values = {"model": "lite0", "dropout": 0.5, "image_size": 32, "feature_epochs": [1]}
        context = job_context(data, ClassifyRecipe.model_validate(SHORT | values), device)
        model = BUILDERS["classify"](context.recipe, 2)
        result = train_classifier(model, context, no_checkpoint(), "train", [1])
        state, history = result.state | result.features, result.history
    else:
        values = {"model": "fcn32s", "image_size": 32, "width_mult": 0.03125}
        recipe = SegmentRecipe.model_validate(SHORT | values)
        context = job_context(data, recipe, device, 32)
        network = BUILDERS["segment"](recipe, 2)
        masks = train_segmenter(network, context, no_checkpoint(), load_targets(data, None), {})
        state, history = masks.state, masks.history
    numbers = [list(row.values()) for row in history if row["epoch"]]
    return state | {"history": torch.tensor(numbers, dtype=torch.float64)}
