"""torchvision's published augmentation policies, with one addressed draw an image.

torchvision draws from torch's generator of the processor; for each image that generator begins at
a number of (seed, epoch, row, view), and is put back afterwards.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from reprise.data.augment import DRAWS, sent
from reprise.data.randomness import uniform
from reprise.params import Augment


def keys_of(
    rows: NDArray[np.int64], recipe: Augment, seed: int, epoch: int, view: int
) -> NDArray[np.int64] | None:
    """Where the generator begins for each of `rows`, (n,); None for a recipe without a policy."""
    if not recipe.policy:
        return None
    drawn = uniform(seed, epoch, rows, view, DRAWS + 1)[:, DRAWS]
    numbers: NDArray[np.int64] = (drawn * 2**53).astype(np.int64)
    return numbers


def apply(images: Tensor, names: Sequence[str], keys: NDArray[np.int64]) -> Tensor:
    """Changed copies of images (n, 3, H, W), uint8 or float in 0..255; the result is uint8."""
    whole = images.round().clamp(0, 255).to(torch.uint8)
    before = torch.random.get_rng_state()
    waits = images.device.type != "cpu"
    try:
        changed = []
        with NoWait() if waits else nullcontext():
            for image, key in zip(whole, keys.tolist(), strict=True):
                torch.default_generator.manual_seed(key)
                for name in names:
                    image = transform(name)(image)
                changed.append(image)
    finally:
        torch.random.set_rng_state(before)
    return torch.stack(changed)


class NoWait(TorchFunctionMode):
    """Small tensors that torchvision makes of numbers reach a GPU without waiting for it.

    It makes matrices and fill values with `torch.tensor(..., device=...)`, or on the processor and
    assigns them; either copy waits until the GPU has done all that it was given before.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = dict(kwargs or {})
        if function is torch.tensor and given.get("device") is not None:
            device = torch.device(given.pop("device"))
            return sent(torch.tensor(*args, **given), device)
        if function is Tensor.__setitem__:
            image, where, value = args
            if isinstance(value, Tensor):
                args = (image, where, sent(value, image.device))
            elif isinstance(where, Tensor) and where.dtype is torch.bool:
                return image.masked_fill_(where, value)  # a mask may have to be counted
        return function(*args, **given)


@cache
def transform(name: str) -> Any:
    """A policy by its name in params.yaml.

    - trivial_wide: TrivialAugmentWide (Mueller and Hutter 2021), torchvision's values
    - autoaugment_cifar10: AutoAugment's policy for CIFAR-10 (Cubuk et al. 2019)
    - cutout: one square blanked (DeVries and Taylor 2017), a quarter of the side, each time
    - blur: a 3 x 3 Gaussian of sigma 1 to 2, for one image in five (byol-pytorch's)
    """
    from torchvision.transforms import v2  # takes a second, and most jobs need none of it

    match name:
        case "trivial_wide":
            return v2.TrivialAugmentWide()
        case "autoaugment_cifar10":
            return v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
        case "cutout":
            return v2.RandomErasing(p=1, scale=(1 / 16, 1 / 16), ratio=(1, 1), value=0)
    return v2.RandomApply([v2.GaussianBlur(3, (1.0, 2.0))], p=0.2)
