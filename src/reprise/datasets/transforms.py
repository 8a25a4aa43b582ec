"""Augmentation of batches, with parameters drawn for each image.

Every number comes from `uniform(seed, epoch, row, view)`, so neither the batch size nor the order
of work can change what an image looks like. The parameters are drawn on the CPU; the device that
holds the images gets them in one copy and nothing has to wait for it.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reprise.datasets.policies import Size, apply_policies
from reprise.datasets.rng import uniform
from reprise.params.training import Augment

DRAWS = 15  # random numbers per image
CROP_ATTEMPTS = 10  # at a crop of the whole image, each with two more
_LOG_ASPECT = math.log(4 / 3)
SHARED_VIEW = -2  # the view of what all views of an image share; the order of images has -1
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

    values: (n, 18) float32, on the device of the images. seeds, shared_seeds: (n,), of the
    generators that the policies of `auto_augment` and of `shared_auto_augment` draw from. places:
    of a crop at the image's scale, from top and left, as shares of the margin, (n, 2) in 0..1.
    """

    recipe: Augment
    values: Tensor
    seeds: NDArray[np.int64]
    shared_seeds: NDArray[np.int64]
    places: Floats

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
        arrays = self.seeds[images], self.shared_seeds[images], self.places[images]
        return AugmentParams(self.recipe, self.values[images], *arrays)


def sample_augmentations(
    rows: NDArray[np.int64], recipe: Augment, seed: int, epoch: int, view: int = 0, ratio: float = 1
) -> AugmentParams:
    """Draw the parameters of the images of `rows`, on the CPU.

    ratio: width / height of what the recipe's geometry is applied to: the stored images with
    eval_resize, otherwise those of the batch.
    """
    count = DRAWS + 2 * CROP_ATTEMPTS if recipe.eval_resize else DRAWS
    draws = uniform(seed, epoch, rows, view, count)
    values = np.zeros((len(rows), 18), np.float32)
    symmetries = _symmetries(draws[:, 0], recipe)
    if recipe.interpolates:
        maps = _SYMMETRIES[symmetries] @ _affine(draws, recipe, ratio)
        maps[:, 0, 1] /= ratio  # a turn by equal angles in pixels, not in the sides' coordinates
        maps[:, 1, 0] *= ratio
        values[:, 1:7] = maps.reshape(-1, 6)
    else:
        values[:, 0] = symmetries
    if recipe.changes_colors:
        values[:, 7:16], values[:, 16] = _color(draws, recipe)
    values[:, 17] = draws[:, 13] < recipe.grayscale_p
    seeds = (draws[:, 14] * 2**53).astype(np.int64)
    shared_seeds = np.zeros_like(seeds)
    if recipe.shared_auto_augment:
        shared = uniform(seed, epoch, rows, SHARED_VIEW, 1)[:, 0]
        shared_seeds = (shared * 2**53).astype(np.int64)
    places = draws[:, [4, 3]]  # not drawn by a random resized crop at the same time
    return AugmentParams(recipe, torch.from_numpy(values), seeds, shared_seeds, places)


def augment(images: Tensor, params: AugmentParams, size: Size | None = None) -> Tensor:
    """Augmented copies of images (n, 3, H, W), uint8 or float in 0..255, on the params' device.

    The steps are in the recipe's order. size: height and width of the result, by default those of
    the images; others need a recipe that crops. Policies give uint8, flips and turns keep the
    dtype, everything else gives float32.
    """
    recipe = params.recipe
    if recipe.shared_auto_augment:
        images = apply_policies(images, recipe.shared_auto_augment, params.shared_seeds)
    for step in recipe.order:
        if step == "geometry":
            images = warp(images, params, size=size)
        elif step == "colors":
            images = change_colors(images, params)
        elif recipe.auto_augment:
            images = apply_policies(images, recipe.auto_augment, params.seeds)
    return images


def change_colors(images: Tensor, params: AugmentParams) -> Tensor:
    """`color_jitter`, and the images that become gray."""
    if params.recipe.changes_colors:
        images = color_jitter(images, params)
    if params.recipe.grayscale_p:
        eye = torch.eye(3, device=images.device)
        mixed = eye + params.grayscale[:, None, None] * (_luma(images.device) - eye)
        images = torch.bmm(mixed, images.float().flatten(2)).view(images.shape)
    return images


def warp(
    images: Tensor, params: AugmentParams, mode: str = "bilinear", size: Size | None = None
) -> Tensor:
    """Flip, turn, translate, rotate and crop images (n, C, H, W), or label maps in mode 'nearest'.

    Images and label maps with the same parameters move together. size: see `augment`.
    """
    recipe = params.recipe
    if not recipe.interpolates:
        moves = recipe.dihedral or recipe.flip
        return dihedral(images, params.symmetries) if moves else images
    # a crop stays inside the image, where 'border' equals 'reflection' and is faster
    outside = "reflection" if recipe.fill == "reflect" else "zeros"
    padding = outside if recipe.translate or recipe.degrees else "border"
    grid = _grid(params.affine, *(size or images.shape[-2:]))
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


def _affine(draws: Floats, recipe: Augment, ratio: float) -> Floats:
    """(n, 2, 3) maps from output to input coordinates, which are -1 to 1 over a side.

    Crops are those of torchvision's RandomResizedCrop: area uniform in min_scale..1, log aspect
    ratio uniform in 3/4..4/3, position uniform. With eval_resize the aspect ratio is that in pixels
    (see `_whole_image_crops`); otherwise it is relative to the image's own, and a side is at most
    that of the image.
    """
    place = draws[:, 3:5]
    if recipe.eval_resize:
        width, height, place = _whole_image_crops(draws, recipe, ratio)
    else:
        area = recipe.min_scale + (1 - recipe.min_scale) * draws[:, 1]
        aspect = np.exp((2 * draws[:, 2] - 1) * _LOG_ASPECT) if recipe.min_scale < 1 else 1.0
        width = np.minimum(np.sqrt(area * aspect), 1)
        height = np.minimum(np.sqrt(area / aspect), 1)
    angle = (2 * draws[:, 5] - 1) * math.radians(recipe.degrees)
    theta = np.empty((len(draws), 2, 3))
    theta[:, 0, 0], theta[:, 0, 1] = width * np.cos(angle), -height * np.sin(angle)
    theta[:, 1, 0], theta[:, 1, 1] = width * np.sin(angle), height * np.cos(angle)
    shift = (2 * draws[:, [6, 12]] - 1) * 2 * recipe.translate
    theta[:, 0, 2] = (2 * place[:, 0] - 1) * (1 - width) + shift[:, 0]
    theta[:, 1, 2] = (2 * place[:, 1] - 1) * (1 - height) + shift[:, 1]
    return theta


def _whole_image_crops(draws: Floats, recipe: Augment, ratio: float) -> tuple[Floats, ...]:
    """Width and height of crops, as shares of the image's, (n,), and their places, (n, 2).

    As torchvision: the first of ten draws that fits into the image of this width / height; if none
    does, the largest centered crop whose aspect ratio is in 3/4..4/3.
    """
    attempts = draws[:, DRAWS:].reshape(len(draws), -1, 2)
    area = recipe.min_scale + (1 - recipe.min_scale) * attempts[..., 0]
    aspect = np.exp((2 * attempts[..., 1] - 1) * _LOG_ASPECT) / ratio
    width, height = np.sqrt(area * aspect), np.sqrt(area / aspect)
    fits = (width <= 1) & (height <= 1)
    images, first = np.arange(len(draws)), fits.argmax(axis=1)
    fitting = np.asarray(fits.any(axis=1))
    widest, highest = min(1, 4 / 3 / ratio), min(1, 4 / 3 * ratio)
    place = np.where(fitting[:, None], draws[:, 3:5], 0.5)
    return (
        np.where(fitting, width[images, first], widest),
        np.where(fitting, height[images, first], highest),
        place,
    )


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
