"""Losses of label maps, by their names in params.yaml."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

CPU = torch.device("cpu")
Loss = Callable[[Tensor, Tensor], Tensor]  # logits (n, C, H, W), ids (n, H, W) int64 -> a number


def loss_of(
    name: str,
    maps: NDArray[np.uint8],
    train: NDArray[np.int64],
    classes: int,
    ignore: int,
    device: torch.device = CPU,
) -> Loss:
    """The loss that a recipe names.

    - cross_entropy: the mean over the pixels that are not ignored
    - weighted: each pixel weighs 1 / share of its class in the train role, and the sum is divided
      by that of the weights, as CrossEntropyLoss(weight) does; a class without a pixel weighs 0
    - binary: binary cross-entropy of each class with its one-hot map, the mean over all; an ignored
      pixel is 0 in every map (CS6550's starter)

    maps: label maps (n, H, W); train: the rows of the train role; device: where the loss is asked
    for. A GPU never has to be waited for.
    """
    if name == "binary":
        return lambda logits, wanted: binary(logits, wanted, classes)
    if name == "weighted":
        weights = inverse_shares((maps[row] for row in train), classes).to(device)
        return lambda logits, wanted: weighted(logits, wanted, ignore, weights)
    return lambda logits, wanted: plain(logits, wanted, ignore)


def plain(logits: Tensor, wanted: Tensor, ignore: int) -> Tensor:
    """Cross-entropy, the mean over the pixels that are not ignored."""
    # the mean by hand: on a GPU, cross_entropy's own is not deterministic for label maps
    losses = F.cross_entropy(logits, wanted, ignore_index=ignore, reduction="none")
    return losses.sum() / (wanted != ignore).sum().clamp(min=1)


def weighted(logits: Tensor, wanted: Tensor, ignore: int, weights: Tensor) -> Tensor:
    """The same with a weight for each class, (classes,)."""
    losses = F.cross_entropy(logits, wanted, weights, ignore_index=ignore, reduction="none")
    counted = wanted != ignore
    of_pixels = weights[wanted.where(counted, 0)]
    # picking by a mask waits for a GPU, which has to say how many there are; adding zeros instead
    # rounds otherwise, and on a processor trained weights would change
    on_processor = wanted.device.type == "cpu"
    kept = of_pixels[counted] if on_processor else of_pixels.where(counted, 0)
    return losses.sum() / kept.sum().clamp(min=1e-12)


def binary(logits: Tensor, wanted: Tensor, classes: int) -> Tensor:
    """Binary cross-entropy with one-hot maps; an id outside the classes is in none of them."""
    numbers = torch.arange(classes, device=wanted.device)[None, :, None, None]
    return F.binary_cross_entropy_with_logits(logits, (wanted[:, None] == numbers).float())


def inverse_shares(maps: Iterable[NDArray[np.uint8]], classes: int) -> Tensor:
    """1 / share of each class among the pixels of all classes, (classes,) float32."""
    counts = sum(np.bincount(one.ravel(), minlength=256)[:classes] for one in maps)
    shares = np.asarray(counts) / max(1, int(np.sum(counts)))
    found = np.divide(1, shares, out=np.zeros(classes), where=shares > 0)
    return torch.from_numpy(found).float()
