"""Barlow Twins against a float64 reference written from equations 1 and 2."""

import numpy as np
import pytest
import torch
from support.ssl_methods import pairs, toy
from torch import nn

from reprise.training.ssl.barlow_twins import cross_correlation_loss


def reference(first: np.ndarray, second: np.ndarray, weight: float) -> float:
    """Equations 1 and 2 of batches that batch norm with eps 1e-5 has normalised."""
    a, b = ((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5) for z in (first, second))
    n, d = first.shape
    total = 0.0
    for i in range(d):
        for j in range(d):
            c = sum(a[row, i] * b[row, j] for row in range(n)) / n
            total += (1 - c) ** 2 if i == j else weight * c**2
    return total


def test_the_loss_is_equation_1() -> None:
    first, second = pairs()
    loss = cross_correlation_loss(first, second, weight=0.0051)
    expected = reference(first.detach().numpy(), second.detach().numpy(), 0.0051)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(
        lambda a, b: cross_correlation_loss(a, b, weight=0.5), (first, second)
    )


def test_equal_views_without_correlation_have_no_loss() -> None:
    z = 1e3 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]).double()
    assert cross_correlation_loss(z, z, weight=1.0).item() == pytest.approx(0, abs=1e-15)
    assert cross_correlation_loss(z, -z, weight=1.0).item() == pytest.approx(8)


def test_the_projector_has_three_layers_without_bias_and_no_norm_at_the_end() -> None:
    head = toy("barlow_twins").encoder[1]
    layer = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert [type(part) for part in head] == [*layer, *layer, nn.Linear]
    assert all(part.bias is None for part in head if isinstance(part, nn.Linear))
