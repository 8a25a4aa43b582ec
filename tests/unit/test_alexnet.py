"""Narrow AlexNets, and the pooling that is deterministic on a GPU."""

import pytest
import torch
from support.fake_gpu import META, install, watching
from torch import nn
from torch.nn import functional as F

from reprise.models.alexnet import DeterministicAvgPool2d, alexnet_backbone, window_means


@pytest.mark.parametrize("width_mult", [1.0, 0.5, 0.0625])
def test_a_narrow_alexnet_has_alexnets_layers_and_fewer_channels(width_mult: float) -> None:
    torch.manual_seed(0)
    backbone = alexnet_backbone(width_mult)
    with torch.device("meta"):
        whole = alexnet_backbone().net.state_dict()
    ours = backbone.net.state_dict()
    assert list(ours) == list(whole)
    for key, value in whole.items():
        first = [round(width_mult * value.shape[0])]
        if key == "features.0.weight":  # it reads three colors
            scaled, rest = first, value.shape[1:]
        else:
            scaled, rest = [round(width_mult * n) for n in value.shape[:2]], value.shape[2:]
        assert list(ours[key].shape) == [*scaled, *rest], key
    features = backbone(torch.randn(2, 3, 64, 64))
    assert features.shape == (2, backbone.width) == (2, round(4096 * width_mult))
    assert features.std() > 0


@pytest.mark.parametrize("size", [64, 96, 224, 256])
@pytest.mark.parametrize("width_mult", [1.0, 0.0625])
def test_alexnet_trains_on_a_gpu_at_any_size(
    size: int, width_mult: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    with META:
        network = alexnet_backbone(width_mult)
    images = torch.empty(2, 3, size, size, device=META)
    with watching():
        network(images).sum().backward()


@pytest.mark.parametrize("side", [1, 3, 5, 6, 7, 11, 12, 13])
def test_means_of_windows_are_adaptive_average_pooling(side: int) -> None:
    generator = torch.Generator().manual_seed(side)
    x = torch.rand(2, 3, side, side + 1, dtype=torch.float64, generator=generator)
    outputs, gradients = [], []
    for pool in (lambda x: window_means(x, (6, 6)), nn.AdaptiveAvgPool2d((6, 6))):
        leaf = x.clone().requires_grad_()
        outputs.append(pool(leaf))
        weights = torch.arange(36, dtype=torch.float64).view(6, 6)
        (outputs[-1] * weights).sum().backward()
        gradients.append(leaf.grad)
    assert outputs[0].shape == outputs[1].shape == (2, 3, 6, 6)
    assert torch.allclose(*outputs) and torch.allclose(*gradients)
    unchanged = torch.rand(2, 3, 6, 6)
    assert window_means(unchanged, (6, 6)) is unchanged


@pytest.mark.parametrize("width_mult", [1.0, 0.0625])
def test_alexnet_pools_on_cpu_as_torchvision_does(width_mult: float) -> None:
    with META:
        pool = alexnet_backbone(width_mult).net.avgpool
    assert type(pool) is DeterministicAvgPool2d
    x = torch.rand(2, 3, 5, 9)
    assert torch.equal(pool(x), F.adaptive_avg_pool2d(x, (6, 6)))
