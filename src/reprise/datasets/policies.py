"""Published augmentation policies, drawn for each image and applied by operation over a batch.

The draws are torchvision's: its spaces, from a generator with the image's seed, in its order of
calls. All images of a batch for which an operation was drawn go through it together.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reprise.datasets.device import to_device
from reprise.datasets.operations import OPERATIONS

Drawn = tuple[float, ...]  # the values of an operation for one image
Operation = tuple[str, Drawn]
Size = tuple[int, int]  # height, width
BLUR_P, BLUR_SIGMA = (
    0.2,
    (1.0, 2.0),
)  # byol-pytorch: GaussianBlur((3, 3), (1, 2)), one image in five
CUTOUT_AREA = 1 / 16  # of the image: a quarter of the side
CUTOUT_PIXELS = 16


def apply_policies(images: Tensor, names: Sequence[str], seeds: NDArray[np.int64]) -> Tensor:
    """Copies of images (n, 3, H, W) in 0..255, changed by the policies named, as uint8.

    - trivial_wide: TrivialAugmentWide, Mueller and Hutter 2021, torchvision's values
    - autoaugment_cifar10: AutoAugment, Cubuk et al. 2019, torchvision's policies for CIFAR-10
    - cutout: DeVries and Taylor 2017: a square of a quarter of the side becomes black
    - cutout_16: a square of 16 pixels, which may begin 8 outside, becomes the mean of all values of
      the image (`Cutout()` of pytorch-auto-augment, as used by the CS6550 homework)
    - cutout_16_slip: the same with that library's slip: its left edge is where its top edge is,
      unless it begins outside; so it may be wider than 16 pixels, or empty
    - blur: of byol-pytorch: 3 x 3 pixels, sigma 1 to 2, one image in five

    seeds: (n,), of the generator that an image's draws come from.
    """
    if images.dtype != torch.uint8:
        images = images.round().clamp(0, 255).to(torch.uint8)
    size = (images.shape[-2], images.shape[-1])
    changed = images.clone(memory_format=torch.contiguous_format)
    generator = Generator()
    rounds: list[dict[str, list[tuple[int, Drawn]]]] = []
    for row, seed in enumerate(seeds.tolist()):
        generator.manual_seed(seed)
        operations = [one for name in names for one in draw(name, generator, size)]
        for number, (operation, values) in enumerate(operations):
            if number == len(rounds):
                rounds.append(defaultdict(list))
            rounds[number][operation].append((row, values))
    for groups in rounds:
        for operation, drawn in groups.items():
            rows = torch.tensor([row for row, _ in drawn])
            magnitudes = torch.tensor([values for _, values in drawn], dtype=torch.float64)
            changed = _change(changed, rows, OPERATIONS[operation], magnitudes)
    return changed


def _change(
    images: Tensor, rows: Tensor, operation: Callable[[Tensor, Tensor], Tensor], values: Tensor
) -> Tensor:
    """The images, those of `rows` replaced by what an operation makes of them; in place."""
    if len(rows) == len(images):
        return operation(images, values)
    on_device = to_device(rows, images.device)
    results = operation(images.index_select(0, on_device), values)
    if images.device.type != "cpu":
        return images.index_copy_(0, on_device, results)
    for row, result in zip(rows.tolist(), results, strict=True):
        images[row] = result  # index_copy_ takes ten times as long for bytes on CPU
    return images


def draw(name: str, generator: Generator, size: Size) -> list[Operation]:
    """What a policy does to one image of (height, width), drawn from a generator."""
    match name:
        case "trivial_wide":
            space = _space(name, size)
            operations = list(space)
            operation = operations[_integer(generator, 0, len(operations))]
            magnitudes, signed = space[operation]
            return [(operation, _magnitude(generator, magnitudes, signed))]
        case "autoaugment_cifar10":
            space, policies = _space(name, size), _cifar10_policies()
            drawn: list[Operation] = []
            for operation, probability, level in policies[_integer(generator, 0, len(policies))]:
                if _uniform(generator) <= probability:
                    magnitudes, signed = space[operation]
                    drawn.append((operation, _magnitude(generator, magnitudes, signed, level)))
            return drawn
        case "blur":
            if torch.rand(1, generator=generator).item() >= BLUR_P:
                return []
            return [("Blur", (torch.empty(1).uniform_(*BLUR_SIGMA, generator=generator).item(),))]
    return [_cutout(name, generator, size)]


def _cutout(name: str, generator: Generator, size: Size) -> Operation:
    """Top, bottom, left and right of a square, and whether it becomes the mean of the image."""
    height, width = size
    if name == "cutout":  # the calls of torchvision's RandomErasing with p, scale and ratio fixed
        torch.rand(1, generator=generator)
        for _ in range(2):
            torch.empty(1).uniform_(generator=generator)
        side = round(math.sqrt(height * width * CUTOUT_AREA))
        top, left = (_integer(generator, 0, length - side + 1) for length in size)
        return "Cutout", (top, top + side, left, left + side, 0)
    top, left = (
        _integer(generator, -CUTOUT_PIXELS // 2, length - CUTOUT_PIXELS) for length in size
    )
    bottom, right = top + CUTOUT_PIXELS, left + CUTOUT_PIXELS
    top, left = max(0, top), max(0, left)
    if name == "cutout_16_slip" and left:
        left = top
    return "Cutout", (top, bottom, left, right, 1)


@cache
def _space(name: str, size: Size) -> dict[str, tuple[tuple[float, ...], bool]]:
    """torchvision's space of a policy: an operation's magnitudes, and whether they have a sign."""
    from torchvision.transforms import v2  # takes a second to import, and few jobs need it

    kind, levels = (v2.TrivialAugmentWide, 31) if name == "trivial_wide" else (v2.AutoAugment, 10)
    space = {}
    for operation, (magnitudes, signed) in kind._AUGMENTATION_SPACE.items():
        values = magnitudes(levels, *size)
        space[operation] = (() if values is None else tuple(values.tolist()), signed)
    return space


@cache
def _cifar10_policies() -> Any:
    from torchvision.transforms import v2

    return v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)._policies


def _magnitude(
    generator: Generator, magnitudes: Sequence[float], signed: bool, level: int | None = None
) -> Drawn:
    if not magnitudes:
        return (0.0,)
    level = _integer(generator, 0, len(magnitudes)) if level is None else level
    negative = signed and _uniform(generator) <= 0.5
    return (-magnitudes[level] if negative else magnitudes[level],)


def _integer(generator: Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high, (), generator=generator))


def _uniform(generator: Generator) -> float:
    return torch.rand((), generator=generator).item()
