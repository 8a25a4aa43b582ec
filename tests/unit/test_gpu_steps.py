"""No training step of presets/course.yaml and earth.yaml raises on a GPU or waits for it."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from support.fake_gpu import GPU, META, install, watching
from support.small_datasets import small_dataset, write_and_read
from support.training import STAGES, no_checkpoint

from reprise.datasets.batches import Batches, normalization
from reprise.datasets.prepared import PreparedDataset
from reprise.engines.preset import render
from reprise.jobs import tasks
from reprise.models.build import build_classifier, build_finetuned, build_segmenter
from reprise.params.load import Params, parse
from reprise.training import classification, loop, segmentation
from reprise.training.checkpoint import Checkpoint
from reprise.training.classification import train_classifier
from reprise.training.job import JobContext
from reprise.training.loop import Progress, TrainingJob, make_optimizer
from reprise.training.runtime import Device
from reprise.training.segmentation import load_targets, train_segmenter
from reprise.training.ssl import supervised, two_views

PRESETS = Path(__file__).parents[2] / "presets"
SIDES = {"mini_imagenet": 128, "office_home": 128}  # pixels of images that no recipe resizes
# a small batch, and the same values where recipes differ in numbers that no operation depends on
COMMON = {"batch_size": 4, "learning_rate": 0.001, "weight_decay": 0.0}
Datasets = Callable[[str, int], PreparedDataset]  # from kind and side
Case = Callable[[Datasets, Device], object]


class StepsDone(Exception):
    """Raised after enough steps. names: of their operations."""

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self.names = names


def watched_steps(job: TrainingJob, checkpoint: Checkpoint) -> Progress:
    """Replacement of `train`: two watched steps; the first may fill caches, and wait."""
    optimizer, progress = make_optimizer(job.context.recipe, job.model), Progress()
    scaler, train_rows = job.context.device.scaler(), job.context.data.require_rows("train")
    job.model.train()
    names = set()
    for number in range(2):
        with watching(waits=number > 0) as watcher:
            rows = train_rows[number * 4 : number * 4 + 4]
            progress.add(loop.step(job, optimizer, scaler, rows, 1, 0.001, number))
            job.after_step(number + 1, 100)
        names |= watcher.names
    raise StepsDone(names)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Datasets:
    """Datasets of random pixels by kind and side, each written once."""
    written: dict[tuple[str, int], PreparedDataset] = {}

    def dataset(kind: str, side: int) -> PreparedDataset:
        if (kind, side) not in written:
            folder = tmp_path_factory.mktemp(f"{kind}-{side}")
            written[kind, side] = write_dataset(folder, kind, side)
        return written[kind, side]

    return dataset


def write_dataset(folder: Path, kind: str, side: int) -> PreparedDataset:
    images = np.random.default_rng(0).integers(0, 256, (12, side, side, 3), dtype=np.uint8)
    shape = (12, side, side) if kind == "segmentation" else (12,)
    labels = (np.arange(np.prod(shape)) % 3).reshape(shape).astype(np.uint8)
    classes = [{"id": i, "name": str(i), "color": [i, i, i]} for i in range(3)]
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    merged = {"3": {"map": [0, 1, 2], "classes": classes}}
    return write_and_read(folder, small_dataset(images, labels, 3, splits, merged=merged))


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """A GPU without numbers, with room for every dataset in its memory."""
    install(monkeypatch)
    for module in (two_views, supervised, classification, segmentation):
        monkeypatch.setattr(module, "train", watched_steps)
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield GPU
    torch.use_deterministic_algorithms(before)


def read_preset(name: str) -> Params:
    return parse(YAML(typ="safe", pure=True).load(render(name, PRESETS)), name)


def trainings(params: Params) -> Iterator[tuple[str, str, Case]]:
    """Name, everything that a step depends on, and how it is started, of every training."""
    for stage, name, task in tasks(params, "pretrain", "finetune", "classify", "segment"):
        side = SIDES.get(task.data, 32)
        for run in task.runs:
            recipe = task.training(run) if stage == "finetune" else task.recipes[run]
            frozen = getattr(task.recipes[run], "frozen", False)
            if stage == "pretrain" and getattr(recipe, "weights", "none") != "none":
                continue  # is not trained
            changes = COMMON | ({"weights": "none"} if hasattr(recipe, "weights") else {})
            recipe = recipe.model_copy(update=changes)
            key = f"{side} {frozen} {type(recipe)} {recipe}"
            yield f"{stage} {name} {run}", key, case(stage, recipe, frozen, side)


def case(stage: str, recipe: Any, frozen: bool, side: int) -> Case:
    def start(datasets: Datasets, device: Device) -> object:
        kind = "segmentation" if stage == "segment" else "classification"
        image_size = getattr(recipe, "image_size", None)
        data = datasets(kind, image_size or side)
        normalize = normalization(recipe.normalize)
        batches = Batches(data, recipe.augment, 0, META, image_size, normalize)
        context = JobContext(recipe, "here", 0, data, batches, device)
        if stage == "pretrain":
            method = import_module(f"reprise.training.ssl.{recipe.method}")
            return method.pretrain(context, no_checkpoint(), {})
        with META:
            builders = {"finetune": build_finetuned, "classify": build_classifier}
            model: Any = builders.get(stage, build_segmenter)(recipe, 3)
        if stage == "segment":
            targets = load_targets(data, recipe.merge_classes)
            return train_segmenter(model, context, no_checkpoint(), targets, {})
        if frozen:
            model.backbone.freeze()
        return train_classifier(model, context, no_checkpoint(), "train", recipe.feature_epochs)

    return start


def cases() -> dict[str, Case]:
    """Every training of the presets course and earth; those with equal steps, once."""
    by_name: dict[str, Case] = {}
    keys: set[str] = set()
    for preset in ("course", "earth"):
        for name, key, start in trainings(read_preset(preset)):
            if key not in keys:
                keys.add(key)
                by_name[f"{preset} {name}"] = start
    return by_name


CASES = cases()
# one of each loss and method, with datasets that do not fit into the memory of a GPU
STREAMED = [
    "course pretrain dlcv2024 byol",
    "earth pretrain earth supervised",
    "earth finetune earth D",
    "course segment dlcv2021 fcn32s",
    "course segment cs6550 fcn8s",
    "earth segment baseline fcn32s",
]


def run_steps(device: Device, name: str, datasets: Datasets) -> None:
    with pytest.raises(StepsDone) as done:
        CASES[name](datasets, device)
    # the whole step was seen: forward, backward, optimizer
    assert any(operation.endswith("_backward") for operation in done.value.names)
    assert any(operation.startswith("_fused_") for operation in done.value.names)


@pytest.mark.parametrize("name", CASES)
def test_no_step_raises_on_a_gpu_or_waits_for_it(
    name: str, datasets: Datasets, fake_gpu: Device
) -> None:
    run_steps(fake_gpu, name, datasets)


@pytest.mark.parametrize("name", STREAMED)
def test_no_batch_of_a_dataset_in_main_memory_is_waited_for(
    name: str, datasets: Datasets, fake_gpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 0))
    run_steps(fake_gpu, name, datasets)


@pytest.mark.parametrize("name", STREAMED)
def test_no_step_in_float16_is_waited_for(name: str, datasets: Datasets, fake_gpu: Device) -> None:
    run_steps(Device(META, torch.float16), name, datasets)


def test_every_stage_loss_and_method_is_among_the_steps() -> None:
    keys = [key for preset in ("course", "earth") for _, key, _ in trainings(read_preset(preset))]
    parts = ["loss='cross_entropy'", "loss='weighted_cross_entropy'", "loss='bce'", "base_tau="]
    parts += ["method='supervised'", "True <class 'reprise.params.finetune", "ClassifyRecipe"]
    for part in parts:
        assert any(part in key for key in keys), part
    assert {name.split()[1] for name in CASES} == set(STAGES) - {"segment_anything"}
