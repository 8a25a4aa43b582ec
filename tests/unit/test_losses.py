"""Losses of label maps are torch's."""

import numpy as np
import pytest
import torch
from support.fake_gpu import META, install, watching
from torch.nn import functional as F

from reprise.training.segmentation import Targets, inverse_shares, loss_of, weighted_cross_entropy


def test_the_losses_are_torchs() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 5, 6)
    maps = torch.randint(0, 5, (3, 5, 6), dtype=torch.uint8)  # 4 is ignored
    target, rows = maps.long(), np.arange(3)

    def loss(name: str) -> float:
        return float(loss_of(name, Targets(maps.numpy(), 4, 4), rows)(logits, target))

    assert loss("cross_entropy") == pytest.approx(
        float(F.cross_entropy(logits, target, ignore_index=4)), rel=1e-6
    )
    counts = torch.bincount(target.flatten(), minlength=5)[:4]
    weights = counts.sum() / counts
    assert torch.allclose(inverse_shares(maps.numpy(), 4), weights.float())
    assert loss("weighted_cross_entropy") == pytest.approx(
        float(F.cross_entropy(logits, target, weights, ignore_index=4)), rel=1e-6
    )
    one_hot = F.one_hot(target, 5)[..., :4].permute(0, 3, 1, 2).float()  # 0 at ignored pixels
    assert loss("bce") == pytest.approx(
        float(F.binary_cross_entropy_with_logits(logits, one_hot)), rel=1e-6
    )


def test_weights_of_classes_come_from_the_train_split_alone() -> None:
    maps = np.zeros((2, 4, 4), np.uint8)
    maps[1] = 1
    maps[0, 0] = 1
    assert inverse_shares([maps[0]], 3).tolist() == pytest.approx([4 / 3, 4, 0])
    one, other = (
        loss_of("weighted_cross_entropy", Targets(maps, 3, 9), np.array(rows))
        for rows in ([0], [0, 1])
    )
    torch.manual_seed(0)
    logits, target = torch.randn(1, 3, 4, 4), torch.from_numpy(maps[:1]).long()
    assert float(one(logits, target)) != float(other(logits, target))


@pytest.mark.parametrize("name", ["cross_entropy", "weighted_cross_entropy", "bce"])
def test_no_loss_waits_for_a_gpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    loss = loss_of(name, Targets(np.zeros((1, 4, 4), np.uint8), 3, 3), np.array([0]), META)
    logits = torch.empty(2, 3, 4, 4, device=META, requires_grad=True)
    with watching():
        loss(logits, torch.empty(2, 4, 4, dtype=torch.int64, device=META)).backward()


def test_weights_are_summed_on_cpu_without_the_zeros_of_ignored_pixels() -> None:
    """The order of a sum rounds it, and trained weights depend on it to the last bit."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 33, 31, generator=generator)
    target = torch.randint(0, 5, (2, 33, 31), generator=generator)  # 4 is ignored
    weights = torch.rand(4, generator=generator) * 30
    losses = F.cross_entropy(logits, target, weights, ignore_index=4, reduction="none")
    expected = losses.sum() / weights[target[target != 4]].sum()
    assert torch.equal(weighted_cross_entropy(logits, target, 4, weights), expected)
