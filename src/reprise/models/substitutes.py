"""Layers that compute what torch's do, faster or more exactly, and bear the same weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CroppedConv2d(nn.Conv2d):
    """A convolution whose kernel may reach beyond the whole feature map.

    Only the part of the kernel that can meet a value is used; the result is the same. A 3 x 3
    kernel on a map of one pixel multiplies with zeros but for its middle. And in bfloat16 oneDNN
    leaves the gradient of the rest unwritten: whatever lay in memory would become weights. Kernels
    with dilation stay whole.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.dilation != (1, 1):
            return super().forward(x)
        sizes = zip(x.shape[-2:], self.kernel_size, self.stride, self._padding(), strict=True)
        (rows, above), (columns, left) = (met(*size) for size in sizes)
        kernel = self.weight[:, :, rows, columns]
        return F.conv2d(x, kernel, self.bias, self.stride, (above, left), 1, self.groups)

    def _padding(self) -> tuple[int, int]:
        assert not isinstance(self.padding, str), "padding is a number of pixels here"
        return self.padding[0], self.padding[1]


def met(side: int, kernel: int, stride: int, padding: int) -> tuple[slice, int]:
    """Along one axis, the part of a kernel that meets pixels, and the padding that this part needs.

    The whole kernel and padding where the part would need another padding on either side.
    """
    whole = (side + 2 * padding - kernel) // stride + 1
    first = max(0, padding - (whole - 1) * stride)
    stop = min(kernel, padding + side)
    left = padding - first
    if left < 0 or (side + 2 * left - (stop - first)) // stride + 1 != whole:
        return slice(0, kernel), padding
    return slice(first, stop), left


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
