"""Batches for a network from the rows of a prepared set."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reprise.data.augment import Changes, augment, decide, geometry, sent, turn
from reprise.data.policies import apply, keys_of
from reprise.data.store import Bytes, PreparedSet
from reprise.errors import RepriseError
from reprise.params import Augment

Moments = tuple[tuple[float, ...], tuple[float, ...]]  # mean and std of each channel, in 0..1
# what EfficientNet-Lite0's ImageNet weights were trained with
IMAGENET_LITE: Moments = ((127 / 255,) * 3, (128 / 255,) * 3)
# by their names in params.yaml; None: those of the set's train role
NORMALISE: dict[str, Moments | None] = {
    "set": None,
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # of torchvision's weights
}
# a processor works on so many pixels at a time, which stay in its cache
PIXELS = 2**17
# and a network without gradients on so many: ResNet-50 took 8.1 ms for an image of 128 x 128 in
# batches of 32 and 11.3 in batches of 256, ResNet-10 at 32 x 32 .51 and .32
NETWORK_PIXELS, MOST = 2**19, 256
# on a GPU on so many: 16 images of 512 x 512, or the most at 128 x 128
GPU_PIXELS = 2**22
Rows = NDArray[np.int64]


def moments_of(normalise: str, weights: str = "none") -> Moments | None:
    """What images are normalised with, by a recipe's two values; None: the set's own moments."""
    return IMAGENET_LITE if weights == "imagenet" else NORMALISE[normalise]


def at_once(size: tuple[int, int], device: torch.device) -> int:
    """How many images of a size to put through a network where no gradient is wanted."""
    pixels = NETWORK_PIXELS if device.type == "cpu" else GPU_PIXELS
    return min(MOST, max(1, pixels // (size[0] * size[1])))


class Inputs:
    """Images of a set, given out as normalised float batches.

    On a GPU the uint8 images are held in its memory when they take at most half of what is free;
    else, and on a processor, batches are read from the set's memory map, which all jobs share.
    image_size: height and width of the batches; normalise: mean and std of each channel.
    Raises RepriseError when quarter turns are asked for and images are not square.
    """

    def __init__(
        self,
        data: PreparedSet,
        recipe: Augment,
        seed: int,
        device: torch.device,
        image_size: int | None = None,
        normalise: Moments | None = None,
    ) -> None:
        self.images: Bytes = np.asarray(data.images)
        self.recipe = recipe
        self.seed = seed
        self.device = device
        self.size = (image_size or data.images.shape[1], image_size or data.images.shape[2])
        if (recipe.dihedral or recipe.flip_vertical) and self.size[0] != self.size[1]:
            raise RepriseError(
                f"{data.folder}: images are {self.size[0]} x {self.size[1]}, and augment.dihedral "
                "turns squares; use flip, or set image_size"
            )
        self.resident = torch.tensor(self.images, device=device) if self._fits() else None
        mean, std = (torch.tensor(v) for v in normalise or (data.info["mean"], data.info["std"]))
        # of the size and layout of a batch's images, since a broadcast over three values is slow
        self.scale, self.shift = (
            torch.empty(1, 3, *self.size, device=device, memory_format=torch.channels_last).copy_(
                value[None, :, None, None]
            )
            for value in (1 / (255 * std), -mean / std)
        )

    @property
    def at_once(self) -> int:
        """How many images to put through a network at a time where no gradient is wanted."""
        return at_once(self.size, self.device)

    def train(self, rows: Rows, epoch: int, view: int = 0) -> Tensor:
        """Augmented images of `rows`, (n, 3, H, W) float32, channels last."""
        keys = keys_of(rows, self.recipe, self.seed, epoch, view)
        return self._batch(rows, self._decided(rows, epoch, view), keys)

    def train_with_labels(
        self, rows: Rows, epoch: int, labels: Tensor, view: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Augmented images as `train` gives them, and label maps that moved with them.

        labels: of the whole set, (N, h, w) uint8 on the device; the maps are (n, h, w) int64.
        """
        if self.recipe.policy:
            raise RepriseError("augment.policy moves images and no label maps; leave it out here")
        changes = self._decided(rows, epoch, view)
        chosen = labels.index_select(0, sent(torch.from_numpy(rows), self.device))[:, None]
        moved = geometry(chosen, changes, mode="nearest")
        return self._batch(rows, changes), moved[:, 0].long()

    def plain(self, rows: Rows) -> Tensor:
        """The same without augmentation."""
        return self._batch(rows)

    def turned(self, rows: Rows, code: int) -> Tensor:
        """The same in one of the square's eight symmetries (see `dihedral`)."""
        return self._batch(rows, turn(len(rows), code).to(self.device))

    def _fits(self) -> bool:
        if self.device.type != "cuda":
            return False
        free, _ = torch.cuda.mem_get_info(self.device)
        return self.images.nbytes <= free // 2

    def _decided(self, rows: Rows, epoch: int, view: int) -> Changes:
        return decide(rows, self.recipe, self.seed, epoch, view).to(self.device)

    def _batch(
        self, rows: Rows, changes: Changes | None = None, keys: Rows | None = None
    ) -> Tensor:
        shape = (len(rows), 3, *self.size)
        batch = torch.empty(shape, device=self.device, memory_format=torch.channels_last)
        count = len(rows)
        if self.device.type == "cpu":
            count = max(1, PIXELS // (self.size[0] * self.size[1]))
        # autocast would round the products of matrices in it to bfloat16
        with torch.autocast(self.device.type, enabled=False):
            for start in range(0, len(rows), count):
                part = slice(start, start + count)
                images = self._resized(rows[part])
                if keys is not None:
                    images = apply(images, self.recipe.policy, keys[part])
                if changes is not None:
                    images = augment(images, changes[part])
                batch[part].copy_(images).mul_(self.scale).add_(self.shift)
        return batch

    def _resized(self, rows: Rows) -> Tensor:
        """Images of `rows` in 0..255, uint8, or float32 where the size is not that of the set."""
        images = self._chosen(rows).permute(0, 3, 1, 2)
        if images.shape[-2:] == self.size:
            return images
        return F.interpolate(
            images.float(), self.size, mode="bilinear", align_corners=False, antialias=True
        )

    def _chosen(self, rows: Rows) -> Tensor:
        """Images of `rows` as the set has them, (n, H, W, 3) uint8 on the device."""
        if self.resident is not None:
            return self.resident.index_select(0, sent(torch.from_numpy(rows), self.device))
        return sent(torch.from_numpy(self.images.take(rows, axis=0)), self.device)
