"""Convolutions on small maps: torch's results and gradients, by matrix products where promised."""

import random

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision.models import resnet18

from reprise.models.build import build_backbone, build_classifier, build_finetuned, build_segmenter
from reprise.models.convolution import CroppedConv2d, Im2colGrad, overlap
from reprise.params.classify import ClassifyRecipe
from reprise.params.finetune import FinetuneCommon
from reprise.params.segment import SegmentRecipe

TRAINING = {"epochs": 1, "batch_size": 16, "learning_rate": 0.1}
SIZES = [(1, 1), (1, 4), (2, 3), (2, 2), (3, 3), (4, 5), (9, 8)]
KERNELS = [(1, 0), (3, 0), (3, 1), (5, 1), (5, 2), (7, 3)]


@pytest.mark.parametrize(
    ("size", "kernel", "padding"),
    [(size, k, pad) for size in SIZES for k, pad in KERNELS if min(size) + 2 * pad >= k],
)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_cropped_kernel_gives_the_outputs_and_gradients_of_the_whole_one(
    size: tuple[int, int], stride: int, kernel: int, padding: int
) -> None:
    torch.manual_seed(0)
    shape = {"kernel_size": kernel, "stride": stride, "padding": padding, "dtype": torch.float64}
    ours, plain = CroppedConv2d(3, 4, **shape), nn.Conv2d(3, 4, **shape)
    plain.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    copies = images.detach().clone().requires_grad_()
    expected = plain(copies)
    expected.square().sum().backward()
    for outputs in (ours(images), Im2colGrad.apply(images, ours.weight, ours._window(images))):
        images.grad = ours.weight.grad = None
        if isinstance(outputs.grad_fn, Im2colGrad._backward_cls):
            outputs = outputs + ours.bias[:, None, None]
        assert torch.allclose(outputs, expected, atol=1e-12)
        outputs.square().sum().backward()
        assert torch.allclose(ours.weight.grad, plain.weight.grad, atol=1e-12)
        assert torch.allclose(images.grad, copies.grad, atol=1e-12)


@pytest.mark.parametrize("seed", range(300))
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_a_layer_of_any_shape_is_torchs_in_values_gradients_and_errors(seed: int) -> None:
    """Also where no part of the kernel meets a pixel, and for other paddings and single images."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    padding = rng.choice(["same", "valid", *[(rng.randrange(5), rng.randrange(5))] * 3])
    options = {
        "kernel_size": (rng.randint(1, 5), rng.randint(1, 5)),
        "stride": 1 if padding == "same" else (rng.randint(1, 8), rng.randint(1, 8)),
        "padding": padding,
        "dilation": rng.choice([1, 1, 1, 2]),
        "groups": rng.choice([1, 1, 2]),
        "bias": rng.random() < 0.5,
        "padding_mode": rng.choice(["zeros"] * 4 + ["reflect", "replicate", "circular"]),
        "dtype": torch.float64,
    }
    shape = rng.choice([(2,), (2,), (1,), (0,), ()]) + (4, rng.randint(1, 6), rng.randint(1, 6))
    plain, ours = nn.Conv2d(4, 6, **options), CroppedConv2d(4, 6, **options)
    ours.load_state_dict(plain.state_dict())
    images = torch.randn(shape, dtype=torch.float64)
    assert_close(outcome(ours, images), outcome(plain, images), atol=1e-11, rtol=0)


def outcome(layer: nn.Conv2d, images: torch.Tensor) -> list[torch.Tensor]:
    """A layer's output and gradients; of an error its words, as numbers."""
    images = images.clone().requires_grad_()
    try:
        output = layer(images)
    except RuntimeError as error:
        return [torch.tensor(list(str(error).encode()))]
    output.square().sum().backward()
    return [output, images.grad, *(parameter.grad for parameter in layer.parameters())]


@pytest.mark.parametrize(
    ("side", "stride", "kind"),
    [(1, 1, "AsLinear"), (2, 1, "AsLinear"), (2, 2, "AsLinear"), (4, 1, "Im2colGrad"),
     (5, 1, "Convolution"), (16, 2, "Im2colGrad"), (18, 2, "Convolution")],
)  # fmt: skip
def test_small_maps_become_matrix_products(side: int, stride: int, kind: str) -> None:
    torch.manual_seed(0)
    shape = {"kernel_size": 3, "stride": stride, "padding": 1, "bias": False}
    ours, plain = CroppedConv2d(32, 16, **shape), nn.Conv2d(32, 16, **shape)
    plain.load_state_dict(ours.state_dict())
    ours.to(memory_format=torch.channels_last)
    images = torch.randn(8, 32, side, side).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = ours(images)
    assert type(outputs.grad_fn).__name__.startswith(kind)
    outputs.float().square().sum().backward()
    expected = plain(images)
    expected.square().sum().backward()
    assert ours.weight.grad.stride() == ours.weight.stride()
    for actual, exact in ((outputs, expected), (ours.weight.grad, plain.weight.grad)):
        assert (actual - exact).norm() < 0.01 * exact.norm()  # bfloat16 has 8 binary digits


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding", "window"),
    [(1, 3, 1, 1, (1, 2)), (2, 3, 2, 1, (1, 3)), (2, 3, 1, 1, (0, 3)), (2, 7, 1, 3, (2, 5))],
)
def test_only_the_part_of_a_kernel_that_overlaps_pixels_is_used(
    side: int, kernel: int, stride: int, padding: int, window: tuple[int, int]
) -> None:
    rows, _, _ = overlap(side, kernel, stride, padding)
    assert (rows.start, rows.stop) == window


def test_a_resnet_keeps_its_keys_and_outputs_with_cropped_kernels() -> None:
    ours = build_backbone("resnet18", "imagenet").net.double().eval()
    plain = resnet18().double()
    plain.fc = nn.Identity()
    plain.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    assert torch.allclose(ours(images), plain.eval()(images), atol=1e-12)


@pytest.mark.parametrize("name", ["fcn32s", "fcn8s", "deeplabv3", "resnet10", "resnet18", "lite0"])
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float32])
def test_no_gradient_comes_from_uninitialised_memory(name: str, precision: torch.dtype) -> None:
    torch.manual_seed(0)
    size, model = network(name)
    for parameter in model.parameters():  # behind a zero-initialised layer all gradients are zero
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    model.to(memory_format=torch.channels_last)
    images = torch.randn(16, 3, size, size).contiguous(memory_format=torch.channels_last)

    def gradients(left_in_memory: float) -> list[torch.Tensor]:
        torch.manual_seed(1)  # dropout
        model.zero_grad()
        left = [torch.full((p.numel(),), left_in_memory) for p in model.parameters()]
        del left  # freed with its values in it, for the next allocation
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            logits = model(images)
        logits.float().square().mean().backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    first = gradients(0.0)
    for left_in_memory in (float("nan"), 1e9, float("nan")):
        again = gradients(left_in_memory)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def network(name: str) -> tuple[int, nn.Module]:
    """The size of its images and a network."""
    if name in ("fcn32s", "fcn8s", "deeplabv3"):
        recipe = SegmentRecipe(model=name, width_mult=0.25, image_size=64, **TRAINING)
        return 64, build_segmenter(recipe, 5)
    if name == "lite0":
        classify = ClassifyRecipe(model=name, image_size=32, feature_epochs=[], **TRAINING)
        return 32, build_classifier(classify, 5)
    head = {"head_hidden_dim": 64, "feature_epochs": []}
    return 32, build_finetuned(
        FinetuneCommon(backbone=name, stem="imagenet", **head, **TRAINING), 5
    )
