"""Batches for a network from the rows of a prepared dataset."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reprise.datasets.device import to_device
from reprise.datasets.policies import CUTOUT_PIXELS, Size
from reprise.datasets.prepared import Bytes, PreparedDataset
from reprise.datasets.transforms import (
    AugmentParams,
    augment,
    dihedral,
    sample_augmentations,
    warp,
)
from reprise.errors import RepriseError
from reprise.params.training import Augment, MeanStd

Normalization = tuple[tuple[float, ...], tuple[float, ...]]  # mean and std of each channel, in 0..1
# of the ImageNet weights of torchvision and of EfficientNet-Lite0
IMAGENET_NORMALIZATION: Normalization = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LITE0_NORMALIZATION: Normalization = ((127 / 255,) * 3, (128 / 255,) * 3)
NO_NORMALIZATION: Normalization = ((0.0,) * 3, (1.0,) * 3)
# pixels of a chunk on CPU, chosen to fit in its cache
CPU_CHUNK_PIXELS = 2**17
# images of a chunk on CPU for policies, which share the cost of an operation's calls
POLICY_CHUNK = 32
# pixels of a batch without gradients, on CPU: ResNet-50 took 8.1 ms for an image of 128 x 128 in
# batches of 32 and 11.3 in batches of 256, ResNet-10 at 32 x 32 .51 and .32
CPU_EVAL_PIXELS, MAX_EVAL_BATCH = 2**19, 256
# the same on a GPU: 16 images of 512 x 512, or the maximum at 128 x 128
GPU_EVAL_PIXELS = 2**22
Rows = NDArray[np.int64]


def normalization(normalize: str | MeanStd, weights: str = "none") -> Normalization | None:
    """Mean and std for two values of a recipe; None: those of the dataset's train split."""
    if isinstance(normalize, MeanStd):
        return tuple(normalize.mean), tuple(normalize.std)
    if weights == "imagenet":
        return LITE0_NORMALIZATION
    return {"imagenet": IMAGENET_NORMALIZATION, "none": NO_NORMALIZATION}.get(normalize)


def eval_batch_size(size: tuple[int, int], device: torch.device) -> int:
    """Images of a (height, width) to put through a network at a time when no gradient is needed."""
    pixels = CPU_EVAL_PIXELS if device.type == "cpu" else GPU_EVAL_PIXELS
    return min(MAX_EVAL_BATCH, max(1, pixels // (size[0] * size[1])))


class Batches:
    """Images of a dataset as normalized float batches, augmented or not.

    On a GPU the uint8 images are kept in its memory when they take at most half of what is free;
    otherwise, and on CPU, batches are read from the dataset's memory map, which all jobs share.

    image_size: height and width of the batches, by default those of a crop, or of the stored
    images; normalization: mean and std of each channel, those of the dataset by default;
    eval_batch_size: images to put through a network at a time when no gradient is needed. Raises
    RepriseError for quarter turns of images that are not square, and for images that are smaller
    than a crop of them.
    """

    def __init__(
        self,
        data: PreparedDataset,
        recipe: Augment,
        seed: int,
        device: torch.device,
        image_size: int | None = None,
        normalization: Normalization | None = None,
    ) -> None:
        self.images: Bytes = np.asarray(data.images)
        self.recipe = recipe
        self.seed = seed
        self.device = device
        self.crop = recipe.crop_pixels
        side = image_size or self.crop
        self.stored = (data.images.shape[1], data.images.shape[2])
        self.size = (side, side) if side else self.stored
        if self.crop and self.crop > min(self.stored):
            raise RepriseError(
                f"{data.folder}: images are {self.stored[0]} x {self.stored[1]}, smaller than "
                f"augment.crop_pixels, {self.crop}; make it smaller"
            )
        if recipe.eval_resize and recipe.eval_resize < max(self.size):
            raise RepriseError(
                f"{data.folder}: augment.eval_resize is {recipe.eval_resize}, less than the "
                f"{max(self.size)} pixels of a batch's images; raise it"
            )
        if (recipe.dihedral or recipe.flip_vertical) and self.size[0] != self.size[1]:
            raise RepriseError(
                f"{data.folder}: images are {self.size[0]} x {self.size[1]}, and augment.dihedral "
                "needs square images; use augment.flip, or set image_size"
            )
        _check_policies(data.folder, recipe, self.size)
        self.eval_batch_size = eval_batch_size(self.size, device)
        self.resident = None
        if device.type != "cpu" and self.images.nbytes <= torch.cuda.mem_get_info(device)[0] // 2:
            self.resident = torch.tensor(self.images, device=device)
        mean, std = (torch.tensor(v) for v in normalization or (data.mean, data.std))
        # of the size and layout of an image batch, because broadcasting three values is slow
        self.scale, self.shift = (
            torch.empty(1, 3, *self.size, device=device, memory_format=torch.channels_last).copy_(
                value[None, :, None, None]
            )
            for value in (1 / (255 * std), -mean / std)
        )

    @property
    def crop_size(self) -> Size | None:
        """Height and width of the crops that the recipe makes of stored images, None without."""
        return (self.crop, self.crop) if self.crop else None

    def train_batch(self, rows: Rows, epoch: int, view: int = 0) -> Tensor:
        """Augmented images of `rows`, (n, 3, H, W) float32, channels last."""
        return self._batch(rows, self._augmentations(rows, epoch, view))

    def train_batch_with_labels(
        self, rows: Rows, epoch: int, labels: Tensor, view: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Augmented images as `train_batch` makes them, and label maps that moved with them.

        labels: of the whole dataset, (N, h, w) uint8 on the device; the maps are (n, h, w) int64.
        Raises RepriseError for a recipe that cannot move label maps.
        """
        unsupported = {
            "auto_augment": self.recipe.auto_augment,
            "shared_auto_augment": self.recipe.shared_auto_augment,
            "eval_resize": self.recipe.eval_resize,
            "fill: black": self.recipe.fill == "black",  # it would be the first class in label maps
        }
        for key in (key for key, value in unsupported.items() if value):
            raise RepriseError(f"augment.{key} is not supported for segmentation; remove it")
        params = self._augmentations(rows, epoch, view)
        if self.crop:
            maps = self._crops(labels, rows, params)[:, None]
        else:
            maps = labels.index_select(0, to_device(torch.from_numpy(rows), self.device))[:, None]
        moved = warp(maps, params, mode="nearest")
        return self._batch(rows, params), moved[:, 0].long()

    def eval_batch(self, rows: Rows) -> Tensor:
        """Images of `rows` without augmentation, (n, 3, H, W) float32, channels last."""
        return self._batch(rows)

    def fixed_symmetry(self, rows: Rows, symmetry: int) -> Tensor:
        """`eval_batch` in one of the square's eight symmetries (see `dihedral`)."""
        symmetries = torch.full((len(rows),), symmetry, device=self.device)
        return dihedral(self._batch(rows), symmetries)

    def _augmentations(self, rows: Rows, epoch: int, view: int) -> AugmentParams:
        height, width = self.stored if self.recipe.eval_resize else self.size
        ratio = width / height
        params = sample_augmentations(rows, self.recipe, self.seed, epoch, view, ratio)
        return replace(params, values=to_device(params.values, self.device))

    def _batch(self, rows: Rows, params: AugmentParams | None = None) -> Tensor:
        shape = (len(rows), 3, *self.size)
        batch = torch.empty(shape, device=self.device, memory_format=torch.channels_last)
        count = len(rows)
        if self.device.type == "cpu":
            count = max(1, CPU_CHUNK_PIXELS // (self.size[0] * self.size[1]))
            if params and (self.recipe.auto_augment or self.recipe.shared_auto_augment):
                count = max(count, POLICY_CHUNK)
        # autocast would round the matrix products of augmentation to bfloat16
        with torch.autocast(self.device.type, enabled=False):
            for start in range(0, len(rows), count):
                chunk = slice(start, start + count)
                images = self._images(rows[chunk], params and params[chunk])
                if params is not None:
                    images = augment(images, params[chunk], self.size)
                if images.dtype == torch.uint8 and images.is_contiguous():
                    images = images.float()  # a copy to channels last takes half as long
                batch[chunk].copy_(images).mul_(self.scale).add_(self.shift)
        return batch

    def _images(self, rows: Rows, params: AugmentParams | None) -> Tensor:
        """Images of `rows` in 0..255, (n, 3, H, W): uint8, or float32 where they are resized.

        They have the size of a batch, except those that augmentation crops from the whole image.
        """
        source = self.images if self.resident is None else self.resident
        if self.crop:
            images = self._crops(source, rows, params).permute(0, 3, 1, 2)
        elif self.resident is None:
            pixels = to_device(torch.from_numpy(self.images.take(rows, axis=0)), self.device)
            images = pixels.permute(0, 3, 1, 2)
        else:
            indices = to_device(torch.from_numpy(rows), self.device)
            images = self.resident.index_select(0, indices).permute(0, 3, 1, 2)
        if self.recipe.eval_resize:
            if params is not None:
                return images
            height, width = (
                self.recipe.eval_resize * side // min(self.stored) for side in self.stored
            )
            return _center(_resized(images, (height, width)), self.size)
        return images if images.shape[-2:] == self.size else _resized(images, self.size)

    def _crops(self, source: Bytes | Tensor, rows: Rows, params: AugmentParams | None) -> Tensor:
        """Squares of `crop` pixels of the images or label maps of `rows`, (n, crop, crop, ...).

        From the center without `params`.
        """
        side = self.crop or 0
        margins = np.array(self.stored) - side
        starts = np.broadcast_to(margins // 2, (len(rows), 2))
        if params is not None:
            starts = (params.places * (margins + 1)).astype(np.int64)
        squares: list[Any] = [
            source[row, top : top + side, left : left + side]
            for row, (top, left) in zip(rows.tolist(), starts.tolist(), strict=True)
        ]
        if isinstance(source, Tensor):
            return torch.stack(squares)
        return to_device(torch.from_numpy(np.stack(squares)), self.device)


def _check_policies(folder: Path, recipe: Augment, size: Size) -> None:
    """Raise RepriseError if a policy cuts out a larger square than the images have."""
    for key in ("auto_augment", "shared_auto_augment"):
        for name in getattr(recipe, key):
            if name.startswith("cutout_16") and min(size) < CUTOUT_PIXELS // 2 + 1:
                raise RepriseError(
                    f"{folder}: augment.{key}: {name} needs images of {CUTOUT_PIXELS // 2 + 1} "
                    f"pixels or more, these are {size[0]} x {size[1]}; use cutout"
                )


def _resized(images: Tensor, size: Size) -> Tensor:
    return F.interpolate(images.float(), size, mode="bilinear", align_corners=False, antialias=True)


def _center(images: Tensor, size: Size) -> Tensor:
    """The center of images (n, C, H, W), as torchvision's CenterCrop cuts it."""
    top, left = (round((images.shape[2 + i] - size[i]) / 2) for i in (0, 1))
    return images[..., top : top + size[0], left : left + size[1]]
