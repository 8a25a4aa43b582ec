"""The operations of augmentation policies, with a magnitude for each image of a batch.

They compute what torchvision's operations of the same names do to one image, on the device of the
images and without waiting for a GPU.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from reprise.datasets.device import to_device

LUMA = (0.2989, 0.587, 0.114)  # of torchvision's rgb_to_grayscale


# each operation: images (n, 3, H, W) uint8, and what was drawn, (n, k) float64 on the CPU -> uint8;
# it may write into the images that it is given


def _affine(images: Tensor, matrices: Tensor) -> Tensor:
    """Nearest pixels at (n, 2, 3) maps from output to input coordinates around the center; else 0.

    In the order of operations of torchvision's `_affine_grid`, for the same rounding.
    """
    height, width = images.shape[2:]
    maps = matrices.float() / torch.tensor([[0.5 * width], [0.5 * height]])
    by_x, by_y, offset = to_device(maps, images.device)[..., None].unbind(dim=2)
    x, y = (_centers(side, images.device) for side in (width, height))
    grid = (by_y * y)[..., None] + (by_x * x)[:, :, None]
    grid = grid.add_(offset[..., None]).permute(0, 2, 3, 1)
    moved = F.grid_sample(images.float(), grid, "nearest", "zeros", align_corners=False)
    return _to_bytes(moved)


def _moved(matrix: Callable[[float, float, float], Sequence[float]]) -> Callable[..., Tensor]:
    """The operation with the map that a magnitude gives, of an image of (height, width)."""

    def operation(images: Tensor, magnitudes: Tensor) -> Tensor:
        height, width = images.shape[2:]
        maps = [matrix(value, height, width) for value in magnitudes[:, 0].tolist()]
        return _affine(images, torch.tensor(maps, dtype=torch.float64).view(-1, 2, 3))

    return operation


def _rotation(degrees: float, height: float, width: float) -> Sequence[float]:
    cos, sin = math.cos(math.radians(-degrees)), math.sin(math.radians(-degrees))
    return (cos, sin, 0, -sin, cos, 0)


def _brightness(images: Tensor, magnitudes: Tensor) -> Tensor:
    return _to_bytes(images.float().mul_(_factors(1 + magnitudes, images)))


def _contrast(images: Tensor, magnitudes: Tensor) -> Tensor:
    mean = _gray(images).mean(dim=(1, 2, 3), keepdim=True)
    return _blend(images, mean, magnitudes)


def _saturation(images: Tensor, magnitudes: Tensor) -> Tensor:
    return _blend(images, _gray(images), magnitudes)


def _blend(images: Tensor, others: Tensor, magnitudes: Tensor) -> Tensor:
    values = images.float().mul_(_factors(1 + magnitudes, images))
    return _to_bytes(values.addcmul_(others, _factors(-magnitudes, images)))


def _sharpness(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Each inner pixel, moved away from the mean of 3 x 3 pixels in which it weighs 5 of 13."""
    if min(images.shape[2:]) <= 2:
        return images
    wide = images.short()
    inner = wide[:, :, 1:-1, 1:-1]
    rows = (wide[:, :, :-2] + wide[:, :, 1:-1]).add_(wide[:, :, 2:])
    sums = (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:]).add_(inner, alpha=4)
    differences = sums.float().mul_(1 / 13).round_().sub_(inner)
    sharpened = inner.float().addcmul_(differences, _factors(-magnitudes, images))
    result = images.clone()
    result[:, :, 1:-1, 1:-1] = _to_bytes(sharpened)
    return result


def _posterize(images: Tensor, magnitudes: Tensor) -> Tensor:
    bits = 8 - magnitudes.int()
    masks = (255 >> bits << bits).to(torch.uint8)
    return images & to_device(masks, images.device)[..., None, None]


def _solarize(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Values of at least the threshold are inverted: 255 - value flips all bits."""
    thresholds = (255 * magnitudes.float()).ceil().short()
    return images ^ _byte_mask(images >= to_device(thresholds, images.device)[..., None, None])


def _autocontrast(images: Tensor, magnitudes: Tensor) -> Tensor:
    least, most = (f((2, 3), keepdim=True).float() for f in (images.amin, images.amax))
    scale = (most - least) * (1 / 255)
    scale, least = scale.where(most > least, 1), least.where(most > least, 0)
    return _to_bytes(images.float().sub_(least).div_(scale))


def _equalize(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Pillow's histogram equalization: of each channel."""
    index = images.flatten(2).long()
    counts = index.new_zeros(*index.shape[:2], 256)
    counts.scatter_add_(2, index, counts.new_ones(1).expand_as(index))
    sums = counts.cumsum(dim=-1)
    largest = counts.gather(-1, sums.argmax(dim=-1, keepdim=True))
    step = (index.shape[2] - largest) // 255
    values = ((sums + step // 2) // step.clamp(min=1)).clamp_(0, 255).roll(1, dims=-1)
    values[..., :1] = 0
    values = values.where(step > 0, torch.arange(256, device=images.device)).to(torch.uint8)
    return values.gather(2, index).view(images.shape)


def _blur(images: Tensor, sigmas: Tensor) -> Tensor:
    """A Gaussian of 3 x 3 pixels with reflected borders."""
    weights = torch.exp(-0.5 * torch.tensor([1.0, 0.0]) / sigmas.float() ** 2)
    weights /= weights @ torch.tensor([[2.0], [1.0]])
    weights = to_device(weights, images.device)[..., None, None]
    side, middle = weights[:, :1], weights[:, 1:]
    pixels = images.float()
    for dim in (2, 3):
        length = pixels.shape[dim]
        first, last = pixels.narrow(dim, 1, 1), pixels.narrow(dim, length - 2, 1)
        padded = torch.cat([first, pixels, last], dim)
        ends = padded.narrow(dim, 0, length) + padded.narrow(dim, 2, length)
        pixels = ends.mul_(side).addcmul_(pixels, middle)
    return _to_bytes(pixels.round_())


def _erase(images: Tensor, edges: Tensor) -> Tensor:
    """Pixels from top to bottom and left to right become 0, or the mean where the fifth is 1."""
    values = _erased_values(images, edges)
    if images.device.type != "cpu":
        return _erase_by_mask(images, edges, values)
    squares = edges[:, :4].int().tolist()  # faster than a mask on CPU
    for image, (top, bottom, left, right), value in zip(images, squares, values, strict=True):
        image[:, top:bottom, left:right] = value
    return images


def _erased_values(images: Tensor, edges: Tensor) -> Tensor:
    """What the pixels of each image become, (n, 1, 1, 1)."""
    if not edges[:, 4].any():
        return torch.zeros(len(images), 1, 1, 1, dtype=torch.uint8, device=images.device)
    # of rows first, because a sum of bytes as int64 takes much longer
    means = images.float().sum(dim=3).double().mean(dim=(1, 2)) / images.shape[3]
    values = means * to_device(edges[:, 4], images.device)
    return values.to(torch.uint8)[:, None, None, None]


def _erase_by_mask(images: Tensor, edges: Tensor, values: Tensor) -> Tensor:
    inside = []
    for dim, first in ((2, 0), (3, 2)):
        places = torch.arange(images.shape[dim], device=images.device)
        begin, end = to_device(edges[:, first : first + 2, None], images.device).unbind(dim=1)
        inside.append((places >= begin) & (places < end))
    mask = _byte_mask(inside[0][:, None, :, None] & inside[1][:, None, None, :])
    return (images & ~mask) | (values & mask)


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Identity": lambda images, magnitudes: images,
    # torchvision shears around the corner, and translates by whole pixels
    "ShearX": _moved(lambda shear, height, width: (1, shear, shear * height / 2, 0, 1, 0)),
    "ShearY": _moved(lambda shear, height, width: (1, 0, 0, shear, 1, shear * width / 2)),
    "TranslateX": _moved(lambda pixels, height, width: (1, 0, -int(pixels), 0, 1, 0)),
    "TranslateY": _moved(lambda pixels, height, width: (1, 0, 0, 0, 1, -int(pixels))),
    "Rotate": _moved(_rotation),
    "Brightness": _brightness,
    "Color": _saturation,
    "Contrast": _contrast,
    "Sharpness": _sharpness,
    "Posterize": _posterize,
    "Solarize": _solarize,
    "AutoContrast": _autocontrast,
    "Equalize": _equalize,
    "Invert": lambda images, magnitudes: images.bitwise_not(),
    "Blur": _blur,
    "Cutout": _erase,
}


def _gray(images: Tensor) -> Tensor:
    """Luma as whole numbers, (n, 1, H, W) float32."""
    red, green, blue = (images[:, channel : channel + 1] for channel in range(3))
    gray = red.mul(LUMA[0]).add_(green, alpha=LUMA[1])
    return gray.add_(blue, alpha=LUMA[2]).floor_()


def _factors(values: Tensor, images: Tensor) -> Tensor:
    """A number for each image, (n, 1, 1, 1) float32 on their device."""
    return to_device(values.float(), images.device)[..., None, None]


def _to_bytes(values: Tensor) -> Tensor:
    """Clipped to 0..255 and cut to whole numbers; by way of int16, four times as fast on CPU."""
    return values.clamp_(0, 255).short().to(torch.uint8)


def _byte_mask(condition: Tensor) -> Tensor:
    """255 where a condition holds, else 0."""
    return condition.to(torch.uint8).neg_()


@cache
def _centers(side: int, device: torch.device) -> Tensor:
    """Pixel centers as seen from the middle of a side, in pixels, (side,)."""
    return torch.linspace((1 - side) * 0.5, (side - 1) * 0.5, side, device=device)
