"""BYOL against a float64 reference that is written from the paper's equations."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from reprise.models.backbone import Backbone
from reprise.training.byol import Byol, regression_loss, spread
from reprise.training.schedules import tau


def toy() -> Byol:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6), nn.ReLU())
    return Byol(Backbone(net, 6), hidden=10, projection=4, tau=0.9).double()


def views() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.rand(8, 3, 2, 2, generator=generator, dtype=torch.float64),
        torch.rand(8, 3, 2, 2, generator=generator, dtype=torch.float64),
    )


def reference_loss(model: Byol, first: Tensor, second: Tensor) -> Tensor:
    """Equations 1 and 2: mean over the batch of the sum over both directions."""

    def one(online_view: Tensor, target_view: Tensor) -> Tensor:
        q = model.predictor(model.online(online_view))
        z = model.target(target_view).detach()
        q, z = q / q.norm(dim=1, keepdim=True), z / z.norm(dim=1, keepdim=True)
        return ((q - z) ** 2).sum(dim=1)

    return (one(first, second) + one(second, first)).mean()


def test_loss_and_gradient_are_the_papers() -> None:
    ours, theirs = toy(), toy()
    loss, reference = ours(*views()), reference_loss(theirs, *views())
    assert loss.item() == pytest.approx(reference.item(), abs=1e-6)
    loss.backward()
    reference.backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (mine.grad is None) == (other.grad is None)
        if mine.grad is not None and other.grad is not None:
            assert torch.allclose(mine.grad, other.grad, atol=1e-6)


def test_three_steps_move_online_and_target_as_the_paper_says() -> None:
    ours, theirs = toy(), toy()
    first = torch.optim.SGD([p for p in ours.parameters() if p.requires_grad], 0.1)
    second = torch.optim.SGD([p for p in theirs.parameters() if p.requires_grad], 0.1)
    for k in range(3):
        first.zero_grad()
        ours(*views()).backward()
        first.step()
        ours.update_target(k + 1, 3)
        second.zero_grad()
        reference_loss(theirs, *views()).backward()
        second.step()
        share = 1 - (1 - 0.9) * (math.cos(math.pi * k / 3) + 1) / 2
        pairs = zip(theirs.target.parameters(), theirs.online.parameters(), strict=True)
        for target, online in pairs:
            target.data = share * target.data + (1 - share) * online.data
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine, other, atol=1e-6)


def test_tau_goes_from_its_base_to_one() -> None:
    assert tau(0.99, 0, 100) == pytest.approx(0.99)
    assert tau(0.99, 50, 100) == pytest.approx(0.995)
    assert tau(0.99, 100, 100) == 1.0
    assert tau(0.99, 150, 100) == 1.0


def test_the_target_has_no_gradient_and_is_another_network() -> None:
    model = toy()
    model(*views()).backward()
    assert all(p.grad is None for p in model.target.parameters())
    online = {id(p) for p in model.online.parameters()}
    assert not online & {id(p) for p in model.target.parameters()}


def test_update_leaves_the_targets_buffers_alone() -> None:
    model = toy()
    model(*views())
    before = copy.deepcopy(dict(model.target.named_buffers()))
    model.update_target(1, 10)
    assert all(torch.equal(before[name], b) for name, b in model.target.named_buffers())


def test_loss_is_zero_for_equal_directions_and_four_for_opposite_ones() -> None:
    q = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    assert torch.allclose(regression_loss(q, 5 * q), torch.zeros(2), atol=1e-6)
    assert torch.allclose(regression_loss(q, -q), torch.full((2,), 4.0))


def test_spread_tells_a_collapsed_network_from_a_healthy_one() -> None:
    random = torch.randn(2000, 64, generator=torch.Generator().manual_seed(0))
    std, rank = spread(random)
    assert std == pytest.approx(1 / 8, rel=0.05) and rank > 60
    std, _ = spread(torch.ones(100, 64))
    assert std < 1e-6
