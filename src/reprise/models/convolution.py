"""Convolutions on small feature maps with torch's results, computed as matrix products.

On CPU oneDNN also multiplies with the zeros around a map, which is most of the work on a map of
four pixels, and in bfloat16 it takes up to five times as long for the gradient of a kernel as for
the convolution: observed with torch 2.15; `make bench ONLY=convolution` measures it.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Pair = tuple[int, int]
MAX_IM2COL_PIXELS = 16  # of an output, with stride 1: see `CroppedConv2d`


class KernelWindow(NamedTuple):
    """The part of a kernel that overlaps pixels, its stride and padding, and the output's size."""

    rows: slice
    columns: slice
    stride: Pair
    padding: Pair
    output: Pair

    def of(self, kernel: Tensor) -> Tensor:
        """This part of a kernel (out, in, height, width), as (out, rows, columns, in)."""
        return kernel[:, :, self.rows, self.columns].permute(0, 2, 3, 1)


class CroppedConv2d(nn.Conv2d):
    """A convolution whose kernel may reach beyond the whole feature map.

    Only the part of the kernel that can overlap a pixel is used; the result is the same. A 3 x 3
    kernel on a map of one pixel multiplies with zeros but for its middle. And in bfloat16 oneDNN
    does not write the remaining gradient entries, so uninitialised memory would enter the weights.

    On CPU, maps of which every output pixel sees all pixels become one matrix product (`AsLinear`),
    and in bfloat16 the gradient of a kernel on other small maps is one too (`Im2colGrad`): it was
    faster up to 16 output pixels with stride 1, and up to 64 with stride 2. Kernels with groups
    are torch's, as is all of a layer that `_window` has no part for: with dilation, with padding
    by other values than zeros, or for a single image (C, H, W).
    """

    def forward(self, x: Tensor) -> Tensor:
        window = self._window(x)
        if window is None:
            return super().forward(x)
        y = self._by_products(x, window)
        if y is not None:
            return y if self.bias is None else y + self.bias.to(y.dtype)[:, None, None]
        kernel = self.weight[:, :, window.rows, window.columns]
        return F.conv2d(x, kernel, self.bias, self.stride, window.padding, 1, self.groups)

    def _by_products(self, x: Tensor, window: KernelWindow) -> Tensor | None:
        """The convolution without its bias, where matrix products are faster; else None."""
        if x.device.type != "cpu" or self.groups > 1:
            return None
        most_pixels = MAX_IM2COL_PIXELS * math.prod(window.stride)
        y: Tensor | None = None
        if covers_input(x.shape[-2:], window):
            y = AsLinear.apply(x, self.weight, window)
        elif needs_bf16_grad(self.weight) and math.prod(window.output) <= most_pixels:
            y = Im2colGrad.apply(x, self.weight, window)
        return y

    def _window(self, x: Tensor) -> KernelWindow | None:
        """The part of the kernel that overlaps pixels; None where only torch's layer is right."""
        if self.dilation != (1, 1) or self.padding_mode != "zeros" or x.ndim != 4 or not x.numel():
            return None
        if isinstance(self.padding, str):  # "same" may pad one side more than the other
            return None
        axes = zip(x.shape[-2:], self.kernel_size, self.stride, self.padding, strict=True)
        (rows, above, high), (columns, left, wide) = (overlap(*axis) for axis in axes)
        # an output that lies in the padding, or a kernel that is larger than the padded map
        if min(rows.stop - rows.start, columns.stop - columns.start, high, wide) < 1:
            return None
        stride: Pair = self.stride  # type: ignore[assignment]
        return KernelWindow(rows, columns, stride, (above, left), (high, wide))


def overlap(side: int, kernel: int, stride: int, padding: int) -> tuple[slice, int, int]:
    """Along one axis, the part of a kernel that overlaps pixels, its padding, the output's size.

    The whole kernel and padding where the part would need different paddings on the two sides.
    """
    output = (side + 2 * padding - kernel) // stride + 1
    first = max(0, padding - (output - 1) * stride)
    stop = min(kernel, padding + side)
    left = padding - first
    if left < 0 or (side + 2 * left - (stop - first)) // stride + 1 != output:
        return slice(0, kernel), padding, output
    return slice(first, stop), left, output


def covers_input(size: torch.Size, window: KernelWindow) -> bool:
    """Whether each output pixel depends on every pixel of a map of this size."""
    kernel = (window.rows.stop - window.rows.start, window.columns.stop - window.columns.start)
    axes = zip(size, kernel, window.stride, window.padding, window.output, strict=True)
    return all(
        (output - 1) * stride <= padding and padding + side <= reach
        for side, reach, stride, padding, output in axes
    )


def needs_bf16_grad(weight: Tensor) -> bool:
    """Whether a gradient of these weights will be needed, and computed in bfloat16."""
    return torch.is_grad_enabled() and weight.requires_grad and _dtype(weight) is torch.bfloat16


def swap_layers(network: nn.Module, classes: Mapping[type[nn.Module], type[nn.Module]]) -> None:
    """Replace the class of layers in place; weights, buffers and names stay.

    The new class only adds methods, so nothing is built or initialised again.
    """
    for layer in network.modules():
        if type(layer) in classes:
            layer.__class__ = classes[type(layer)]


def _dtype(x: Tensor) -> torch.dtype:
    """The precision of convolutions: autocast's choice where it is on."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


class AsLinear(torch.autograd.Function):
    """A convolution of which each output pixel sees the whole map, as a fully connected layer.

    apply(x (n, in, H, W), weight (out, in, h, w), window) -> (n, out, *output), channels last.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, window: KernelWindow) -> Tensor:
        dtype = _dtype(x)
        count, _, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(count, -1).to(dtype)
        kernel = window.of(weight).to(dtype)
        above, left = window.padding
        parts = [
            (slice(top, top + height), slice(start, start + width))
            for top in range(above, above - window.output[0] * window.stride[0], -window.stride[0])
            for start in range(left, left - window.output[1] * window.stride[1], -window.stride[1])
        ]
        matrix = torch.cat([kernel[:, rows, columns].flatten(1) for rows, columns in parts])
        ctx.save_for_backward(pixels, matrix, weight)
        ctx.shape, ctx.dtype, ctx.window, ctx.parts = x.shape, x.dtype, window, parts
        return (pixels @ matrix.t()).view(count, *window.output, -1).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        pixels, matrix, weight = ctx.saved_tensors
        count, channels, height, width = ctx.shape
        grad = grad.permute(0, 2, 3, 1).reshape(count, -1)
        x_grad = weight_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = (grad @ matrix).view(count, height, width, channels).permute(0, 3, 1, 2)
            x_grad = x_grad.to(ctx.dtype)
        if ctx.needs_input_grad[1]:
            # a gradient in another order would be copied
            weight_grad = torch.zeros_like(weight, memory_format=torch.channels_last)
            kernel = ctx.window.of(weight_grad)
            products = (grad.t() @ pixels).view(len(ctx.parts), -1, height, width, channels)
            for (rows, columns), product in zip(ctx.parts, products, strict=True):
                kernel[:, rows, columns] += product
        return x_grad, weight_grad, None


class Im2colGrad(torch.autograd.Function):
    """A convolution whose kernel's gradient is a product with the patches under the kernel.

    apply(x (n, in, H, W), weight (out, in, h, w), window) -> (n, out, *output).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, window: KernelWindow) -> Tensor:
        dtype = _dtype(x)
        x, kernel = x.to(dtype), window.of(weight).to(dtype).permute(0, 3, 1, 2)
        ctx.save_for_backward(x, kernel, weight)
        ctx.window = window
        return F.conv2d(x, kernel, None, window.stride, window.padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, kernel, weight = ctx.saved_tensors
        window: KernelWindow = ctx.window
        x_grad = weight_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = torch.ops.aten.convolution_backward(
                grad, x, kernel, None, window.stride, window.padding, (1, 1), False, (0, 0), 1,
                (True, False, False),
            )[0]  # fmt: skip
        if ctx.needs_input_grad[1]:
            out, channels, height, width = kernel.shape
            grad = grad.permute(0, 2, 3, 1).reshape(-1, out)
            product = grad.t() @ _patches(x, (height, width), window)
            weight_grad = torch.zeros_like(weight, memory_format=torch.channels_last)
            window.of(weight_grad).copy_(product.view(out, height, width, channels))
        return x_grad, weight_grad, None


def _patches(x: Tensor, kernel: Pair, window: KernelWindow) -> Tensor:
    """The patches under a kernel (height, width): (n * output pixels, height * width * in)."""
    above, left = window.padding
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, left, left, above, above))
    (height, width), (down, across) = kernel, window.stride
    patches = padded.unfold(1, height, down).unfold(2, width, across)
    return patches.permute(0, 1, 2, 4, 5, 3).reshape(len(x) * math.prod(window.output), -1)
