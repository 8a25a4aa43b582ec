"""ResNets (He et al. 2016): backbones of three sizes, and torchvision's ResNet- and ResNeXt-101."""

from typing import Any

from torch import nn
from torchvision.models import get_model
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from reprise.models.backbone import Backbone, Classifier, Options, linear_classifier
from reprise.models.convolution import CroppedConv2d, swap_layers

BACKBONES = {"resnet10": [1, 1, 1, 1], "resnet18": [2, 2, 2, 2], "resnet50": [3, 4, 6, 3]}
CLASSIFIERS = ("resnet101", "resnext101_64x4d")


def build_backbone(name: str, stem: str, keep_imagenet_fc: bool = False) -> Backbone:
    """A randomly initialised ResNet with torchvision's keys, without its last layer.

    name: one of BACKBONES, which has the number of blocks of each stage. stem: imagenet, or small:
    a 3 x 3 convolution with stride 2 and no pooling, for images of about 32 pixels.
    keep_imagenet_fc: keep the last layer, of 1000 values; pretraining never trains it.
    """
    net = ResNet(Bottleneck if name == "resnet50" else BasicBlock, BACKBONES[name])
    width = 1000
    if not keep_imagenet_fc:
        width = net.fc.in_features
        net.fc = nn.Identity()
    if stem == "small":
        net.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        net.maxpool = nn.Identity()
    swap_layers(net, {nn.Conv2d: CroppedConv2d})
    return Backbone(net, width)


def build_classifier(recipe: Options, n_classes: int) -> Classifier:
    """torchvision's network up to the 2048 values after pooling, and a new last layer."""
    net: Any = get_model(recipe.model, weights=None)
    net.fc = nn.Identity()
    return linear_classifier(Backbone(net, 2048), recipe.dropout, n_classes)
