"""Batches for a network from the rows of a prepared set."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reprise.data.augment import augment, dihedral, draw, geometry
from reprise.data.store import PreparedSet
from reprise.params import Augment

# what EfficientNet-Lite0's ImageNet weights were trained with
IMAGENET_LITE = ((127 / 255,) * 3, (128 / 255,) * 3)
Rows = NDArray[np.int64]


class Inputs:
    """Images of a set, held as uint8 on the device, given out as normalised float batches.

    image_size: height and width of the batches; normalise: mean and std of each channel.
    """

    def __init__(
        self,
        data: PreparedSet,
        recipe: Augment,
        seed: int,
        device: torch.device,
        image_size: int | None = None,
        normalise: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    ) -> None:
        self.images = torch.from_numpy(np.array(data.images)).to(device)
        self.recipe = recipe
        self.seed = seed
        self.size = (image_size or data.images.shape[1], image_size or data.images.shape[2])
        mean, std = normalise or (data.info["mean"], data.info["std"])
        self.mean = torch.tensor(mean, device=device)[:, None, None]
        self.std = torch.tensor(std, device=device)[:, None, None]

    def train(self, rows: Rows, epoch: int, view: int = 0) -> Tensor:
        """Augmented images of `rows`, (n, 3, H, W) float32, channels last."""
        images = self._resized(rows)
        changed = augment(images, torch.from_numpy(rows), self.recipe, self.seed, epoch, view)
        return self._normalised(changed)

    def plain(self, rows: Rows) -> Tensor:
        """The same without augmentation."""
        return self._normalised(self._resized(rows))

    def turned(self, rows: Rows, code: int) -> Tensor:
        """The same in one of the square's eight symmetries (see `dihedral`)."""
        codes = torch.full((len(rows),), code)
        return self._normalised(dihedral(self._resized(rows), codes))

    def _resized(self, rows: Rows) -> Tensor:
        chosen = self.images[torch.from_numpy(rows).to(self.images.device)]
        images = chosen.permute(0, 3, 1, 2).float() / 255
        if images.shape[-2:] != self.size:
            images = F.interpolate(
                images, self.size, mode="bilinear", align_corners=False, antialias=True
            )
        return images

    def _normalised(self, images: Tensor) -> Tensor:
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


def moved_labels(
    labels: Tensor, rows: Rows, recipe: Augment, seed: int, epoch: int, view: int = 0
) -> Tensor:
    """Label maps (n, H, W) int64 moved as `Inputs.train` moves the images of `rows`."""
    draws = draw(torch.from_numpy(rows), seed, epoch, view).to(labels.device, torch.float32)
    moved = geometry(labels[:, None].float(), draws, recipe, mode="nearest")
    return moved[:, 0].long()
