"""DINO against a float64 reference written from the paper's algorithm 1."""

import numpy as np
import pytest
import torch
from support.ssl_methods import toy, views
from torch import nn

from reprise.training.ssl.dino import Dino, distillation_loss


def dino(**options: float) -> Dino:
    model = toy("dino", **options)
    assert isinstance(model, Dino)
    return model


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(teacher: np.ndarray, student: np.ndarray, center: np.ndarray) -> float:
    """H(t, s) of algorithm 1, with temperatures 0.04 and 0.1."""
    s, t = softmax(student / 0.1), softmax((teacher - center) / 0.04)
    return float(-(t * np.log(s)).sum(axis=1).mean())


def test_the_loss_is_algorithm_1() -> None:
    s1, s2, t1, t2 = torch.randn(4, 5, 7, dtype=torch.float64) / 5
    center = torch.randn(7, dtype=torch.float64) / 5
    loss = distillation_loss(s1, s2, t1, t2, center, student=0.1, teacher=0.04)
    n = [x.numpy() for x in (s1, s2, t1, t2, center)]
    expected = cross_entropy(n[2], n[1], n[4]) / 2 + cross_entropy(n[3], n[0], n[4]) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(
        lambda a, b: distillation_loss(a, b, t1, t2, center, student=0.1, teacher=0.04),
        (s1.requires_grad_(), s2.requires_grad_()),
    )


def test_the_center_moves_towards_the_mean_of_the_teachers_outputs() -> None:
    model = dino()
    with torch.no_grad():
        outputs = torch.cat([model.teacher(view) for view in views()])
    model(*views())
    assert not model.center.any()  # the loss of the same step has the center from before
    model.after_step(1, 10)
    torch.testing.assert_close(model.center, 0.1 * outputs.mean(dim=0))


def test_prototypes_stay_in_the_first_epoch_and_learn_from_the_second_on() -> None:
    model = dino()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    weights = [model.prototypes.weight.detach().clone()]
    for epoch in (1, 2):
        model.epoch = epoch
        optimizer.zero_grad(set_to_none=True)
        model(*views()).backward()
        optimizer.step()
        weights.append(model.prototypes.weight.detach().clone())
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[1], weights[2])


def test_prototypes_and_features_are_compared_by_their_cosine() -> None:
    model = dino()
    x = torch.randn(3, 8, dtype=torch.float64)
    logits = model.prototypes(x)
    rows = model.prototypes.weight
    cosine = (x @ rows.T) / x.norm(dim=1)[:, None] / rows.norm(dim=1)
    torch.testing.assert_close(logits, cosine)


def test_the_teachers_temperature_rises_as_in_the_authors_code() -> None:
    model = dino(teacher_temperature_start=0.04, teacher_temperature=0.07, teacher_warmup=4)
    seen = []
    for epoch in range(1, 7):
        model.epoch = epoch
        seen.append(model.teacher_temperature())
    assert seen == pytest.approx([*np.linspace(0.04, 0.07, 4), 0.07, 0.07])


def test_the_teacher_follows_the_student_ever_more_slowly() -> None:
    model = dino(base_tau=0.9)
    with torch.no_grad():
        for parameter in model.teacher.parameters():
            parameter.add_(1)
    before = [p.clone() for p in model.teacher.parameters()]
    model(*views())
    model.after_step(1, 10)
    assert model.history() == {"tau": 0.9}
    sources = [*model.encoder.parameters(), *model.prototypes.parameters()]
    for old, new, source in zip(before, model.teacher.parameters(), sources, strict=True):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * source)
    model.after_step(10, 10)
    assert 0.99 < model.tau < 1


def test_the_projector_is_drawn_from_a_narrow_normal_distribution() -> None:
    head = dino(proj_hidden_dim=256).encoder[1]
    kinds = [nn.Linear, nn.GELU, nn.Linear, nn.GELU, nn.Linear]
    assert [type(layer) for layer in head] == kinds
    assert head[2].weight.abs().max() <= 2 and head[2].weight.std().item() == pytest.approx(
        0.02, rel=0.1
    )
    assert not head[2].bias.any()
