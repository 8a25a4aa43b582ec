"""Images of any size before a network of one size: windows that overlap, and their mean.

An image is scaled until it just covers the size that the network learnt from, as its training
images were; what is longer than that is read in windows that overlap by half.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from reprise.data.course.pictures import covering
from reprise.data.store import Bytes
from reprise.errors import RepriseError

LONGEST = 8  # times its shorter side an image may be long


@dataclass(frozen=True)
class Cut:
    """An image in windows.

    own: its height and width; scaled: those of the image that the windows are cut from; places: top
    and left of each window; windows: (n, height, width, 3) uint8.
    """

    own: tuple[int, int]
    scaled: tuple[int, int]
    places: list[tuple[int, int]]
    windows: Bytes


def cut(image: Bytes, shape: tuple[int, int], where: str) -> Cut:
    """Windows of `shape` (height, width) that cover an image (H, W, 3) as a whole.

    Raises RepriseError, which begins with `where`, for an image that is a mere strip.
    """
    own = (image.shape[0], image.shape[1])
    if max(own) > LONGEST * min(own):
        raise RepriseError(
            f"{where}: {own[1]} x {own[0]} pixels; an image of more than {LONGEST} times its "
            "shorter side is not read, cut it"
        )
    width, height = covering((own[1], own[0]), *shape)
    if (height, width) != own:
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        image = np.asarray(resized)
    places = [(top, left) for top in starts(height, shape[0]) for left in starts(width, shape[1])]
    windows = [image[top : top + shape[0], left : left + shape[1]] for top, left in places]
    return Cut(own, (height, width), places, np.stack(windows))


def starts(length: int, window: int) -> list[int]:
    """Where windows begin that cover a length, evenly, and overlap by half or more."""
    rest = length - window
    count = math.ceil(2 * rest / window)
    return [round(number * rest / count) for number in range(count + 1)] if rest else [0]


def joined(logits: Tensor, cut: Cut) -> Tensor:
    """Class ids (H, W) of the image itself, from the logits (n, classes, h, w) of its windows.

    Where windows overlap their logits are averaged.
    """
    height, width = logits.shape[-2:]
    whole = logits[0][None]
    if len(cut.places) > 1:
        sums = torch.zeros(logits.shape[1] + 1, *cut.scaled, device=logits.device)
        for one, (top, left) in zip(logits, cut.places, strict=True):
            place = sums[:, top : top + height, left : left + width]
            place[:-1] += one
            place[-1] += 1
        whole = (sums[:-1] / sums[-1])[None]
    if cut.scaled != cut.own:
        whole = F.interpolate(whole, cut.own, mode="bilinear", align_corners=False)
    return whole[0].argmax(dim=0)
