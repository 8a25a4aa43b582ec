"""Every network of presets/course.yaml trains on a GPU, at small sizes, and none raises."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reprise.engines.preset import render
from reprise.models.build import build_classifier, build_segmenter
from reprise.params.load import parse
from reprise.params.reader import parse_yaml
from reprise.params.training import Runtime, Training
from reprise.training.loop import make_optimizer
from reprise.training.runtime import configure_torch
from reprise.training.segmentation import bce, cross_entropy, weighted_cross_entropy

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible"),
]
COURSE = parse(parse_yaml(render("course", ROOT / "presets")))
SMALL = {"weights": "none", "width_mult": 0.25, "image_size": 64}


def small_recipes(tasks: dict[str, Any], **changes: object) -> dict[str, Any]:
    """One small recipe for each network of the tasks, by the name of the network."""
    recipes = [recipe for task in tasks.values() for recipe in task.recipes.values()]
    return {recipe.model: recipe.model_copy(update=SMALL | changes) for recipe in recipes}


CLASSIFIERS = small_recipes(COURSE.classify)
SEGMENTERS = small_recipes(COURSE.segment, width_mult=0.125)
STEP = Training(epochs=1, batch_size=2, learning_rate=1e-4)


def train_two_steps(
    build: Callable[[], nn.Module], size: int, loss_of: Callable[[Tensor], Tensor], precision: str
) -> None:
    """Check that the loss is finite and the weights change."""
    device = configure_torch(Runtime(device="cuda", precision=precision), seed=1)
    model = build()
    device.to_device(model)
    model.train()
    optimizer, scaler = make_optimizer(STEP, model), device.scaler()
    before = [weight.detach().clone() for weight in model.parameters()]
    images = torch.rand(2, 3, size, size, device="cuda").to(memory_format=torch.channels_last)
    for _ in range(2):
        with device.autocast():
            logits = model(images).float()
        loss = loss_of(logits)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    assert math.isfinite(loss.item())
    equal = [torch.equal(*pair) for pair in zip(model.parameters(), before, strict=True)]
    assert precision == "float16" or not all(equal)  # in float16 the first steps may be skipped


@pytest.mark.parametrize("precision", ["auto", "float16"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_trains(name: str, precision: str) -> None:
    target = torch.arange(2, device="cuda")
    loss_of = partial(nn.functional.cross_entropy, target=target)
    train_two_steps(lambda: build_classifier(CLASSIFIERS[name], 3), 64, loss_of, precision)


@pytest.mark.parametrize("precision", ["auto", "float16"])
@pytest.mark.parametrize("name", SEGMENTERS)
def test_a_segmentation_network_trains(name: str, precision: str) -> None:
    if name == "unet_mobilenetv3":
        pytest.importorskip("segmentation_models_pytorch")  # not on a bare machine
    size = 224 if name == "fcn32s_k44s52" else 64  # it has no padding

    def loss_of(logits: Tensor) -> Tensor:
        ids = torch.arange(2 * size**2, device="cuda") % 4  # 3 is ignored
        target, weights = ids.view(2, size, size), torch.ones(3, device="cuda")
        losses = cross_entropy(logits, target, 3), bce(logits, target, 3)
        return sum(losses, weighted_cross_entropy(logits, target, 3, weights))

    train_two_steps(lambda: build_segmenter(SEGMENTERS[name], 3), size, loss_of, precision)


def test_the_weighted_loss_is_that_of_the_cpu() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 5, 33, 31, generator=generator)
    target = torch.randint(0, 6, (4, 33, 31), generator=generator)  # 5 is ignored
    weights = torch.tensor([0.0, 1.5, 30.0, 2.0, 7.0])
    cpu = weighted_cross_entropy(logits, target, 5, weights)
    gpu = weighted_cross_entropy(logits.cuda(), target.cuda(), 5, weights.cuda())
    assert gpu.item() == pytest.approx(cpu.item(), rel=1e-5)
