"""Nothing in a step raises on a GPU or waits for it, of any training that a preset names."""

from collections.abc import Callable, Iterator
from pathlib import Path

import card
import numpy as np
import pytest
import torch
from card import CARD, META
from ruamel.yaml import YAML
from torch import nn
from torch.nn import functional as F

from reprise.data import policies
from reprise.data.inputs import Inputs, moments_of
from reprise.data.policies import apply
from reprise.data.store import Prepared, PreparedSet, open_set, write_set
from reprise.models.backbone import published, resnet
from reprise.models.classifier import classifier, with_head
from reprise.models.segmentation import segmenter
from reprise.models.substitutes import RepeatableMean2d, window_means
from reprise.params import Params, SupervisedPretraining, parse
from reprise.pipeline.preset import render
from reprise.training import classification, loop, pretraining, segmentation
from reprise.training.checkpoint import Checkpoint
from reprise.training.classification import train_classifier
from reprise.training.loop import Job, Progress, make_optimizer
from reprise.training.pretraining import pretrain_byol, pretrain_supervised
from reprise.training.runtime import Device
from reprise.training.segmentation import train_segmenter, truth_of

PRESETS = Path(__file__).parents[2] / "presets"
SIDES = {"mini": 128, "office": 128}  # pixels of the courses' sets of pretraining and fine-tuning
BATCH = {"batch_size": 4}
Sets = Callable[[str, int], PreparedSet]
Case = Callable[[Sets, Device], object]


class Done(Exception):
    """So many steps are enough. names: of the operations in them."""

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self.names = names


def some_steps(job: Job, checkpoint: Checkpoint) -> Progress:
    """In place of `train`: two steps that are watched; the first may fill caches, and wait."""
    optimizer, progress = make_optimizer(job.recipe, job.model), Progress()
    job.model.train()
    names = set()
    for number in range(2):
        with card.watching(waits=number > 0) as watched:
            rows = job.rows[number * 4 : number * 4 + 4]
            progress.add(loop.step(job, optimizer, rows, 1, 0.001, number))
            job.after_step(number + 1, 100)
        names |= watched.names
    raise Done(names)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Sets:
    """Sets of made images by task and side; written once each."""
    made: dict[tuple[str, int], PreparedSet] = {}

    def of(task: str, side: int) -> PreparedSet:
        if (task, side) not in made:
            folder = tmp_path_factory.mktemp(f"{task}-{side}")
            write_set(folder, "made", prepared(task, side))
            made[task, side] = open_set(folder, task)
        return made[task, side]

    return of


def prepared(task: str, side: int) -> Prepared:
    generator = np.random.default_rng(0)
    shape = (12, side, side) if task == "segmentation" else (12,)
    return Prepared(
        images=generator.integers(0, 256, (12, side, side, 3), dtype=np.uint8),
        labels=(np.arange(np.prod(shape)) % 3).reshape(shape).astype(np.uint8),
        roles=np.repeat(["train", "select", "report"], [8, 2, 2]), columns={}, task=task,
        classes=[{"id": i, "name": str(i)} for i in range(3)], source="", licence="", note="",
        merged={"3": {"map": [0, 1, 2], "classes": [{"id": i, "name": str(i)} for i in range(3)]}},
    )  # fmt: skip


@pytest.fixture
def on_card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """The card that has no numbers, with the set in its memory."""
    card.install(monkeypatch)
    for module in (pretraining, classification, segmentation):
        monkeypatch.setattr(module, "train", some_steps)
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield CARD
    torch.use_deterministic_algorithms(before)


def cases() -> dict[str, Case]:
    """Every training of the presets course and earth; those that differ in nothing here, once."""
    found: dict[str, Case] = {}
    seen: set[str] = set()
    for preset in ("course", "earth"):
        params = parse(YAML(typ="safe", pure=True).load(render(preset, PRESETS)))
        for name, what, case in trainings(params):
            if what not in seen:
                seen.add(what)
                found[f"{preset} {name}"] = case
    return found


def trainings(params: Params) -> Iterator[tuple[str, str, Case]]:
    """Name, what a step depends on, and how it is started, for every training."""
    side = SIDES.get(params.pretrain.data, 32)
    for run in params.pretrain.runs:
        recipes = params.pretrain.recipes[run]
        for recipe in (recipes.byol, recipes.supervised):
            if getattr(recipe, "weights", "none") == "none":
                yield (
                    f"pretrain {run} {type(recipe).__name__}",
                    f"{side}{recipe}",
                    pretrained(recipe.model_copy(update=BATCH), side),
                )
    for run in params.finetune.runs:
        recipe = params.finetune.recipes[run]
        for setting in params.finetune.settings.all:
            frozen, own = recipe.setting(setting).frozen, recipe.common.model_copy(update=BATCH)
            yield f"finetune {run} {setting}", f"{side}{own}{frozen}", finetuned(own, frozen, side)
    for stage in (params.classify, params.faces):
        for run in stage.runs:
            own = stage.recipes[run].model_copy(update=BATCH | {"weights": "none"})
            yield f"classify {run}", str(own), classified(own)
    for stage in (params.segment, params.street):
        for run in stage.runs:
            own = stage.recipes[run].model_copy(update=BATCH | {"weights": "none"})
            yield f"segment {run}", str(own), segmented(own)


def pretrained(recipe, side: int) -> Case:
    def case(sets: Sets, device: Device) -> object:
        data = sets("classification", side)
        with META:
            backbone = resnet(recipe.backbone, recipe.stem)
        inputs = Inputs(data, recipe.augment, 0, META)
        start = pretrain_supervised if isinstance(recipe, SupervisedPretraining) else pretrain_byol
        return start(backbone, data, inputs, recipe, device, "here", nowhere())

    return case


def finetuned(recipe, frozen: bool, side: int) -> Case:
    def case(sets: Sets, device: Device) -> object:
        with META:
            backbone = resnet(recipe.backbone, recipe.stem, recipe.imagenet_layer)
            model = with_head(backbone, recipe.hidden, 3)
        if frozen:
            backbone.freeze()
        data = sets("classification", side)
        inputs = Inputs(data, recipe.augment, 0, META)
        kept = ("train", recipe.features)
        return train_classifier(model, data, inputs, recipe, device, "here", kept, nowhere())

    return case


def classified(recipe) -> Case:
    def case(sets: Sets, device: Device) -> object:
        with META:
            model = classifier(recipe, 3)
        if recipe.frozen:
            model.backbone.freeze()
        data = sets("classification", recipe.image_size)
        inputs = Inputs(
            data, recipe.augment, 0, META, recipe.image_size, moments_of(recipe.normalise)
        )
        kept = ("train", recipe.features)
        return train_classifier(model, data, inputs, recipe, device, "here", kept, nowhere())

    return case


def segmented(recipe) -> Case:
    def case(sets: Sets, device: Device) -> object:
        with META:
            model = segmenter(recipe.model, 3, recipe.width, recipe.held_norm)
        data = sets("segmentation", recipe.image_size)
        inputs = Inputs(
            data, recipe.augment, 0, META, recipe.image_size, moments_of(recipe.normalise)
        )
        truth = truth_of(data, recipe.merge)
        return train_segmenter(model, data, truth, inputs, recipe, device, "here", {}, nowhere())

    return case


def nowhere() -> Checkpoint:
    return Checkpoint(Path("never-written"), {}, float("inf"))


CASES = cases()
# one of each loss and method, for sets that do not fit into the memory of a GPU
STREAMED = [
    "course pretrain dlcv2024 ByolPretraining", "earth pretrain earth SupervisedPretraining",
    "earth finetune earth D", "course segment dlcv2021_fcn32s", "course segment cs6550_fcn8s",
    "earth segment fcn32s",
]  # fmt: skip


def step_on(device: Device, name: str, sets: Sets) -> None:
    with pytest.raises(Done) as done:
        CASES[name](sets, device)
    # the whole step was seen: forward, backward, optimizer
    assert any(seen.endswith("_backward") for seen in done.value.names)
    assert any(seen.startswith("_fused_") for seen in done.value.names)


@pytest.mark.parametrize("name", CASES)
def test_no_step_raises_on_a_gpu_or_waits_for_it(name: str, sets: Sets, on_card: Device) -> None:
    step_on(on_card, name, sets)


@pytest.mark.parametrize("name", STREAMED)
def test_no_batch_of_a_set_in_main_memory_is_waited_for(
    name: str, sets: Sets, on_card: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Inputs, "_fits", lambda self: False)
    step_on(on_card, name, sets)


@pytest.mark.parametrize("name", STREAMED)
def test_no_step_in_float16_is_waited_for(name: str, sets: Sets, on_card: Device) -> None:
    step_on(Device(META, torch.float16), name, sets)


def test_every_loss_and_both_methods_are_among_the_steps() -> None:
    recipes = [
        recipe
        for preset in ("course", "earth")
        for _, recipe, _ in trainings(parse(YAML(typ="safe").load(render(preset, PRESETS))))
    ]
    for wanted in ("loss='cross_entropy'", "loss='weighted'", "loss='binary'", "tau=", "frozen"):
        assert any(wanted in recipe for recipe in recipes), wanted


@pytest.mark.parametrize("size", [64, 96, 224, 256])
def test_alexnet_learns_at_any_size(size: int, on_card: Device) -> None:
    for width in (1.0, 0.0625):
        with META:
            network = published("alexnet", width)
        images = torch.empty(2, 3, size, size, device=META)
        with card.watching():
            network(images).sum().backward()


@pytest.mark.parametrize("side", [1, 3, 5, 6, 7, 11, 12, 13])
def test_means_of_windows_are_those_of_adaptive_pooling(side: int) -> None:
    generator = torch.Generator().manual_seed(side)
    x = torch.rand(2, 3, side, side + 1, dtype=torch.float64, generator=generator)
    pools = [lambda x: window_means(x, (6, 6)), nn.AdaptiveAvgPool2d((6, 6))]
    made, gradients = [], []
    for pool in pools:
        own = x.clone().requires_grad_()
        made.append(pool(own))
        weights = torch.arange(36, dtype=torch.float64).view(6, 6)
        (made[-1] * weights).sum().backward()
        gradients.append(own.grad)
    assert made[0].shape == made[1].shape == (2, 3, 6, 6)
    assert torch.allclose(made[0], made[1]) and torch.allclose(gradients[0], gradients[1])
    whole = torch.rand(2, 3, 6, 6)
    assert window_means(whole, (6, 6)) is whole


def test_alexnet_pools_on_a_processor_as_torchvision_does() -> None:
    pool = published("alexnet", 0.0625).net.avgpool
    assert type(pool) is RepeatableMean2d
    x = torch.rand(2, 3, 5, 9)
    assert torch.equal(pool(x), F.adaptive_avg_pool2d(x, (6, 6)))


@pytest.mark.parametrize("policy", ["trivial_wide", "autoaugment_cifar10", "cutout", "blur"])
def test_no_policy_waits_for_a_gpu(policy: str, on_card: Device) -> None:
    images = torch.empty(100, 3, 24, 24, dtype=torch.uint8, device=META)
    with card.watching() as watched:  # so many draws have every transform in them
        changed = apply(images, [policy], np.arange(100))
    assert changed.shape == images.shape
    assert watched.names & {"grid_sampler_2d", "copy_", "convolution"}


def test_what_a_policy_sends_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (60, 3, 24, 24), dtype=torch.uint8)
    names = ["trivial_wide", "autoaugment_cifar10", "cutout", "blur"]
    want = apply(images, names, np.arange(60))
    calls = []
    monkeypatch.setattr(policies, "sent", lambda values, device: calls.append(device) or values)
    monkeypatch.setattr(policies, "nullcontext", policies.NoWait)
    assert torch.equal(apply(images, names, np.arange(60)), want)
    assert len(calls) > 60  # a fill value for each image, and matrices
