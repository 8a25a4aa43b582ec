"""MoCo v2 against a float64 reference written from equations 1 and 2."""

import math

import numpy as np
import pytest
import torch
from support.ssl_methods import pairs, recipe_of, toy, views
from torch.nn import functional as F

from reprise.training.ssl.moco_v2 import MocoV2, info_nce


def moco() -> MocoV2:
    model = toy("moco_v2", momentum_encoder=0.9)
    assert isinstance(model, MocoV2)
    return model


def reference(q: np.ndarray, k: np.ndarray, queue: np.ndarray, temperature: float) -> float:
    """Equation 1 with one positive key for each query, averaged over the queries."""
    total = 0.0
    for query, key in zip(q, k, strict=True):
        query, key = query / np.linalg.norm(query), key / np.linalg.norm(key)
        positive = math.exp(query @ key / temperature)
        negative = sum(math.exp(query @ other / temperature) for other in queue)
        total -= math.log(positive / (positive + negative))
    return total / len(q)


def test_the_loss_is_equation_1() -> None:
    q, k = pairs()
    queue = F.normalize(torch.randn(7, 4, dtype=torch.float64), dim=1)
    loss = info_nce(q, k, queue, temperature=0.2)
    expected = reference(q.detach().numpy(), k.detach().numpy(), queue.numpy(), 0.2)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(lambda a: info_nce(a, k, queue, temperature=0.2), (q,))


def test_new_keys_replace_the_oldest_and_the_queue_goes_round() -> None:
    model = moco()  # twelve keys, six a step
    start = model.queue.clone()
    batches = []
    for step in (1, 2, 3):
        model(*views())
        batches.append(model.keys)
        model.after_step(step, 3)
        if step == 1:
            assert torch.equal(model.queue, torch.cat([batches[0], start[6:]]))
    assert torch.equal(model.queue, torch.cat([batches[2], batches[1]]))
    assert int(model.oldest) == 6
    torch.testing.assert_close(model.queue.norm(dim=1), torch.ones(12, dtype=torch.float64))


def test_keys_are_of_the_second_view_by_the_key_encoder_and_have_no_gradient() -> None:
    model, (first, second) = moco(), views()
    with torch.no_grad():
        for parameter in model.key_encoder.parameters():
            parameter.add_(torch.randn_like(parameter) / 5)
        keys = F.normalize(model.key_encoder(second), dim=1)
        queries = model.encoder(first)
    loss = model(first, second)
    assert torch.equal(model.keys, keys) and not model.keys.requires_grad
    expected = reference(queries.numpy(), keys.numpy(), model.queue.numpy(), 0.2)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_the_key_encoder_follows_by_equation_2() -> None:
    model = moco()
    before = [p.clone() for p in model.key_encoder.parameters()]
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(1)
    model(*views())
    model.after_step(1, 10)
    pairs_of = zip(before, model.key_encoder.parameters(), model.encoder.parameters(), strict=True)
    for old, new, source in pairs_of:
        torch.testing.assert_close(new, 0.9 * old + 0.1 * source)


def test_a_queue_that_whole_batches_do_not_fill_is_refused() -> None:
    with pytest.raises(ValueError, match="queue_size 13 is not a multiple of batch_size 6"):
        recipe_of("moco_v2", queue_size=13)
