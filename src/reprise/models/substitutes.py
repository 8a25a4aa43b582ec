"""Layers that compute what torch's do, faster or more exactly, and bear the same weights."""

from collections.abc import Mapping

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
