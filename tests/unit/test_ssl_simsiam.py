"""SimSiam against a float64 reference written from equations 1 and 2."""

import numpy as np
import pytest
import torch
from support.ssl_methods import pairs, toy, views
from torch import nn

from reprise.training.ssl.simsiam import negative_cosine


def distance(p: np.ndarray, z: np.ndarray) -> float:
    """Equation 1, averaged over the batch."""
    total = 0.0
    for one, other in zip(p, z, strict=True):
        total -= float(one / np.linalg.norm(one) @ (other / np.linalg.norm(other)))
    return total / len(p)


def test_the_distance_is_equation_1() -> None:
    p, z = pairs()
    expected = distance(p.detach().numpy(), z.detach().numpy())
    assert negative_cosine(p, z).item() == pytest.approx(expected, rel=1e-12)


def test_the_loss_is_equation_2_and_targets_have_no_gradient() -> None:
    model, (first, second) = toy("simsiam"), views()
    z = [model.encoder(view) for view in (first, second)]
    p = [model.predictor(x) for x in z]
    loss = model(first, second)
    numbers = [x.detach().numpy() for x in (*p, *z)]
    expected = distance(numbers[0], numbers[3]) / 2 + distance(numbers[1], numbers[2]) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    loss.backward()
    gradient = model.encoder[0].net[1].weight.grad.clone()
    model.zero_grad()
    by_hand = -sum(
        torch.nn.functional.cosine_similarity(p[i], z[1 - i].detach(), dim=1).mean() / 2
        for i in (0, 1)
    )
    by_hand.backward()
    torch.testing.assert_close(gradient, model.encoder[0].net[1].weight.grad)


def test_projector_and_predictor_are_the_papers() -> None:
    model = toy("simsiam")
    layer = [nn.Linear, nn.BatchNorm1d]
    assert [type(x) for x in model.encoder[1]] == [*layer, nn.ReLU, *layer, nn.ReLU, *layer]
    assert not model.encoder[1][7].affine and model.encoder[1][4].affine
    assert [type(x) for x in model.predictor] == [*layer, nn.ReLU, nn.Linear]
    assert model.predictor[0].bias is None and model.predictor[3].bias is not None
    assert model.predictor[0].out_features == 4
