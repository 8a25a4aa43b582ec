"""SimCLR against a float64 reference written from equation 1."""

import math

import numpy as np
import pytest
import torch
from support.ssl_methods import pairs, toy, views
from torch import nn

from reprise.training.ssl.simclr import nt_xent


def reference(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """Equation 1, averaged over all 2n positive pairs, in loops."""
    z = np.concatenate([first, second])
    n = len(first)

    def sim(i: int, j: int) -> float:
        return float(z[i] @ z[j] / np.linalg.norm(z[i]) / np.linalg.norm(z[j])) / temperature

    total = 0.0
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        others = sum(math.exp(sim(i, k)) for k in range(2 * n) if k != i)
        total -= math.log(math.exp(sim(i, j)) / others)
    return total / (2 * n)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_loss_is_equation_1(temperature: float) -> None:
    first, second = pairs()
    loss = nt_xent(first, second, temperature=temperature)
    expected = reference(first.detach().numpy(), second.detach().numpy(), temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, temperature=0.5), (first, second))


def test_the_loss_depends_on_directions_alone_and_is_symmetric() -> None:
    first, second = pairs()
    loss = nt_xent(first, second, temperature=0.2)
    assert nt_xent(3 * first, second / 7, temperature=0.2).item() == pytest.approx(loss.item())
    assert nt_xent(second, first, temperature=0.2).item() == pytest.approx(loss.item())


def test_both_views_are_one_batch_for_batch_norm() -> None:
    model, (first, second) = toy("simclr"), views()
    norm = model.encoder[0].net[2]
    model(first, second)
    both = model.encoder[0].net[1](torch.cat([first, second]).flatten(1))
    torch.testing.assert_close(norm.running_mean, 0.1 * both.mean(dim=0))
    assert norm.num_batches_tracked == 1


def test_the_projector_is_the_papers_with_two_layers() -> None:
    head = toy("simclr").encoder[1]
    kinds = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d]
    assert [type(layer) for layer in head] == kinds
    assert head[0].bias is None and head[3].bias is None
