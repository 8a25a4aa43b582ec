"""ResNets are torchvision's without the last layer."""

import pytest
import torch
import torchvision

from reprise.models.resnet import build_backbone


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_backbone_is_torchvisions_without_the_last_layer(name: str) -> None:
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name)
        ours = build_backbone(name, "imagenet").net
    shapes = {key: value.shape for key, value in theirs.state_dict().items()}
    expected = {key: shape for key, shape in shapes.items() if not key.startswith("fc.")}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected


def test_the_smallest_one_has_one_block_a_stage_and_the_small_stem_one_convolution() -> None:
    net = build_backbone("resnet10", "small").net
    assert [len(stage) for stage in (net.layer1, net.layer2, net.layer3, net.layer4)] == [1] * 4
    assert net.conv1.kernel_size == (3, 3) and net.conv1.stride == (2, 2)
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 512)
