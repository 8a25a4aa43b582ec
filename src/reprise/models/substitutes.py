"""Layers that compute what torch's do, faster or more exactly, and bear the same weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reprise.models.convolution import CroppedConv2d


class TwoViewNorm1d(nn.BatchNorm1d):
    """Batch norm of two views that lie one after the other in a batch, each by itself.

    In training each half is normalised with its own statistics, and the running statistics take in
    the first half and then the second, as in two passes; in evaluation it is batch norm.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        return torch.cat([super(TwoViewNorm1d, self).forward(view) for view in x.chunk(2)])


class TwoViewNorm2d(nn.BatchNorm2d):
    """The same for feature maps (2n, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        return torch.cat([super(TwoViewNorm2d, self).forward(view) for view in x.chunk(2)])


class RepeatableMean2d(nn.AdaptiveAvgPool2d):
    """The mean of each of an output's windows, with a backward that repeats on a GPU.

    torch's own adds into a gradient in no fixed order there, and raises where algorithms have to be
    deterministic. Windows of one pixel each change nothing, in forward and backward; the others are
    means of slices, first of rows, then of columns. On a processor it is torch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu":
            return super().forward(x)
        size: Any = self.output_size
        return window_means(x, (size, size) if isinstance(size, int) else size)


def window_means(x: Tensor, size: Sequence[int | None]) -> Tensor:
    """Adaptive mean pooling of x (n, C, H, W) to `size`, (n, C, *size); None keeps a side.

    `x` itself where it has that size already.
    """
    for axis, count in zip((-2, -1), size, strict=True):
        side = x.shape[axis]
        if count is not None and count != side:
            edges = [(i * side // count, -(-(i + 1) * side // count)) for i in range(count)]
            means = [x.narrow(axis, first, stop - first).mean(axis) for first, stop in edges]
            x = torch.stack(means, axis)
    return x


REPEATABLE: Mapping[type[nn.Module], type[nn.Module]] = {nn.AdaptiveAvgPool2d: RepeatableMean2d}
CROPPED: Mapping[type[nn.Module], type[nn.Module]] = {nn.Conv2d: CroppedConv2d}
TWO_VIEWS: Mapping[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: TwoViewNorm1d, nn.BatchNorm2d: TwoViewNorm2d,
}  # fmt: skip


def become(network: nn.Module, kinds: Mapping[type[nn.Module], type[nn.Module]]) -> None:
    """Make layers of one class layers of another one, in place; weights, buffers, names stay.

    The new class adds methods alone, so nothing has to be built or drawn anew.
    """
    for layer in network.modules():
        if type(layer) in kinds:
            layer.__class__ = kinds[type(layer)]
