"""Backbones: images in, one feature vector an image out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from reprise.data.packages import LITE0, package_file
from reprise.errors import RepriseError
from reprise.models.substitutes import CROPPED, REPEATABLE, become

Stem = Literal["imagenet", "small"]
_RESNETS: Mapping[str, tuple[type[BasicBlock | Bottleneck], list[int]]] = {
    "resnet10": (BasicBlock, [1, 1, 1, 1]),
    "resnet18": (BasicBlock, [2, 2, 2, 2]),
    "resnet50": (Bottleneck, [3, 4, 6, 3]),
}


class Backbone(nn.Module):
    """A network without its last layer; `width` is the length of its feature vector.

    forward: (n, 3, H, W) float -> (n, width) float.
    Once frozen it stays so: no gradient, and `train()` cannot put its batch norm back to training.
    """

    def __init__(self, net: nn.Module, width: int) -> None:
        super().__init__()
        self.net = net
        self.width = width
        self.frozen = False

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.net(images)
        return features

    def freeze(self) -> Self:
        """Keep every parameter and every batch norm buffer as it is from now on."""
        self.frozen = True
        self.requires_grad_(False)
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, unless frozen."""
        return super().train(mode and not self.frozen)


def resnet(name: str, stem: Stem, imagenet_layer: bool = False) -> Backbone:
    """A randomly initialised ResNet (He et al. 2016) as in torchvision, without its last layer.

    resnet10 is the ResNet-18 with one block a stage. The stem 'small' is one 3 x 3 convolution
    with stride 2 and no pooling, for images of about 32 pixels. `imagenet_layer` leaves the last
    layer, of 1000 values, where it is; pretraining without labels never trains it.
    """
    block, layers = _RESNETS[name]
    net = ResNet(block, layers)
    width = 1000
    if not imagenet_layer:
        width = net.fc.in_features
        net.fc = nn.Identity()
    if stem == "small":
        net.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        net.maxpool = nn.Identity()
    become(net, CROPPED)
    return Backbone(net, width)


def published(name: str, width: float = 1.0) -> Backbone:
    """torchvision's network under the keys of torchvision's weights, randomly initialised.

    resnet101 and resnext101_64x4d end in the 2048 values after pooling, alexnet in the 4096 of its
    second-last layer, efficientnet_b2 in its 1000 logits, which the CS6550 report reads.
    width: of alexnet's channels. Raises KeyError for another name.
    """
    from torchvision import models  # takes a second, and most jobs need none of it

    make = {
        "alexnet": models.alexnet,
        "efficientnet_b2": models.efficientnet_b2,
        "resnet101": models.resnet101,
        "resnext101_64x4d": models.resnext101_64x4d,
    }
    if name == "alexnet" and width < 1:
        return narrow_alexnet(width)
    net = make[name](weights=None)
    if name == "efficientnet_b2":
        return Backbone(net, 1000)
    if name == "alexnet":
        net.classifier[6] = nn.Identity()
        become(net, REPEATABLE)
        return Backbone(net, 4096)
    net.fc = nn.Identity()
    return Backbone(net, 2048)


def narrow_alexnet(width: float) -> Backbone:
    """AlexNet with this share of its channels; the keys are torchvision's, the shapes are not."""
    from torchvision.models import alexnet

    with torch.device("meta"):  # the whole one has 57 million weights, and none of them stays
        net = alexnet(weights=None)
    become(net, REPEATABLE)
    net.classifier[6] = nn.Identity()
    channels = 3
    for layers in (net.features, net.classifier):
        for place, layer in enumerate(layers):
            if isinstance(layer, nn.Conv2d):
                size, stride, padding = layer.kernel_size, layer.stride, layer.padding
                out = max(1, round(width * layer.out_channels))
                layers[place] = nn.Conv2d(channels, out, size, stride, padding)  # type: ignore[arg-type]
                channels = out
            elif isinstance(layer, nn.Linear):
                reads = channels * 36 if place == 1 else channels  # 6 x 6 places are left
                channels = max(1, round(width * layer.out_features))
                layers[place] = nn.Linear(reads, channels)
    return Backbone(net, channels)


def lite0(weights: str) -> Backbone:
    """EfficientNet-Lite0, random or with the ImageNet weights of its data package."""
    import timm  # takes seconds, and most jobs need none of it

    net = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
    if weights == "imagenet":
        net.load_state_dict(lite0_weights(net))
    width: int = net.num_features  # type: ignore[assignment]
    return Backbone(net, width)


def lite0_weights(net: nn.Module) -> dict[str, Tensor]:
    """The ImageNet weights under the names of timm's Lite0 `net`.

    The package holds them under the names of another implementation of the same network, in the
    same order. Raises RepriseError when the shapes do not agree.
    """
    path = package_file(*LITE0)
    stored = list(torch.load(path, weights_only=True, map_location="cpu").values())
    wanted = net.state_dict()
    named = dict(zip(wanted, stored, strict=False))  # stored ends with the classifier
    if any(wanted[name].shape != tensor.shape for name, tensor in named.items()):
        raise RepriseError(f"{path}: is not an EfficientNet-Lite0; reinstall the data packages")
    return named


def load_backbone(backbone: Backbone, path: Path) -> None:
    """Load a backbone.safetensors strictly, but for the ImageNet layer `fc`.

    Where the file lacks it, the backbone's stays as it was drawn; where the backbone lacks it, the
    file's is left out. Raises RepriseError when the file is missing, damaged, or of another
    architecture.
    """
    try:
        state = load_file(path)
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; run the pretraining that makes it") from None
    except Exception as error:
        raise RepriseError(f"{path}: is not a safetensors file ({error}); rebuild it") from None
    wanted = backbone.net.state_dict()
    for name in [name for name in (*wanted, *state) if name.startswith("fc.")]:
        if name not in wanted:
            del state[name]
        elif name not in state:
            state[name] = wanted[name]
    for name in [*wanted, *state]:
        if name not in state or name not in wanted or wanted[name].shape != state[name].shape:
            have = tuple(state[name].shape) if name in state else "nothing"
            want = tuple(wanted[name].shape) if name in wanted else "nothing"
            raise RepriseError(
                f"{path}: does not fit the backbone: '{name}' is {have} in the file and {want} in "
                "the model; use the same `backbone` and `stem` for pretraining and fine-tuning"
            )
    backbone.net.load_state_dict(state)
