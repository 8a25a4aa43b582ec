"""Images of any size for a network of one size: overlapping windows, and the mean of their logits.

An image is scaled until it just covers the size of the training images, as those were. A longer
side is covered by windows that overlap by half.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from reprise.datasets.prepared import Bytes
from reprise.errors import RepriseError
from reprise.images import cover_size

MAX_ASPECT_RATIO = 8


@dataclass(frozen=True)
class Windows:
    """An image split into windows.

    size: height and width of the image; scaled_size: of the scaled image that the windows cover;
    offsets: top and left of each window; pixels: (n, height, width, 3) uint8.
    """

    size: tuple[int, int]
    scaled_size: tuple[int, int]
    offsets: list[tuple[int, int]]
    pixels: Bytes


def split(image: Bytes, shape: tuple[int, int], source: str) -> Windows:
    """Split an image (H, W, 3) uint8 into windows of `shape` (height, width) that cover all of it.

    Raises RepriseError, which begins with `source`, if one side is more than MAX_ASPECT_RATIO
    times the other.
    """
    size = (image.shape[0], image.shape[1])
    if max(size) > MAX_ASPECT_RATIO * min(size):
        raise RepriseError(
            f"{source}: {size[1]} x {size[0]} pixels; the longer side may be at most "
            f"{MAX_ASPECT_RATIO} times the shorter one; crop the image"
        )
    width, height = cover_size((size[1], size[0]), *shape)
    if (height, width) != size:
        scaled = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        image = np.asarray(scaled)
    offsets = [(top, left) for top in starts(height, shape[0]) for left in starts(width, shape[1])]
    windows = [image[top : top + shape[0], left : left + shape[1]] for top, left in offsets]
    return Windows(size, (height, width), offsets, np.stack(windows))


def starts(length: int, window: int) -> list[int]:
    """The starts of evenly spaced windows that cover `length` and overlap by at least half."""
    rest = length - window
    steps = math.ceil(2 * rest / window)
    return [round(step * rest / steps) for step in range(steps + 1)] if rest else [0]


def merge(logits: Tensor, windows: Windows) -> Tensor:
    """Class ids (H, W) of the image from the logits (n, classes, h, w) of its windows.

    The logits are averaged where windows overlap.
    """
    height, width = logits.shape[-2:]
    # the last channel counts the windows at each pixel
    sums = torch.zeros(logits.shape[1] + 1, *windows.scaled_size, device=logits.device)
    for window, (top, left) in zip(logits, windows.offsets, strict=True):
        region = sums[:, top : top + height, left : left + width]
        region[:-1] += window
        region[-1] += 1
    mean = (sums[:-1] / sums[-1])[None]
    if windows.scaled_size != windows.size:
        mean = F.interpolate(mean, windows.size, mode="bilinear", align_corners=False)
    return mean[0].argmax(dim=0)
