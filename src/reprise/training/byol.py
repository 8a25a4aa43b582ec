"""Bootstrap Your Own Latent (Grill et al. 2020, arXiv 2006.07733).

Numbers in comments are those of the paper and of the authors' code (byol/ in their repository).
"""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.models.backbone import Backbone
from reprise.training import schedules


def mlp(width: int, hidden: int, out: int) -> nn.Sequential:
    """Projector or predictor: linear, batch norm, ReLU, linear without bias (networks.py)."""
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, out, bias=False),
    )


class Byol(nn.Module):
    """Online network with predictor, and a target network that follows its parameters.

    forward: two views (n, 3, H, W) -> loss (a mean over n). The target has no gradient; its batch
    norm works on its own batches, one view at a time, and its running statistics are its own.
    """

    def __init__(self, backbone: Backbone, hidden: int, projection: int, tau: float) -> None:
        super().__init__()
        self.online = nn.Sequential(backbone, mlp(backbone.width, hidden, projection))
        self.predictor = mlp(projection, hidden, projection)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.base_tau = tau
        self.tau = tau

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        online = [self.predictor(self.online(view)) for view in (first, second)]
        with torch.no_grad():
            target = [self.target(view) for view in (first, second)]
        losses = regression_loss(online[0], target[1]) + regression_loss(online[1], target[0])
        return losses.mean()

    @torch.no_grad()
    def update_target(self, step: int, steps: int) -> None:
        """Move the target's parameters towards the online ones; call it after each step.

        `step` counts the steps that are done. Buffers stay the target's own.
        """
        self.tau = schedules.tau(self.base_tau, step - 1, steps)
        target: list[Tensor] = list(self.target.parameters())
        online: list[Tensor] = list(self.online.parameters())
        torch._foreach_lerp_(target, online, 1 - self.tau)

    def trained(self) -> Iterator[nn.Parameter]:
        """What the optimizer trains."""
        yield from self.online.parameters()
        yield from self.predictor.parameters()


def regression_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """2 - 2 cos(prediction, target) for each pair, (n,) float32 in 0..4 (equation 2)."""
    return 2 - 2 * F.cosine_similarity(prediction.float(), target.float(), dim=1)


def spread(projections: Tensor) -> tuple[float, float]:
    """How far a network is from collapse, from its projections (n, d).

    Returns the mean over dimensions of the standard deviation of the l2-normalised projections
    (1/sqrt(d) when they fill the sphere, 0 when all are one; Chen and He 2021), and the effective
    rank (Roy and Vetterli 2007: exp of the entropy of the normalised singular values, 1 to d).
    """
    unit = F.normalize(projections.float(), dim=1)
    shares = torch.linalg.svdvals(unit - unit.mean(dim=0))
    shares = shares / shares.sum().clamp(min=1e-12)
    entropy = -(shares * shares.clamp(min=1e-12).log()).sum()
    return float(unit.std(dim=0).mean()), float(entropy.exp())
