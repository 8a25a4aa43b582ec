"""Every network of presets/course.yaml learns on a GPU, at small sizes, and none of them raises."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from reprise.models.classifier import classifier
from reprise.models.segmentation import segmenter
from reprise.params import Runtime, Training, load_params
from reprise.training.loop import make_optimizer
from reprise.training.losses import binary, plain, weighted
from reprise.training.runtime import set_up

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible"),
]
COURSE = load_params(ROOT / "presets" / "course.yaml")
CLASSIFIERS = {
    recipe.model: recipe.model_copy(update={"weights": "none", "width": 0.25, "image_size": 64})
    for stage in (COURSE.classify, COURSE.faces)
    for recipe in stage.recipes.values()
}
SEGMENTERS = sorted(
    {recipe.model for stage in (COURSE.segment, COURSE.street) for recipe in stage.recipes.values()}
)
STEP = Training(epochs=1, batch_size=2, learning_rate=1e-4)


def learns(
    build: Callable[[], nn.Module], size: int, loss_of: Callable[[Tensor], Tensor], precision: str
) -> None:
    """Two steps; the loss is a number, and weights are other ones."""
    device = set_up(Runtime(device="cuda", precision=precision), seed=1)
    model = build()
    device.place(model)
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
    same = [torch.equal(*pair) for pair in zip(model.parameters(), before, strict=True)]
    assert precision == "float16" or not all(same)  # in float16 the first steps may be skipped


@pytest.mark.parametrize("precision", ["auto", "float16"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_learns(name: str, precision: str) -> None:
    truth = torch.arange(2, device="cuda")
    loss_of = partial(nn.functional.cross_entropy, target=truth)
    learns(lambda: classifier(CLASSIFIERS[name], 3), 64, loss_of, precision)


@pytest.mark.parametrize("precision", ["auto", "float16"])
@pytest.mark.parametrize("name", SEGMENTERS)
def test_a_segmentation_network_learns(name: str, precision: str) -> None:
    if name == "unet_mobilenetv3":
        pytest.importorskip("segmentation_models_pytorch")  # a bare machine has none
    size = 224 if name == "fcn32s_k44s52" else 64  # it has no padding

    def loss_of(logits: Tensor) -> Tensor:
        truth = (torch.arange(2 * size**2, device="cuda") % 4).view(2, size, size)  # 3: ignored
        weights = torch.ones(3, device="cuda")
        return (
            plain(logits, truth, 3) + weighted(logits, truth, 3, weights) + binary(logits, truth, 3)
        )

    learns(lambda: segmenter(name, 3, 0.125), size, loss_of, precision)


def test_the_loss_that_weighs_classes_is_that_of_the_processor() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 5, 33, 31, generator=generator)
    truth = torch.randint(0, 6, (4, 33, 31), generator=generator)  # 5 is ignored
    weights = torch.tensor([0.0, 1.5, 30.0, 2.0, 7.0])
    here = weighted(logits, truth, 5, weights)
    there = weighted(logits.cuda(), truth.cuda(), 5, weights.cuda())
    assert there.item() == pytest.approx(here.item(), rel=1e-5)
