"""Bilinear interpolation, on a GPU with a gradient that is deterministic and fast."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F


def resize_bilinear(x: Tensor, height: int, width: int) -> Tensor:
    """Feature maps (n, C, h, w) resized to (n, C, height, width), in their dtype.

    As `F.interpolate` with mode 'bilinear' and without `align_corners`. On a GPU torch's
    deterministic gradient of it sorts all indices, which took a fifth of a DeepLabV3-ResNet101
    step at 512 px (H200, torch 2.11). Two matrix products give the same up to rounding.
    """
    if x.device.type in ("cpu", "meta"):
        return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)
    return resize_by_products(x, height, width)


def resize_by_products(x: Tensor, height: int, width: int) -> Tensor:
    """`resize_bilinear` as a product with a matrix on each side, computed in float32."""
    with torch.autocast(x.device.type, enabled=False):
        rows = interpolation_matrix(x.shape[-2], height, x.device)
        columns = interpolation_matrix(x.shape[-1], width, x.device)
        return (rows @ x.float() @ columns.T).to(x.dtype)


@cache
def interpolation_matrix(size: int, new_size: int, device: torch.device) -> Tensor:
    """The weights of the old values in each new value of a row, (new_size, size) float32."""
    with torch.no_grad():
        unit_rows = torch.eye(size, device=device)[None]
        return F.interpolate(unit_rows, new_size, mode="linear", align_corners=False)[0].T
