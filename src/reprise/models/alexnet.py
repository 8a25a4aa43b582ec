"""torchvision's AlexNet, and narrow versions of it."""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import alexnet

from reprise.models.backbone import Backbone, Classifier, Options, linear_classifier
from reprise.models.convolution import swap_layers

CLASSIFIERS = ("alexnet",)
IMAGE_SIZES = {"alexnet": (63, 1)}


def build_classifier(recipe: Options, n_classes: int) -> Classifier:
    """AlexNet up to the 4096 values of its penultimate layer, and a new last layer."""
    return linear_classifier(alexnet_backbone(recipe.width_mult), recipe.dropout, n_classes)


def alexnet_backbone(width_mult: float = 1.0) -> Backbone:
    """AlexNet without its last layer, with a share `width_mult` of its channels.

    The keys are those of torchvision's weights; below 1 the shapes are not.
    """
    if width_mult >= 1:
        net = alexnet(weights=None)
        net.classifier[6] = nn.Identity()
        swap_layers(net, {nn.AdaptiveAvgPool2d: DeterministicAvgPool2d})
        return Backbone(net, 4096)
    with torch.device("meta"):  # all 57 million weights are replaced below
        net = alexnet(weights=None)
    net.classifier[6] = nn.Identity()
    channels = 3
    for layers in (net.features, net.classifier):
        for i, layer in enumerate(layers):
            if isinstance(layer, nn.Conv2d):
                kernel, stride, padding = layer.kernel_size, layer.stride, layer.padding
                width = max(1, round(width_mult * layer.out_channels))
                layers[i] = nn.Conv2d(channels, width, kernel, stride, padding)  # type: ignore[arg-type]
                channels = width
            elif isinstance(layer, nn.Linear):
                inputs = channels * 36 if i == 1 else channels  # 6 x 6 positions are pooled
                channels = max(1, round(width_mult * layer.out_features))
                layers[i] = nn.Linear(inputs, channels)
    swap_layers(net, {nn.AdaptiveAvgPool2d: DeterministicAvgPool2d})
    return Backbone(net, channels)


class DeterministicAvgPool2d(nn.AdaptiveAvgPool2d):
    """AdaptiveAvgPool2d with a backward pass that is deterministic on a GPU.

    torch's adds to a gradient in varying order there, and raises an error under deterministic
    algorithms. On CPU it is torch's.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu":
            return super().forward(x)
        size: Any = self.output_size
        return window_means(x, (size, size) if isinstance(size, int) else size)


def window_means(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Adaptive average pooling of x (n, C, H, W) to (n, C, *size): of rows, then of columns.

    `x` itself if it has that size.
    """
    for axis, count in zip((-2, -1), size, strict=True):
        side = x.shape[axis]
        if count != side:
            edges = [(i * side // count, -(-(i + 1) * side // count)) for i in range(count)]
            means = [x.narrow(axis, start, stop - start).mean(axis) for start, stop in edges]
            x = torch.stack(means, axis)
    return x
