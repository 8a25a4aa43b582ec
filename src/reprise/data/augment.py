"""Augmentation of whole batches with one draw an image.

Every number that is drawn comes from `uniform(seed, epoch, row, view)`: two images of a batch
differ, and neither the batch size nor the order of work can change what an image looks like.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from reprise.data.randomness import uniform
from reprise.params import Augment

DRAWS = 14
# luma and chroma axes of NTSC's YIQ: turning the chroma plane shifts the hue
_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_LUMA = _YIQ[0]


def augment(
    images: Tensor, rows: Tensor, recipe: Augment, seed: int, epoch: int, view: int = 0
) -> Tensor:
    """Augmented copies of images (n, 3, H, W) float in 0..1; `rows` (n,) address the draws."""
    draws = draw(rows, seed, epoch, view).to(images.device, images.dtype)
    images = geometry(images, draws, recipe)
    if recipe.jitter and (recipe.brightness or recipe.contrast or recipe.saturation or recipe.hue):
        images = colour(images, draws, recipe)
    if recipe.grey:
        grey = luma(images).expand_as(images)
        images = torch.where(_column(draws[:, 13] < recipe.grey), grey, images)
    return images


def draw(rows: Tensor, seed: int, epoch: int, view: int) -> Tensor:
    """The uniform numbers of each image, (n, DRAWS) float64 in [0, 1)."""
    return torch.from_numpy(uniform(seed, epoch, rows.cpu().numpy(), view, DRAWS))


def geometry(images: Tensor, draws: Tensor, recipe: Augment, mode: str = "bilinear") -> Tensor:
    """Flip, turn, shift, rotate and crop images or, with mode 'nearest', label maps (n, C, H, W).

    Images and label maps that get the same draws move together.
    """
    if recipe.dihedral:
        images = dihedral(images, (draws[:, 0] * 8).long())
    elif recipe.flip:
        images = dihedral(images, (draws[:, 0] * 2).long())
    if recipe.crop == 1.0 and not recipe.shift and not recipe.rotate:
        return images
    grid = F.affine_grid(_affine(draws, recipe), list(images.shape), align_corners=False)
    return F.grid_sample(
        images, grid.to(images.dtype), mode=mode, padding_mode="reflection", align_corners=False
    )


def dihedral(images: Tensor, codes: Tensor) -> Tensor:
    """One of the square's eight symmetries for each image (n, C, H, W).

    Code 0 is the identity, 1 the left-right flip; codes 2 to 7 add one, two or three quarter
    turns. Exact: pixels move, nothing is interpolated. Odd quarter turns need H = W.
    """
    moved = images.clone(memory_format=torch.preserve_format)
    for code in range(1, 8):
        chosen = codes == code
        if chosen.any():
            part = images[chosen]
            part = part.flip(-1) if code % 2 else part
            moved[chosen] = part.rot90(code // 2, (-2, -1))
    return moved


def colour(images: Tensor, draws: Tensor, recipe: Augment) -> Tensor:
    """Brightness, contrast, saturation and hue, in this order, for a share `jitter` of the images.

    Factors are uniform in 1 -+ strength; contrast is around the image's mean luma; hue turns the
    chroma plane by at most `hue` of a full turn.
    """
    factor = 2 * draws[:, 7:11] - 1
    changed = images * _column(1 + factor[:, 0] * recipe.brightness)
    middle = luma(changed).mean(dim=(1, 2, 3), keepdim=True)
    changed = middle + (changed - middle) * _column(1 + factor[:, 1] * recipe.contrast)
    grey = luma(changed)
    changed = grey + (changed - grey) * _column(1 + factor[:, 2] * recipe.saturation)
    if recipe.hue:
        changed = _turn_hue(changed, factor[:, 3] * recipe.hue)
    changed = changed.clamp(0, 1)
    return torch.where(_column(draws[:, 11] < recipe.jitter), changed, images)


def luma(images: Tensor) -> Tensor:
    """Rec. 601 luma, (n, 1, H, W)."""
    weights = _LUMA.to(images.device, images.dtype)
    return (images * weights[:, None, None]).sum(dim=1, keepdim=True)


def _turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    yiq = _YIQ.to(images.device, images.dtype)
    angle = 2 * math.pi * turns
    turn = torch.zeros(len(images), 3, 3, dtype=images.dtype, device=images.device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = angle.cos()
    turn[:, 1, 2], turn[:, 2, 1] = -angle.sin(), angle.sin()
    return torch.einsum("nij,njhw->nihw", torch.linalg.inv(yiq) @ turn @ yiq, images)


def _affine(draws: Tensor, recipe: Augment) -> Tensor:
    """(n, 2, 3) maps from output to input coordinates, for a random resized crop and the like.

    As torchvision's RandomResizedCrop: area uniform in crop..1, log aspect ratio uniform in
    3/4..4/3, place uniform; the side is capped at the whole image.
    """
    area = recipe.crop + (1 - recipe.crop) * draws[:, 1]
    aspect = ((2 * draws[:, 2] - 1) * math.log(4 / 3)).exp() if recipe.crop < 1 else 1.0
    width = (area * aspect).sqrt().clamp(max=1.0)
    height = (area / aspect).sqrt().clamp(max=1.0)
    angle = (2 * draws[:, 5] - 1) * math.radians(recipe.rotate)
    theta = torch.zeros(len(draws), 2, 3, dtype=draws.dtype, device=draws.device)
    theta[:, 0, 0], theta[:, 0, 1] = width * angle.cos(), -height * angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = width * angle.sin(), height * angle.cos()
    theta[:, 0, 2] = (2 * draws[:, 3] - 1) * (1 - width) + (2 * draws[:, 6] - 1) * 2 * recipe.shift
    theta[:, 1, 2] = (2 * draws[:, 4] - 1) * (1 - height) + (
        2 * draws[:, 12] - 1
    ) * 2 * recipe.shift
    return theta


def _column(values: Tensor) -> Tensor:
    return values[:, None, None, None]
