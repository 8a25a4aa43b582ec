"""VICReg against a float64 reference written from the equations and the authors' code."""

import numpy as np
import pytest
import torch
from support.ssl_methods import pairs, toy
from torch import nn

from reprise.training.ssl.vicreg import vicreg_loss

WEIGHTS = {"sim": 25.0, "std": 25.0, "cov": 1.0}


def reference(first: np.ndarray, second: np.ndarray, sim: float, std: float, cov: float) -> float:
    """Equation 6; the invariance is also divided by d, and the variance halved, as in the code."""
    n, d = first.shape
    total = sim * float(((first - second) ** 2).sum()) / (n * d)
    for z in (first, second):
        spread = np.sqrt(z.var(0, ddof=1) + 1e-4)
        total += std / 2 * float(np.maximum(0, 1 - spread).sum()) / d
        c = np.cov(z.T)
        total += cov * sum(c[i, j] ** 2 for i in range(d) for j in range(d) if i != j) / d
    return total


def test_the_loss_is_equation_6() -> None:
    first, second = pairs()
    first, second = (z.detach() * 0.7 for z in (first, second))  # some hinges are closed
    expected = reference(first.numpy(), second.numpy(), 25, 25, 1)
    assert vicreg_loss(first, second, **WEIGHTS).item() == pytest.approx(expected, rel=1e-12)
    first, second = (z.requires_grad_() for z in (first, second))
    assert torch.autograd.gradcheck(lambda a, b: vicreg_loss(a, b, **WEIGHTS), (first, second))


@pytest.mark.parametrize("term", WEIGHTS)
def test_each_term_is_weighted_by_its_own_key(term: str) -> None:
    first, second = (z.detach() * 0.7 for z in pairs())
    alone = {name: float(name == term) for name in WEIGHTS}
    expected = reference(first.numpy(), second.numpy(), **alone)
    assert vicreg_loss(first, second, **alone).item() == pytest.approx(expected, rel=1e-12)
    assert expected > 0


def test_a_constant_network_pays_the_whole_variance_term() -> None:
    z = torch.ones(6, 4, dtype=torch.float64)
    assert vicreg_loss(z, z, **WEIGHTS).item() == pytest.approx(25 * (1 - 0.01))


def test_the_projector_has_three_layers_and_no_norm_at_the_end() -> None:
    head = toy("vicreg").encoder[1]
    layer = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert [type(part) for part in head] == [*layer, *layer, nn.Linear]
    assert [part.bias is None for part in head if isinstance(part, nn.Linear)] == [
        False,
        False,
        True,
    ]
