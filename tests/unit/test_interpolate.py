"""Bilinear interpolation by matrix products is torch's."""

import pytest
import torch
from torch.nn import functional as F

from reprise.models.interpolate import resize_bilinear, resize_by_products

SIZES = [((1, 1), (5, 7)), ((4, 6), (32, 48)), ((7, 5), (16, 3)), ((9, 9), (9, 9))]


@pytest.mark.parametrize(("size", "new_size"), SIZES)
def test_values_and_gradient_are_those_of_torch(
    size: tuple[int, int], new_size: tuple[int, int]
) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float32, requires_grad=True)
    expected = F.interpolate(x, new_size, mode="bilinear", align_corners=False)
    weights = torch.randn_like(expected)
    gradients = []
    for y in (expected, resize_by_products(x, *new_size)):
        assert torch.allclose(y, expected, atol=1e-5)
        (gradient,) = torch.autograd.grad((y * weights).sum(), x)
        gradients.append(gradient)
    assert torch.allclose(*gradients, atol=1e-4)


def test_it_stays_precise_under_autocast() -> None:
    """bfloat16 weights would be off by a pixel's 256th part."""
    x = torch.randn(1, 2, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y = resize_by_products(x, 31, 31)
    assert torch.allclose(y, resize_bilinear(x, 31, 31), atol=1e-5)
    half = resize_by_products(x.bfloat16(), 31, 31)
    assert half.dtype is torch.bfloat16
