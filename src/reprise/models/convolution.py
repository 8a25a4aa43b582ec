"""Convolutions on small feature maps: torch's results, by products of matrices.

On a processor oneDNN multiplies with the zeros around a map too, which is most of the work where
a map has four pixels, and in bfloat16 it takes up to five times as long for the gradient of a
kernel as for the convolution: seen with torch 2.15; `make bench ONLY=convolution` measures it.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Pair = tuple[int, int]
UNFOLDED = 16  # answers at most where a kernel moves by one pixel: see `CroppedConv2d`


class Part(NamedTuple):
    """The part of a kernel that meets pixels, how it moves, and how many pixels it answers."""

    rows: slice
    columns: slice
    stride: Pair
    padding: Pair
    answers: Pair

    def of(self, kernel: Tensor) -> Tensor:
        """This part of a kernel (out, in, height, width), as (out, rows, columns, in)."""
        return kernel[:, :, self.rows, self.columns].permute(0, 2, 3, 1)


class CroppedConv2d(nn.Conv2d):
    """A convolution whose kernel may reach beyond the whole feature map.

    Only the part of the kernel that can meet a value is used; the result is the same. A 3 x 3
    kernel on a map of one pixel multiplies with zeros but for its middle. And in bfloat16 oneDNN
    leaves the gradient of the rest unwritten: whatever lay in memory would become weights.

    On a processor, maps of which every answer sees all pixels become one product of matrices
    (`Connected`), and in bfloat16 the gradient of a kernel on other small maps is one too
    (`Unfolded`): it was faster up to 16 answers of a kernel that moves by one pixel, and up to 64
    of one that moves by two. Kernels with dilation or groups are torch's.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.dilation != (1, 1):
            return super().forward(x)
        part = self._part(x)
        y = self._by_products(x, part)
        if y is not None:
            return y if self.bias is None else y + self.bias.to(y.dtype)[:, None, None]
        kernel = self.weight[:, :, part.rows, part.columns]
        return F.conv2d(x, kernel, self.bias, self.stride, part.padding, 1, self.groups)

    def _by_products(self, x: Tensor, part: Part) -> Tensor | None:
        """The convolution without its bias, where products of matrices are faster; else None."""
        if x.device.type != "cpu" or self.groups > 1:
            return None
        pixels, (down, across) = part.answers[0] * part.answers[1], part.stride
        y: Tensor | None = None
        if sees_all(x.shape[-2:], part):
            y = Connected.apply(x, self.weight, part)
        elif learns_in_bfloat16(self.weight) and pixels <= UNFOLDED * down * across:
            y = Unfolded.apply(x, self.weight, part)
        return y

    def _part(self, x: Tensor) -> Part:
        assert not isinstance(self.padding, str), "padding is a number of pixels here"
        axes = zip(x.shape[-2:], self.kernel_size, self.stride, self.padding, strict=True)
        (rows, above, high), (columns, left, wide) = (met(*axis) for axis in axes)
        stride: Pair = self.stride  # type: ignore[assignment]
        return Part(rows, columns, stride, (above, left), (high, wide))


def met(side: int, kernel: int, stride: int, padding: int) -> tuple[slice, int, int]:
    """Along one axis, the part of a kernel that meets pixels, its padding, and the answers.

    The whole kernel and padding where the part would need another padding on either side.
    """
    answers = (side + 2 * padding - kernel) // stride + 1
    first = max(0, padding - (answers - 1) * stride)
    stop = min(kernel, padding + side)
    left = padding - first
    if left < 0 or (side + 2 * left - (stop - first)) // stride + 1 != answers:
        return slice(0, kernel), padding, answers
    return slice(first, stop), left, answers


def sees_all(size: torch.Size, part: Part) -> bool:
    """Whether each answer of the kernel is made of every pixel of a map of this size."""
    kernel = (part.rows.stop - part.rows.start, part.columns.stop - part.columns.start)
    axes = zip(size, kernel, part.stride, part.padding, part.answers, strict=True)
    return all(
        (answers - 1) * stride <= padding and padding + side <= reach
        for side, reach, stride, padding, answers in axes
    )


def learns_in_bfloat16(weight: Tensor) -> bool:
    """Whether a gradient of these weights will be wanted, and computed in bfloat16."""
    return torch.is_grad_enabled() and weight.requires_grad and precision(weight) is torch.bfloat16


def precision(x: Tensor) -> torch.dtype:
    """In what convolutions are computed: autocast's choice where it is on."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


class Connected(torch.autograd.Function):
    """A convolution of which each answer sees the whole map, as a fully connected layer.

    apply(x (n, in, H, W), weight (out, in, h, w), part) -> (n, out, *part.answers), channels last.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, part: Part) -> Tensor:
        dtype = precision(x)
        count, _, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(count, -1).to(dtype)
        kernel = part.of(weight).to(dtype)
        above, left = part.padding
        windows = [
            (slice(top, top + height), slice(start, start + width))
            for top in range(above, above - part.answers[0] * part.stride[0], -part.stride[0])
            for start in range(left, left - part.answers[1] * part.stride[1], -part.stride[1])
        ]
        matrix = torch.cat([kernel[:, rows, columns].flatten(1) for rows, columns in windows])
        ctx.save_for_backward(pixels, matrix, weight)
        ctx.shape, ctx.dtype, ctx.part, ctx.windows = x.shape, x.dtype, part, windows
        return (pixels @ matrix.t()).view(count, *part.answers, -1).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        pixels, matrix, weight = ctx.saved_tensors
        count, channels, height, width = ctx.shape
        answers = gradient.permute(0, 2, 3, 1).reshape(count, -1)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = (answers @ matrix).view(count, height, width, channels).permute(0, 3, 1, 2)
            of_x = of_x.to(ctx.dtype)
        if ctx.needs_input_grad[1]:
            of_weight = zeros_channels_last(weight)
            kernel = ctx.part.of(of_weight)
            products = (answers.t() @ pixels).view(len(ctx.windows), -1, height, width, channels)
            for (rows, columns), product in zip(ctx.windows, products, strict=True):
                kernel[:, rows, columns] += product
        return of_x, of_weight, None


class Unfolded(torch.autograd.Function):
    """A convolution whose kernel's gradient is a product with the patches that it was laid on.

    apply(x (n, in, H, W), weight (out, in, h, w), part) -> (n, out, *part.answers).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, part: Part) -> Tensor:
        dtype = precision(x)
        x, kernel = x.to(dtype), part.of(weight).to(dtype).permute(0, 3, 1, 2)
        ctx.save_for_backward(x, kernel, weight)
        ctx.part = part
        return F.conv2d(x, kernel, None, part.stride, part.padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, kernel, weight = ctx.saved_tensors
        part: Part = ctx.part
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = torch.ops.aten.convolution_backward(
                gradient, x, kernel, None, part.stride, part.padding, (1, 1), False, (0, 0), 1,
                (True, False, False),
            )[0]  # fmt: skip
        if ctx.needs_input_grad[1]:
            out, channels, height, width = kernel.shape
            answers = gradient.permute(0, 2, 3, 1).reshape(-1, out)
            product = answers.t() @ patches(x, (height, width), part)
            of_weight = zeros_channels_last(weight)
            part.of(of_weight).copy_(product.view(out, height, width, channels))
        return of_x, of_weight, None


def patches(x: Tensor, kernel: Pair, part: Part) -> Tensor:
    """What a kernel (height, width) is laid on: (n * answers, height * width * channels)."""
    above, left = part.padding
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, left, left, above, above))
    image, row, column, channel = padded.stride()
    down, across = part.stride
    windows = padded.as_strided(
        (len(x), *part.answers, *kernel, x.shape[1]),
        (image, row * down, column * across, row, column, channel),
    )
    return windows.reshape(len(x) * part.answers[0] * part.answers[1], -1)


def zeros_channels_last(weight: Tensor) -> Tensor:
    """Zeros of the shape and type of a kernel; a gradient in another order would be copied."""
    return torch.zeros_like(weight, memory_format=torch.channels_last)
