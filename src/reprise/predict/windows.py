"""Images of any size for a network of one size: overlapping windows, and the mean of their logits.

A window has the size of the training images, and shows as much as one of them did: where those were
cut from larger pictures, windows are cut from an image at its own scale; where they were scaled, an
image is scaled until it just covers a window.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from reprise.datasets.prepared import Bytes
from reprise.errors import RepriseError
from reprise.images import cover_size

MAX_ASPECT_RATIO = 8  # of an image that is scaled until it covers a window
MAX_PIXELS = 2**26  # of a scaled image: the logits of seven classes are 2 GB
COVER: Final = "cover"
Scale = float | Literal["cover"]  # scaled pixels for a pixel of the image, or as many as needed
Offset = tuple[int, int]  # top and left


class Windows:
    """An image (H, W, 3) uint8 in windows of `shape` (height, width), and the sum of their logits.

    size: of the image; scaled_size: after scaling, height and width; offsets: of the windows, which
    overlap by half; pixels: the scaled image, continued by its reflection to the size of a window
    where it is smaller. Raises RepriseError, which begins with `source`, if the scaled image is too
    large or too small, or one side too long to be scaled until it covers a window.
    """

    def __init__(self, image: Bytes, shape: tuple[int, int], scale: Scale, source: str) -> None:
        self.size = (image.shape[0], image.shape[1])
        self.shape = shape
        self.scaled_size = height, width = scaled_size(self.size, shape, scale, source)
        if self.scaled_size != self.size:
            scaled = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
            image = np.asarray(scaled)
        missing = (max(0, shape[0] - height), max(0, shape[1] - width))
        self.margin = (missing[0] // 2, missing[1] // 2)
        pads = [(n // 2, n - n // 2) for n in missing]
        self.pixels: Bytes = np.pad(image, [*pads, (0, 0)], "symmetric") if any(missing) else image
        tops, lefts = (starts(*sides) for sides in zip(self.pixels.shape[:2], shape, strict=True))
        self.offsets: list[Offset] = [(top, left) for top in tops for left in lefts]
        self._sums: Tensor | None = None

    def window(self, offset: Offset) -> Bytes:
        """The pixels of the window at an offset, (*shape, 3) uint8."""
        top, left = offset
        return self.pixels[top : top + self.shape[0], left : left + self.shape[1]]

    def add(self, logits: Tensor, offset: Offset) -> None:
        """Add the logits (classes, *shape) of the window at an offset."""
        if self._sums is None:
            # the last channel counts the windows at each pixel
            channels = logits.shape[0] + 1
            self._sums = torch.zeros(channels, *self.pixels.shape[:2], device=logits.device)
        top, left = offset
        region = self._sums[:, top : top + self.shape[0], left : left + self.shape[1]]
        region[:-1] += logits
        region[-1] += 1

    def mean_logits(self) -> Tensor:
        """Logits (classes, H, W) of the image: the mean where windows overlap.

        All windows must have been added; the sums of their logits are freed.
        """
        assert self._sums is not None, "no window was added"
        sums, self._sums = self._sums, None
        top, left = self.margin
        height, width = self.scaled_size
        mean = sums[:-1].div_(sums[-1])[:, top : top + height, left : left + width]
        if self.scaled_size != self.size:
            mean = F.interpolate(mean[None], self.size, mode="bilinear", align_corners=False)[0]
        return mean


def image_logits(
    network: Callable[[Bytes], Tensor], images: Iterable[Windows], batch_size: int
) -> Iterator[Tensor]:
    """The logits (classes, H, W) of each image, in order; `batch_size` windows at a time.

    network: windows (n, height, width, 3) uint8 -> logits (n, classes, height, width). A batch has
    windows of several images where they are small.
    """
    stream = ((image, offset) for image in images for offset in image.offsets)
    while batch := list(islice(stream, batch_size)):
        logits = network(np.stack([image.window(offset) for image, offset in batch]))
        for (image, offset), own_logits in zip(batch, logits, strict=True):
            image.add(own_logits, offset)
            if offset == image.offsets[-1]:
                yield image.mean_logits()


def label_map(logits: Tensor) -> NDArray[np.int64]:
    """Class ids (H, W) of an image by its logits (classes, H, W)."""
    ids: NDArray[np.int64] = logits.argmax(dim=0).cpu().numpy()
    return ids


def scaled_size(
    size: tuple[int, int], shape: tuple[int, int], scale: Scale, source: str
) -> tuple[int, int]:
    """Height and width of an image of `size` (height, width), scaled for windows of `shape`.

    Raises RepriseError as `Windows` does.
    """
    shown = f"{source}: {size[1]} x {size[0]} pixels"
    if isinstance(scale, str):
        if max(size) > MAX_ASPECT_RATIO * min(size):
            raise RepriseError(
                f"{shown}; the longer side may be at most {MAX_ASPECT_RATIO} times the shorter "
                "one; crop the image"
            )
        width, height = cover_size((size[1], size[0]), *shape)
        return height, width
    height, width = (round(scale * side) for side in size)
    if min(height, width) < 1:
        raise RepriseError(f"{shown}, {width} x {height} with --scale {scale:g}; raise it")
    if height * width > MAX_PIXELS:
        raise RepriseError(
            f"{shown}, {width} x {height} with --scale {scale:g}; at most {MAX_PIXELS:,} pixels in "
            "all are supported: crop the image, or lower --scale"
        )
    return height, width


def starts(length: int, window: int) -> list[int]:
    """The starts of evenly spaced windows that cover `length` and overlap by at least half."""
    rest = length - window
    steps = math.ceil(2 * rest / window)
    return [round(step * rest / steps) for step in range(steps + 1)] if rest else [0]
