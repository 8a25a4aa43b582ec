"""Networks: the published architectures, every pixel covered, frozen means frozen."""

from pathlib import Path

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import save_file
from torchvision.models import resnet18, resnet50

from reprise.data.packages import LITE0, package_file
from reprise.errors import RepriseError
from reprise.models.backbone import lite0, load_backbone, resnet
from reprise.models.classifier import lite0_classifier, small_cnn, with_head
from reprise.models.convolution import CroppedConv2d, Unfolded, met
from reprise.models.segmentation import segmenter


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_resnets_are_torchvisions_without_the_last_layer() -> None:
    for name, theirs in (("resnet18", resnet18()), ("resnet50", resnet50())):
        assert parameters(resnet(name, "imagenet")) == parameters(theirs) - parameters(theirs.fc)


def test_lite0_answers_as_the_network_its_weights_were_published_with() -> None:
    theirs = EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(torch.load(package_file(*LITE0), weights_only=True))
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    ours = lite0("imagenet").eval()
    with torch.no_grad():
        expected = theirs.eval().extract_features(images).mean(dim=(2, 3))
        assert torch.allclose(ours(images), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["fcn32s", "fcn8s", "fcn8s_noskip", "deeplabv3"])
def test_segmentation_covers_every_pixel(name: str) -> None:
    torch.manual_seed(0)
    model = segmenter(name, 5, 0.0625).eval()
    for parameter in model.parameters():  # zero-initialised score layers answer 0 everywhere
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    with torch.no_grad():
        logits = model(torch.randn(2, 3, 64, 96))
    assert logits.shape == (2, 5, 64, 96)
    assert (logits != 0).any(dim=1).all()


SIZES = [(1, 1), (1, 4), (2, 3), (2, 2), (3, 3), (4, 5), (9, 8)]
KERNELS = [(1, 0), (3, 0), (3, 1), (5, 1), (5, 2), (7, 3)]


@pytest.mark.parametrize(
    ("size", "kernel", "padding"),
    [(size, k, pad) for size in SIZES for k, pad in KERNELS if min(size) + 2 * pad >= k],
)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_cropped_kernel_answers_and_learns_as_the_whole_one(
    size: tuple[int, int], stride: int, kernel: int, padding: int
) -> None:
    torch.manual_seed(0)
    shape = {"kernel_size": kernel, "stride": stride, "padding": padding, "dtype": torch.float64}
    ours, plain = CroppedConv2d(3, 4, **shape), torch.nn.Conv2d(3, 4, **shape)
    plain.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    again = images.detach().clone().requires_grad_()
    expected = plain(again)
    expected.square().sum().backward()
    for answers in (ours(images), Unfolded.apply(images, ours.weight, ours._part(images))):
        images.grad = ours.weight.grad = None
        if isinstance(answers.grad_fn, Unfolded._backward_cls):
            answers = answers + ours.bias[:, None, None]
        assert torch.allclose(answers, expected, atol=1e-12)
        answers.square().sum().backward()
        assert torch.allclose(ours.weight.grad, plain.weight.grad, atol=1e-12)
        assert torch.allclose(images.grad, again.grad, atol=1e-12)


@pytest.mark.parametrize(
    ("side", "stride", "kind"),
    [(1, 1, "Connected"), (2, 1, "Connected"), (2, 2, "Connected"), (4, 1, "Unfolded"),
     (5, 1, "Convolution"), (16, 2, "Unfolded"), (18, 2, "Convolution")],
)  # fmt: skip
def test_small_maps_become_products_of_matrices(side: int, stride: int, kind: str) -> None:
    torch.manual_seed(0)
    shape = {"kernel_size": 3, "stride": stride, "padding": 1, "bias": False}
    ours, plain = CroppedConv2d(32, 16, **shape), torch.nn.Conv2d(32, 16, **shape)
    plain.load_state_dict(ours.state_dict())
    ours.to(memory_format=torch.channels_last)
    images = torch.randn(8, 32, side, side).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        answers = ours(images)
    assert type(answers.grad_fn).__name__.startswith(kind)
    answers.float().square().sum().backward()
    expected = plain(images)
    expected.square().sum().backward()
    assert ours.weight.grad.stride() == ours.weight.stride()
    for mine, other in ((answers, expected), (ours.weight.grad, plain.weight.grad)):
        assert (mine - other).norm() < 0.01 * other.norm()  # bfloat16 has 8 binary digits


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding", "part"),
    [(1, 3, 1, 1, (1, 2)), (2, 3, 2, 1, (1, 3)), (2, 3, 1, 1, (0, 3)), (2, 7, 1, 3, (2, 5))],
)
def test_only_what_meets_pixels_is_left_of_a_kernel(
    side: int, kernel: int, stride: int, padding: int, part: tuple[int, int]
) -> None:
    rows, _, _ = met(side, kernel, stride, padding)
    assert (rows.start, rows.stop) == part


def test_a_resnet_keeps_its_names_and_its_answers_with_cropped_kernels() -> None:
    ours = resnet("resnet18", "imagenet").net.double().eval()
    plain = resnet18().double()
    plain.fc = torch.nn.Identity()
    plain.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    assert torch.allclose(ours(images), plain.eval()(images), atol=1e-12)


@pytest.mark.parametrize("kind", ["fcn32s", "fcn8s", "deeplabv3", "resnet10", "resnet18", "lite0"])
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float32])
def test_no_gradient_comes_from_memory_that_nobody_wrote(kind: str, precision: torch.dtype) -> None:
    torch.manual_seed(0)
    if kind in ("fcn32s", "fcn8s", "deeplabv3"):
        size, model = 64, segmenter(kind, 5, 0.25)
    else:
        backbone = lite0("none") if kind == "lite0" else resnet(kind, "imagenet")
        size, model = 32, with_head(backbone, 64, 5)
    for parameter in model.parameters():  # behind a zero-initialised layer all gradients are zero
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    model.to(memory_format=torch.channels_last)
    images = torch.randn(16, 3, size, size).contiguous(memory_format=torch.channels_last)

    def gradients(left_in_memory: float) -> list[torch.Tensor]:
        torch.manual_seed(1)  # dropout
        model.zero_grad()
        left = [torch.full((p.numel(),), left_in_memory) for p in model.parameters()]
        del left  # freed with its values in it, for whoever allocates next
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            logits = model(images)
        logits.float().square().mean().backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    first = gradients(0.0)
    for left_in_memory in (float("nan"), 1e9, float("nan")):
        again = gradients(left_in_memory)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_fcn8s_without_skips_differs_by_the_two_additions_only() -> None:
    skips, none = segmenter("fcn8s", 3, 0.125), segmenter("fcn8s_noskip", 3, 0.125)
    assert parameters(skips) == parameters(none)
    none.load_state_dict(skips.state_dict())
    images = torch.randn(2, 3, 64, 64)
    assert not torch.allclose(skips.eval()(images), none.eval()(images))


def test_classifiers_give_one_logit_a_class() -> None:
    assert small_cnn(32, 7)(torch.randn(2, 3, 32, 32)).shape == (2, 7)
    assert lite0_classifier("none", 7)(torch.randn(2, 3, 64, 64)).shape == (2, 7)
    head = with_head(resnet("resnet10", "small"), 32, 7)
    assert head(torch.randn(2, 3, 32, 32)).shape == (2, 7)


def test_train_cannot_thaw_a_frozen_backbone() -> None:
    model = with_head(resnet("resnet10", "small"), 32, 4)
    model.backbone.freeze()
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    model.train()
    assert model.training and not any(part.training for part in model.backbone.modules())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    model(torch.randn(8, 3, 32, 32)).sum().backward()
    optimizer.step()
    after = model.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_backbone_of_another_architecture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "backbone.safetensors"
    save_file(resnet("resnet10", "imagenet").net.state_dict(), path)
    with pytest.raises(RepriseError, match=r"backbone.safetensors: does not fit.*conv1.weight"):
        load_backbone(resnet("resnet10", "small"), path)
    path.write_bytes(b"not a tensor")
    with pytest.raises(RepriseError, match="is not a safetensors file"):
        load_backbone(resnet("resnet10", "small"), path)
    with pytest.raises(RepriseError, match="not found; run the pretraining"):
        load_backbone(resnet("resnet10", "small"), tmp_path / "none.safetensors")
