"""Whether a network has collapsed, that is, gives the same output for every image."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_NORMALIZED_STD = 0.25  # both: see `collapsed`
MIN_RANK = 2.0
MIN_IMAGES = 4  # n points have a rank of n - 1 at most, so fewer always look like a line


def collapse_statistics(projections: Tensor) -> tuple[float, float]:
    """How far a network is from collapse, from its projections (n, d): std and effective rank.

    The std is a mean over dimensions of the l2-normalised projections (1/sqrt(d) when they fill the
    sphere, 0 when all are equal; Chen and He 2021). The effective rank is exp of the entropy of the
    normalised singular values, 1 to d (Roy and Vetterli 2007). Both are nan when a projection is
    not finite, or for a single image.
    """
    unit = F.normalize(projections.float(), dim=1)
    if not unit.isfinite().all() or len(unit) < 2:
        return math.nan, math.nan
    shares = torch.linalg.svdvals(unit - unit.mean(dim=0))
    shares = shares / shares.sum().clamp(min=1e-12)
    entropy = float(torch.special.entr(shares).sum())
    return float(unit.std(dim=0).mean()), math.exp(entropy)


def collapsed(std: float, rank: float, width: int) -> bool:
    """Whether projections of `width` dimensions with these `collapse_statistics` have collapsed.

    They have when they lie in one spot or along one line, or are not finite. The bounds were
    measured on the tiles of preset earth, after one epoch and more:

    - std * sqrt(width) < 0.25. It is 1 when they fill the sphere and at most sqrt(1 - c), c being
      the mean cosine of two images. Networks that learned had 0.54 to 0.97, a random one at least
      0.36, and BYOL without predictor and moving average, which a constant solves best, 0.14 to
      0.16 after one epoch and 0.07 after three.
    - effective rank < 2, or less than half way from 1 to a width below 3: one direction, which the
      std misses when images are at two opposite points, or when the projector ends with batch norm.
      No bound above 2, because images of three kinds, perfectly separated, had 3.5.

    Learning rates far too large left ranks of 2.8 to 3.8; only `knn_accuracy` detects them.
    """
    spot = not std * math.sqrt(width) >= MIN_NORMALIZED_STD  # true for nan
    return spot or rank < min(MIN_RANK, (1 + width) / 2)
