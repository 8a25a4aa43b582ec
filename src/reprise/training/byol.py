"""Bootstrap Your Own Latent (Grill et al. 2020, arXiv 2006.07733), and SimSiam as a mode of it.

Numbers in comments are those of the paper and of the authors' code (byol/ in their repository).
"""

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.models.backbone import Backbone
from reprise.models.substitutes import TWO_VIEWS, become
from reprise.training import schedules

LEAST_SPREAD = 0.25  # both: see `collapsed`
LEAST_RANK = 2.0


def mlp(width: int, hidden: int, out: int) -> nn.Sequential:
    """Projector or predictor: linear, batch norm, ReLU, linear without bias (networks.py)."""
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, out, bias=False),
    )


def simsiam_mlp(width: int, hidden: int, out: int) -> nn.Sequential:
    """SimSiam's projector: three linear layers without bias, each with batch norm.

    ReLU after the first two; the last norm has no scale and no shift of its own (Chen and He 2021,
    arXiv 2011.10566, section 3, and their simsiam/builder.py).
    """
    return nn.Sequential(
        nn.Linear(width, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, out, bias=False),
        nn.BatchNorm1d(out, affine=False),
    )


class Byol(nn.Module):
    """Online network with predictor, and a target network that follows its parameters.

    forward: two views (n, 3, H, W) -> loss (a mean over n, in 0..8). Batch norm sees one view at a
    time. All else sees both in one batch where `together` says so, which changes the order in which
    numbers are added and nothing else: weights are read once, at the price of a copy for each norm.

    The target has no gradient. In training its batch norm normalises each batch with the
    statistics of that batch and keeps running statistics of its own, as in the authors' code.

    ema_buffers: the target's running statistics follow the online network's as its parameters do,
    by the same tau, and counters are copied; nothing else changes them. The target normalises with
    them, in training too (it stays in evaluation mode): EMAN (Cai et al. 2021, arXiv 2101.08482).
    Statistics that followed but were not used would change no result.

    use_momentum=False: no target network. Both views are compared with the online network's own
    projections, without a gradient, and the projector is SimSiam's; the predictor stays BYOL's. So
    does byol-pytorch with the option of that name, in a second forward pass; its projections are
    those of the first, so they are computed once here, and running statistics are updated once for
    each view and step where they are updated twice there. `target` is None, tau has no effect.
    """

    target: nn.Sequential | None

    def __init__(
        self,
        backbone: Backbone,
        hidden: int,
        projection: int,
        tau: float,
        *,
        use_momentum: bool = True,
        ema_buffers: bool = False,
        together: bool = False,
    ) -> None:
        super().__init__()
        projector = (mlp if use_momentum else simsiam_mlp)(backbone.width, hidden, projection)
        self.online = nn.Sequential(backbone, projector)
        self.predictor = mlp(projection, hidden, projection)
        self.together = together
        if together:
            become(self, TWO_VIEWS)
        self.target = None
        if use_momentum:
            self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.ema_buffers = ema_buffers
        self.base_tau = tau
        self.tau = tau
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, all but a target that normalises with its own statistics."""
        super().train(mode)
        if self.target is not None and self.ema_buffers:
            self.target.eval()
        return self

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        projections = self._of_views(self.online, first, second)
        predictions = self._of_views(self.predictor, *projections)
        with torch.no_grad():
            targets = (
                [projection.detach() for projection in projections]
                if self.target is None
                else self._of_views(self.target, first, second)
            )
        losses = regression_loss(predictions[0], targets[1])
        losses = losses + regression_loss(predictions[1], targets[0])
        return losses.mean()

    def _of_views(self, network: nn.Module, first: Tensor, second: Tensor) -> Sequence[Tensor]:
        """What a network makes of each view."""
        if self.together:
            return network(torch.cat([first, second])).chunk(2)  # type: ignore[no-any-return]
        return [network(first), network(second)]

    @torch.no_grad()
    def update_target(self, step: int, steps: int) -> None:
        """Move the target towards the online network; call it after each step of the optimizer.

        `step` counts the steps that are done, of `steps` in all: the first update has the base tau.
        Does nothing where there is no target network.
        """
        if self.target is None:
            return
        self.tau = schedules.tau(self.base_tau, step - 1, steps)
        target: list[Tensor] = list(self.target.parameters())
        online: list[Tensor] = list(self.online.parameters())
        if self.ema_buffers:
            for mine, other in zip(self.target.buffers(), self.online.buffers(), strict=True):
                if mine.is_floating_point():
                    target.append(mine)
                    online.append(other)
                else:
                    mine.copy_(other)
        torch._foreach_lerp_(target, online, 1 - self.tau)

    def trained(self) -> Iterator[nn.Parameter]:
        """What the optimizer trains."""
        yield from self.online.parameters()
        yield from self.predictor.parameters()


def regression_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """2 - 2 cos(prediction, target) for each pair (n, d), (n,) in 0..4 (equation 2).

    Computed in float32 at least, so that bfloat16 does not round the cosine.
    """
    dtype = torch.promote_types(prediction.dtype, torch.float32)
    return 2 - 2 * F.cosine_similarity(prediction.to(dtype), target.to(dtype), dim=1)


def spread(projections: Tensor) -> tuple[float, float]:
    """How far a network is from collapse, from its projections (n, d).

    Returns the mean over dimensions of the standard deviation of the l2-normalised projections
    (1/sqrt(d) when they fill the sphere, 0 when all are one; Chen and He 2021), and the effective
    rank (Roy and Vetterli 2007: exp of the entropy of the normalised singular values, 1 to d).
    Both are nan when a projection is not finite.
    """
    unit = F.normalize(projections.float(), dim=1)
    if not unit.isfinite().all():
        return math.nan, math.nan
    shares = torch.linalg.svdvals(unit - unit.mean(dim=0))
    shares = shares / shares.sum().clamp(min=1e-12)
    entropy = -(shares * shares.clamp(min=1e-12).log()).sum()
    return float(unit.std(dim=0).mean()), float(entropy.exp())


def collapsed(std: float, rank: float, width: int) -> bool:
    """Whether projections of `width` dimensions with this `spread` have collapsed.

    They have when they lie in one spot or along one line, or are no numbers. The numbers were
    measured on the tiles of preset earth, after one epoch and more:

    - std * sqrt(width) < 0.25. It is 1 when they fill the sphere and at most sqrt(1 - c), c being
      the mean cosine of two images: below 0.25 when all images agree to 0.94. Networks that learned
      had 0.54 to 0.97, a random one at least 0.36 once batch norm had seen a batch, and BYOL
      without predictor and moving average, for which a constant is the best answer, 0.14 to 0.16
      after one epoch and 0.07 after three.
    - effective rank < 2, or less than half way from 1 to a width below 3: one direction. With every
      image at one of two opposite points the std is large; it sees nothing either where the
      projector ends with batch norm, as SimSiam's does. No bound above 2, since images of three
      kinds, told apart without a fault, had 3.5; networks that learned from tiles had 7 and more.

    Learning rates far too large left ranks of 2.8 to 3.8 and a kNN accuracy below that of a random
    network; this does not find them, `knn_accuracy` does.
    """
    spot = not std * math.sqrt(width) >= LEAST_SPREAD  # true for nan
    return spot or rank < min(LEAST_RANK, (1 + width) / 2)
