"""The losses of the other methods against lightly's, in float64 with gradients.

They have an environment of their own; see test_oracles.py. Temperatures of DINO are powers of two,
because lightly keeps them in float32. Its loss also moves the center, which is part of the network
here.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from reprise.training.ssl.barlow_twins import cross_correlation_loss
from reprise.training.ssl.dino import distillation_loss
from reprise.training.ssl.moco_v2 import info_nce
from reprise.training.ssl.simclr import nt_xent
from reprise.training.ssl.simsiam import negative_cosine
from reprise.training.ssl.vicreg import vicreg_loss

loss = pytest.importorskip("lightly.loss", reason="see test_oracles.py")


def views(n: int = 6, d: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, n, d, dtype=torch.float64, generator=generator)
    return first, second


def same(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], *tensors: Tensor) -> None:
    """The same value, and the same gradient for each tensor."""
    results = []
    for function in (ours, theirs):
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        value = function(*leaves)
        value.backward()
        results.append([value.detach(), *(leaf.grad for leaf in leaves)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_simclr() -> None:
    theirs = loss.NTXentLoss(temperature=0.1)
    same(lambda a, b: nt_xent(a, b, temperature=0.1), theirs, *views())


def test_barlow_twins() -> None:
    theirs = loss.BarlowTwinsLoss(lambda_param=5e-3)
    same(lambda a, b: cross_correlation_loss(a, b, weight=5e-3), theirs, *views())


def test_vicreg() -> None:
    theirs = loss.VICRegLoss(lambda_param=25, mu_param=25, nu_param=1)
    same(lambda a, b: vicreg_loss(a, b, sim=25, std=25, cov=1), theirs, *views())


def test_simsiam() -> None:
    same(negative_cosine, loss.NegativeCosineSimilarity(), *views())


def test_moco_v2() -> None:
    queries, keys = views()
    theirs = loss.NTXentLoss(temperature=0.2, memory_bank_size=(8, 5))
    theirs(queries.float(), keys.float())  # makes the bank
    bank = F.normalize(torch.randn(8, 5, dtype=torch.float64), dim=1)
    theirs.memory_bank.bank = bank
    same(lambda q: info_nce(q, keys, bank, temperature=0.2), lambda q: theirs(q, keys), queries)


def test_dino() -> None:
    first, second = views()
    teacher = [view + 0.1 for view in views()]
    theirs = loss.DINOLoss(output_dim=5, student_temp=0.125).double()
    center = torch.zeros(5, dtype=torch.float64)
    same(
        lambda a, b: distillation_loss(a, b, *teacher, center, student=0.125, teacher=0.0625),
        lambda a, b: theirs(teacher, [a, b], teacher_temp=0.0625),
        first, second,
    )  # fmt: skip
