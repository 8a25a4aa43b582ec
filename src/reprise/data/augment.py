"""Augmentation of whole batches with one draw an image.

Every number that is drawn comes from `uniform(seed, epoch, row, view)`: two images of a batch
differ, and neither the batch size nor the order of work can change what an image looks like.
What happens to an image is decided on the processor, as a few numbers an image; the device that
holds the images gets these in one copy and never has to be waited for.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reprise.data.randomness import uniform
from reprise.params import Augment

DRAWS = 14
Numbers = NDArray[np.float64]
# luma and chroma axes of NTSC's YIQ: turning the chroma plane shifts the hue
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_LUMA = _YIQ[0]
# in coordinates (right, down): the left-right flip, and the quarter turn of torch.rot90
_FLIP = np.array([[-1, 0], [0, 1]])
_TURN = np.array([[0, -1], [1, 0]])


@dataclass(frozen=True)
class Changes:
    """What a recipe does to each image of a batch: `numbers` is (n, 18) float32."""

    recipe: Augment
    numbers: Tensor

    @property
    def codes(self) -> Tensor:
        """Symmetry of the square (see `dihedral`), (n,) int64; 0 where `affine` holds it."""
        return self.numbers[:, 0].long()

    @property
    def affine(self) -> Tensor:
        """Maps from output to input coordinates, (n, 2, 3)."""
        return self.numbers[:, 1:7].reshape(-1, 2, 3)

    @property
    def colour(self) -> Tensor:
        """Matrices on (red, green, blue), (n, 3, 3)."""
        return self.numbers[:, 7:16].reshape(-1, 3, 3)

    @property
    def pull(self) -> Tensor:
        """How much of the image's mean luma contrast adds to each value, (n,)."""
        return self.numbers[:, 16]

    @property
    def grey(self) -> Tensor:
        """1 for images that lose their colour, else 0, (n,)."""
        return self.numbers[:, 17]

    def __getitem__(self, part: slice) -> "Changes":
        return Changes(self.recipe, self.numbers[part])

    def to(self, device: torch.device) -> "Changes":
        """The same on a device."""
        return Changes(self.recipe, sent(self.numbers, device))


def sent(values: Tensor, device: torch.device) -> Tensor:
    """A tensor of the processor on a device; a GPU is not waited for."""
    if device.type == "cpu":
        return values
    return values.pin_memory().to(device, non_blocking=True)


def decide(
    rows: NDArray[np.int64], recipe: Augment, seed: int, epoch: int, view: int = 0
) -> Changes:
    """Draw what happens to the images of `rows`."""
    draws = uniform(seed, epoch, rows, view, DRAWS)
    numbers = np.zeros((len(rows), 18), np.float32)
    codes = _codes(draws[:, 0], recipe)
    if resamples(recipe):
        numbers[:, 1:7] = (_symmetries()[codes] @ _affine(draws, recipe)).reshape(-1, 6)
    else:
        numbers[:, 0] = codes
    if recolours(recipe):
        numbers[:, 7:16], numbers[:, 16] = _colour(draws, recipe)
    numbers[:, 17] = draws[:, 13] < recipe.grey
    return Changes(recipe, torch.from_numpy(numbers))


def turn(count: int, code: int) -> Changes:
    """One symmetry (see `dihedral`) for each of `count` images."""
    numbers = torch.zeros(count, 18)
    numbers[:, 0] = code
    return Changes(Augment(dihedral=True), numbers)


def symmetries(
    rows: NDArray[np.int64], recipe: Augment, seed: int, epoch: int, view: int = 0
) -> NDArray[np.int64]:
    """The codes (see `dihedral`) that are drawn for the images of `rows`, (n,)."""
    return _codes(uniform(seed, epoch, rows, view, 1)[:, 0], recipe)


def resamples(recipe: Augment) -> bool:
    """Whether pixels are interpolated, rather than left or moved whole."""
    return recipe.crop < 1 or recipe.shift > 0 or recipe.rotate > 0


def recolours(recipe: Augment) -> bool:
    """Whether brightness, contrast, saturation or hue change."""
    strengths = recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue
    return recipe.jitter > 0 and max(strengths) > 0


def augment(images: Tensor, changes: Changes) -> Tensor:
    """Augmented copies of images (n, 3, H, W), uint8 or float in 0..255, on the changes' device.

    Moved pixels keep their dtype; everything else gives float32. Fastest with channels last.
    """
    images = geometry(images, changes)
    if recolours(changes.recipe):
        images = colour(images, changes)
    if changes.recipe.grey:
        eye = torch.eye(3, device=images.device)
        mixed = eye + changes.grey[:, None, None] * (_luma(images.device) - eye)
        images = torch.bmm(mixed, images.float().flatten(2)).view(images.shape)
    return images


def geometry(images: Tensor, changes: Changes, mode: str = "bilinear") -> Tensor:
    """Flip, turn, shift, rotate and crop images or, with mode 'nearest', label maps (n, C, H, W).

    Images and label maps that get the same changes move together.
    """
    recipe = changes.recipe
    if not resamples(recipe):
        return dihedral(images, changes.codes) if recipe.dihedral or recipe.flip else images
    # a crop stays inside the image, where 'border' is the same as 'reflection' and faster
    padding = "reflection" if recipe.shift or recipe.rotate else "border"
    grid = _grid(changes.affine, *images.shape[-2:])
    return F.grid_sample(images.float(), grid, mode, padding, align_corners=False)


def dihedral(images: Tensor, codes: Tensor) -> Tensor:
    """One of the square's eight symmetries for each image (n, C, H, W) of any dtype.

    Code 0 is the identity, 1 the left-right flip; codes 2 to 7 add one, two or three quarter
    turns. Exact: pixels move, nothing is interpolated. Codes above 1 need H = W. The result has
    channels last. `codes` (n,) int64 is on the images' device.
    """
    count, channels, height, width = images.shape
    pixels = images.permute(0, 2, 3, 1).reshape(-1, channels)
    first = torch.arange(count, device=images.device) * (height * width)
    places = _places(height, width, images.device).index_select(0, codes) + first[:, None]
    moved = pixels.index_select(0, places.view(-1))
    return moved.view(count, height, width, channels).permute(0, 3, 1, 2)


def colour(images: Tensor, changes: Changes) -> Tensor:
    """Brightness, contrast, saturation and hue, in this order, for a share `jitter` of the images.

    Factors are uniform in 1 -+ strength; contrast is around the image's mean luma; hue turns the
    chroma plane by at most `hue` of a full turn. Each of the four is linear, so together they
    are a matrix on (red, green, blue) and a share of the mean luma; the end is cut to 0..255.
    """
    values = images.float().flatten(2)
    luma = (values.mean(2) * _luma(images.device)[0]).sum(1)
    offset = (changes.pull * luma)[:, None, None]
    return torch.baddbmm(offset, changes.colour, values).clamp_(0, 255).view(images.shape)


def _codes(draws: Numbers, recipe: Augment) -> NDArray[np.int64]:
    if recipe.flip_vertical and not recipe.dihedral:
        # none, left-right, half a turn, up-down: two flips of probability 1/2
        both: NDArray[np.int64] = np.array([0, 1, 4, 5])[(draws * 4).astype(np.int64)]
        return both
    return (draws * (8 if recipe.dihedral else 2 if recipe.flip else 1)).astype(np.int64)


@cache
def _symmetries() -> Numbers:
    """The eight symmetries as matrices from output to input coordinates, (8, 2, 2)."""
    flips = [np.linalg.matrix_power(_FLIP, code % 2) for code in range(8)]
    turns = [np.linalg.matrix_power(_TURN, code // 2) for code in range(8)]
    both: Numbers = np.array(flips) @ np.array(turns)
    return both


@cache
def _places(height: int, width: int, device: torch.device) -> Tensor:
    """For each symmetry and output pixel the number of the input pixel, (8 or 2, H * W)."""
    places = torch.arange(height * width).view(height, width)
    if height != width:
        return torch.stack([places, places.flip(1)]).flatten(1).to(device)
    every = [(places.flip(1) if code % 2 else places).rot90(code // 2) for code in range(8)]
    return torch.stack(every).flatten(1).to(device)


def _affine(draws: Numbers, recipe: Augment) -> Numbers:
    """(n, 2, 3) maps from output to input coordinates, for a random resized crop and the like.

    As torchvision's RandomResizedCrop: area uniform in crop..1, log aspect ratio uniform in
    3/4..4/3, place uniform; the side is capped at the whole image.
    """
    area = recipe.crop + (1 - recipe.crop) * draws[:, 1]
    aspect = np.exp((2 * draws[:, 2] - 1) * math.log(4 / 3)) if recipe.crop < 1 else 1.0
    width = np.minimum(np.sqrt(area * aspect), 1)
    height = np.minimum(np.sqrt(area / aspect), 1)
    angle = (2 * draws[:, 5] - 1) * math.radians(recipe.rotate)
    theta = np.empty((len(draws), 2, 3))
    theta[:, 0, 0], theta[:, 0, 1] = width * np.cos(angle), -height * np.sin(angle)
    theta[:, 1, 0], theta[:, 1, 1] = width * np.sin(angle), height * np.cos(angle)
    shift = (2 * draws[:, [6, 12]] - 1) * 2 * recipe.shift
    theta[:, 0, 2] = (2 * draws[:, 3] - 1) * (1 - width) + shift[:, 0]
    theta[:, 1, 2] = (2 * draws[:, 4] - 1) * (1 - height) + shift[:, 1]
    return theta


def _colour(draws: Numbers, recipe: Augment) -> tuple[Numbers, Numbers]:
    """The matrices (n, 9) and the shares of the mean luma (n,) of `colour`."""
    strengths = [recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue]
    changed = draws[:, 11] < recipe.jitter
    factor = (2 * draws[:, 7:11] - 1) * np.array(strengths) * changed[:, None]
    brightness, contrast, saturation = (1 + factor[:, :3]).T
    matrix = saturation[:, None, None] * np.eye(3) + (1 - saturation)[:, None, None] * _LUMA
    if recipe.hue:
        matrix = _hue(2 * math.pi * factor[:, 3]) @ matrix
    matrix *= (brightness * contrast)[:, None, None]
    return matrix.reshape(-1, 9), (1 - contrast) * brightness


def _hue(angle: Numbers) -> Numbers:
    turn = np.zeros((len(angle), 3, 3))
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 1, 2], turn[:, 2, 1] = -np.sin(angle), np.sin(angle)
    matrices: Numbers = np.linalg.inv(_YIQ) @ turn @ _YIQ
    return matrices


def _grid(affine: Tensor, height: int, width: int) -> Tensor:
    """Where `grid_sample` looks for each output pixel, (n, H, W, 2).

    As `F.affine_grid`, which multiplies matrices: slower, and rounded to bfloat16 by autocast.
    """
    right, down = (_centres(side, affine.device) for side in (width, height))
    rows = affine[:, :, 1:2] * down + affine[:, :, 2:3]
    columns = affine[:, :, 0:1] * right
    return (rows[:, :, :, None] + columns[:, :, None, :]).permute(0, 2, 3, 1)


@cache
def _centres(side: int, device: torch.device) -> Tensor:
    """Centres of pixels in coordinates that go from -1 to 1 over an image's side."""
    return ((2 * torch.arange(side) + 1) / side - 1).to(device)


@cache
def _luma(device: torch.device) -> Tensor:
    """The matrix that makes an image grey: Rec. 601 luma in each channel, (3, 3)."""
    return torch.tensor(_LUMA, dtype=torch.float32).expand(3, 3).to(device)
