"""Augmentation of batches, with parameters drawn for each image.

Every number comes from `uniform(seed, epoch, row, view)`, so neither the batch size nor the order
of work can change what an image looks like. The parameters are drawn on the CPU; the device that
holds the images gets them in one copy and nothing has to wait for it.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from reprise.datasets.rng import uniform
from reprise.params.training import Augment

DRAWS = 15  # random numbers per image
Floats = NDArray[np.float64]
# luma and chroma axes of NTSC's YIQ: rotating the chroma plane shifts the hue
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_LUMA = _YIQ[0]
# the eight symmetries (see `dihedral`) from output to input coordinates (right, down), (8, 2, 2):
# none, one, two or three quarter turns of torch.rot90, each without and with the left-right flip
_TURNS = [np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), turns) for turns in range(4)]
_SYMMETRIES = np.array(
    [flip @ turn for turn in _TURNS for flip in (np.diag([1, 1]), np.diag([-1, 1]))]
)


@dataclass(frozen=True)
class AugmentParams:
    """What a recipe does to each image of a batch.

    values: (n, 18) float32, on the device of the images. seeds: of the generator that the policies
    of `auto_augment` draw from, (n,).
    """

    recipe: Augment
    values: Tensor
    seeds: NDArray[np.int64]

    @property
    def symmetries(self) -> Tensor:
        """Symmetry ids (see `dihedral`), (n,) int64; 0 where `affine` includes the symmetry."""
        return self.values[:, 0].long()

    @property
    def affine(self) -> Tensor:
        """Maps from output to input coordinates, (n, 2, 3)."""
        return self.values[:, 1:7].reshape(-1, 2, 3)

    @property
    def color(self) -> tuple[Tensor, Tensor]:
        """Matrices on (red, green, blue), (n, 3, 3), and shares of the mean luma to add, (n,)."""
        return self.values[:, 7:16].reshape(-1, 3, 3), self.values[:, 16]

    @property
    def grayscale(self) -> Tensor:
        """1 for images that become gray, else 0, (n,)."""
        return self.values[:, 17]

    def __getitem__(self, images: slice) -> "AugmentParams":
        return AugmentParams(self.recipe, self.values[images], self.seeds[images])


def sample_augmentations(
    rows: NDArray[np.int64], recipe: Augment, seed: int, epoch: int, view: int = 0, ratio: float = 1
) -> AugmentParams:
    """Draw the parameters of the images of `rows`, on the CPU; ratio: their width / height."""
    draws = uniform(seed, epoch, rows, view, DRAWS)
    values = np.zeros((len(rows), 18), np.float32)
    symmetries = _symmetries(draws[:, 0], recipe)
    if recipe.interpolates:
        maps = _SYMMETRIES[symmetries] @ _affine(draws, recipe)
        maps[:, 0, 1] /= ratio  # a turn by equal angles in pixels, not in the sides' coordinates
        maps[:, 1, 0] *= ratio
        values[:, 1:7] = maps.reshape(-1, 6)
    else:
        values[:, 0] = symmetries
    if recipe.changes_colors:
        values[:, 7:16], values[:, 16] = _color(draws, recipe)
    values[:, 17] = draws[:, 13] < recipe.grayscale_p
    return AugmentParams(recipe, torch.from_numpy(values), (draws[:, 14] * 2**53).astype(np.int64))


def augment(images: Tensor, params: AugmentParams) -> Tensor:
    """Augmented copies of images (n, 3, H, W), uint8 or float in 0..255, on the params' device.

    Policies give uint8, flips and turns keep the dtype, everything else gives float32. Fastest with
    channels last.
    """
    if params.recipe.auto_augment:
        images = apply_policies(images, params.recipe.auto_augment, params.seeds)
    images = warp(images, params)
    if params.recipe.changes_colors:
        images = color_jitter(images, params)
    if params.recipe.grayscale_p:
        eye = torch.eye(3, device=images.device)
        mixed = eye + params.grayscale[:, None, None] * (_luma(images.device) - eye)
        images = torch.bmm(mixed, images.float().flatten(2)).view(images.shape)
    return images


def warp(images: Tensor, params: AugmentParams, mode: str = "bilinear") -> Tensor:
    """Flip, turn, translate, rotate and crop images (n, C, H, W), or label maps in mode 'nearest'.

    Images and label maps with the same parameters move together.
    """
    recipe = params.recipe
    if not recipe.interpolates:
        moves = recipe.dihedral or recipe.flip
        return dihedral(images, params.symmetries) if moves else images
    # a crop stays inside the image, where 'border' equals 'reflection' and is faster
    padding = "reflection" if recipe.translate or recipe.degrees else "border"
    grid = _grid(params.affine, *images.shape[-2:])
    return F.grid_sample(images.float(), grid, mode, padding, align_corners=False)


def dihedral(images: Tensor, symmetries: Tensor) -> Tensor:
    """One of the square's eight symmetries for each image (n, C, H, W) of any dtype.

    Id 0 is the identity, 1 the left-right flip; ids 2 to 7 add one, two or three quarter turns.
    Exact: pixels move, nothing is interpolated. Ids above 1 need H = W. The result has channels
    last. `symmetries` (n,) int64 is on the images' device.
    """
    count, channels, height, width = images.shape
    pixels = images.permute(0, 2, 3, 1).reshape(-1, channels)
    offsets = torch.arange(count, device=images.device) * (height * width)
    sources = _source_pixels(height, width, images.device).index_select(0, symmetries)
    moved = pixels.index_select(0, (sources + offsets[:, None]).view(-1))
    return moved.view(count, height, width, channels).permute(0, 3, 1, 2)


def color_jitter(images: Tensor, params: AugmentParams) -> Tensor:
    """Change brightness, contrast, saturation and hue, in this order, as float32 in 0..255.

    A share `color_jitter_p` of the images changes. Factors are uniform in 1 -+ strength; contrast
    is around the image's mean luma; hue rotates the chroma plane by at most `hue` of a full turn.
    Each of the four is linear, so together they are a matrix on (red, green, blue) and a share of
    the mean luma; the result is clipped.
    """
    values = images.float().flatten(2)
    luma = (values.mean(2) * _luma(images.device)[0]).sum(1)
    matrices, shares = params.color
    offset = (shares * luma)[:, None, None]
    return torch.baddbmm(offset, matrices, values).clamp_(0, 255).view(images.shape)


def apply_policies(images: Tensor, names: Sequence[str], seeds: NDArray[np.int64]) -> Tensor:
    """Copies of images (n, 3, H, W) in 0..255, changed by torchvision's policies, as uint8.

    torchvision draws from torch's CPU generator. It gets one of `seeds` for each image; its state
    is restored afterwards.
    """
    images = images.round().clamp(0, 255).to(torch.uint8)
    changed = []
    no_wait = nullcontext() if images.device.type == "cpu" else NoWait()
    with torch.random.fork_rng(devices=[]), no_wait:
        for image, seed in zip(images, seeds.tolist(), strict=True):
            torch.default_generator.manual_seed(seed)
            for name in names:
                image = policy(name)(image)
            changed.append(image)
    return torch.stack(changed)


@cache
def policy(name: str) -> Any:
    """A published augmentation policy of torchvision by its name in params.yaml."""
    from torchvision.transforms import v2  # takes a second to import, and few jobs need it

    match name:
        case "trivial_wide":  # Mueller and Hutter 2021, torchvision's values
            return v2.TrivialAugmentWide()
        case "autoaugment_cifar10":  # Cubuk et al. 2019
            return v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
        case "cutout":  # DeVries and Taylor 2017: a square of a quarter of the side becomes 0
            return v2.RandomErasing(p=1, scale=(1 / 16, 1 / 16), ratio=(1, 1), value=0)
    # blur, of byol-pytorch: sigma 1 to 2, one image in five
    return v2.RandomApply([v2.GaussianBlur(3, (1.0, 2.0))], p=0.2)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on a device, without waiting for a GPU."""
    if device.type == "cpu":
        return values
    return values.pin_memory().to(device, non_blocking=True)


class NoWait(TorchFunctionMode):
    """Small tensors that torchvision makes from numbers reach a GPU without waiting for it.

    torchvision makes matrices and fill values with `torch.tensor(..., device=...)`, or on CPU and
    assigns them; either copy would wait until the GPU has finished all its work.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        options = dict(kwargs or {})
        if function is torch.tensor and options.get("device") is not None:
            device = torch.device(options.pop("device"))
            return to_device(torch.tensor(*args, **options), device)
        if function is Tensor.__setitem__:
            image, index, value = args
            if isinstance(value, Tensor):
                args = (image, index, to_device(value, image.device))
            elif isinstance(index, Tensor) and index.dtype is torch.bool:
                return image.masked_fill_(index, value)  # a mask as index may have to be counted
        return function(*args, **options)


def _symmetries(draws: Floats, recipe: Augment) -> NDArray[np.int64]:
    ids = np.arange(8 if recipe.dihedral else 2 if recipe.flip else 1)
    if recipe.flip_vertical and not recipe.dihedral:
        ids = np.array([0, 1, 4, 5])  # none, left-right, half a turn, up-down
    return ids[(draws * len(ids)).astype(np.int64)]


@cache
def _source_pixels(height: int, width: int, device: torch.device) -> Tensor:
    """For each symmetry and output pixel the number of the input pixel, (8 or 2, H * W)."""
    pixels = torch.arange(height * width).view(height, width)
    ids = range(8 if height == width else 2)
    moved = [(pixels.flip(1) if i % 2 else pixels).rot90(i // 2) for i in ids]
    return torch.stack(moved).flatten(1).to(device)


def _affine(draws: Floats, recipe: Augment) -> Floats:
    """(n, 2, 3) maps from output to input coordinates of a square image.

    Crops are drawn as by torchvision's RandomResizedCrop: area uniform in min_scale..1, log aspect
    ratio uniform in 3/4..4/3, position uniform; the side is at most that of the image.
    """
    area = recipe.min_scale + (1 - recipe.min_scale) * draws[:, 1]
    aspect = np.exp((2 * draws[:, 2] - 1) * math.log(4 / 3)) if recipe.min_scale < 1 else 1.0
    width = np.minimum(np.sqrt(area * aspect), 1)
    height = np.minimum(np.sqrt(area / aspect), 1)
    angle = (2 * draws[:, 5] - 1) * math.radians(recipe.degrees)
    theta = np.empty((len(draws), 2, 3))
    theta[:, 0, 0], theta[:, 0, 1] = width * np.cos(angle), -height * np.sin(angle)
    theta[:, 1, 0], theta[:, 1, 1] = width * np.sin(angle), height * np.cos(angle)
    shift = (2 * draws[:, [6, 12]] - 1) * 2 * recipe.translate
    theta[:, 0, 2] = (2 * draws[:, 3] - 1) * (1 - width) + shift[:, 0]
    theta[:, 1, 2] = (2 * draws[:, 4] - 1) * (1 - height) + shift[:, 1]
    return theta


def _color(draws: Floats, recipe: Augment) -> tuple[Floats, Floats]:
    """The matrices (n, 9) and the shares of the mean luma (n,) of `color_jitter`."""
    strengths = [recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue]
    changed = draws[:, 11] < recipe.color_jitter_p
    factors = (2 * draws[:, 7:11] - 1) * np.array(strengths) * changed[:, None]
    brightness, contrast, saturation = (1 + factors[:, :3]).T
    matrix = saturation[:, None, None] * np.eye(3) + (1 - saturation)[:, None, None] * _LUMA
    if recipe.hue:
        angle = 2 * math.pi * factors[:, 3]  # a rotation of the chroma plane
        rotation = np.zeros((len(angle), 3, 3))
        rotation[:, 0, 0] = 1
        rotation[:, 1, 1] = rotation[:, 2, 2] = np.cos(angle)
        rotation[:, 1, 2], rotation[:, 2, 1] = -np.sin(angle), np.sin(angle)
        matrix = np.linalg.inv(_YIQ) @ rotation @ _YIQ @ matrix
    matrix *= (brightness * contrast)[:, None, None]
    return matrix.reshape(-1, 9), (1 - contrast) * brightness


def _grid(affine: Tensor, height: int, width: int) -> Tensor:
    """The input position of each output pixel, for `grid_sample`, (n, H, W, 2).

    `F.affine_grid` multiplies matrices instead: slower, and rounded to bfloat16 by autocast.
    """
    right, down = (_pixel_centers(side, affine.device) for side in (width, height))
    rows = affine[:, :, 1:2] * down + affine[:, :, 2:3]
    columns = affine[:, :, 0:1] * right
    return (rows[:, :, :, None] + columns[:, :, None, :]).permute(0, 2, 3, 1)


@cache
def _pixel_centers(side: int, device: torch.device) -> Tensor:
    """Centers of pixels in coordinates from -1 to 1 over an image's side, (side,)."""
    return ((2 * torch.arange(side) + 1) / side - 1).to(device)


@cache
def _luma(device: torch.device) -> Tensor:
    """The matrix that makes an image gray: Rec. 601 luma in each channel, (3, 3)."""
    return torch.tensor(_LUMA, dtype=torch.float32).expand(3, 3).to(device)
