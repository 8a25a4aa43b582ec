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
    - weighted_cross_entropy: each pixel weighs 1 / share of its class in the train split, and the
      sum is divided by that of the weights, as CrossEntropyLoss(weight) does; a class without a
      pixel weighs 0
    - bce: binary cross-entropy of each class with its one-hot map, the mean over all; an ignored
      pixel is 0 in every map (CS6550's starter)

    maps: label maps (n, H, W); train: the rows of the train split; device: of the logits. No loss
    waits for a GPU.
    """
    if name == "bce":
        return lambda logits, target: bce(logits, target, classes)
    if name == "weighted_cross_entropy":
        weights = inverse_shares((maps[row] for row in train), classes).to(device)
        return lambda logits, target: weighted_cross_entropy(logits, target, ignore, weights)
    return lambda logits, target: cross_entropy(logits, target, ignore)


def cross_entropy(logits: Tensor, target: Tensor, ignore: int) -> Tensor:
    """Cross-entropy, the mean over the pixels that are not ignored."""
    # the mean by hand: on a GPU, that of F.cross_entropy is not deterministic for label maps
    losses = F.cross_entropy(logits, target, ignore_index=ignore, reduction="none")
    return losses.sum() / (target != ignore).sum().clamp(min=1)


def weighted_cross_entropy(logits: Tensor, target: Tensor, ignore: int, weights: Tensor) -> Tensor:
    """The same with a weight for each class, (classes,)."""
    losses = F.cross_entropy(logits, target, weights, ignore_index=ignore, reduction="none")
    counted = target != ignore
    pixel_weights = weights[target.where(counted, 0)]
    # a mask as index waits for a GPU, which has to count; the zeros that replace it would change
    # the rounding of the sum, and with it the weights trained on CPU
    on_cpu = target.device.type == "cpu"
    included = pixel_weights[counted] if on_cpu else pixel_weights.where(counted, 0)
    return losses.sum() / included.sum().clamp(min=1e-12)


def bce(logits: Tensor, target: Tensor, classes: int) -> Tensor:
    """Binary cross-entropy with one-hot maps; an id outside the classes is in none of them."""
    ids = torch.arange(classes, device=target.device)[None, :, None, None]
    return F.binary_cross_entropy_with_logits(logits, (target[:, None] == ids).float())


def inverse_shares(maps: Iterable[NDArray[np.uint8]], classes: int) -> Tensor:
    """1 / share of each class among the pixels of all classes, (classes,) float32."""
    counts = sum(np.bincount(labels.ravel(), minlength=256)[:classes] for labels in maps)
    shares = np.asarray(counts) / max(1, int(np.sum(counts)))
    inverse = np.divide(1, shares, out=np.zeros(classes), where=shares > 0)
    return torch.from_numpy(inverse).float()
