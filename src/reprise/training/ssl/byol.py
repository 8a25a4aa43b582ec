"""Bootstrap Your Own Latent (Grill et al. 2020, arXiv 2006.07733), and SimSiam as a mode of it.

Numbers in comments are those of the paper and of the authors' code (byol/ in their repository).
"""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.models.backbone import Backbone
from reprise.params.byol import Recipe
from reprise.training import schedules
from reprise.training.loop import Row
from reprise.training.ssl.layers import follow, frozen_copy, full_precision, mlp
from reprise.training.ssl.two_views import TwoViews


class Byol(TwoViews):
    """Online network (`encoder`) with predictor, and a target network that follows its parameters.

    forward: two views (n, 3, H, W) -> loss (a mean over n, in 0..8). Projector and predictor are a
    linear layer, batch norm, ReLU and a linear layer without bias (networks.py).

    The target has no gradient. In training its batch norm normalises each batch with the
    statistics of that batch and keeps its own running statistics, as in the authors' code.

    ema_buffers: the target's running statistics follow the online network's with the same tau, as
    its parameters do, and the target normalises with them in training too: it stays in evaluation
    mode (EMAN, Cai et al. 2021, arXiv 2101.08482).

    use_momentum=False: no target network (`target` is None). Both views are compared with the
    online network's projections, without a gradient, and the projector is SimSiam's; the predictor
    stays BYOL's.
    """

    further_parts = ("predictor",)

    target: nn.Sequential | None

    def __init__(self, backbone: Backbone, recipe: Recipe, concat_views: bool = False) -> None:
        super().__init__(backbone, recipe, concat_views)
        width, hidden, out = backbone.width, recipe.proj_hidden_dim, recipe.proj_output_dim
        if recipe.use_momentum:
            projector = mlp([width, hidden, out], bias=True)
        else:
            projector = mlp([width, hidden, hidden, out], last_norm=False)
        self.encoder = nn.Sequential(backbone, projector)
        self.predictor = mlp([out, hidden, out], bias=True)
        if concat_views:
            self.concatenate_views()
        self.target = frozen_copy(self.encoder) if recipe.use_momentum else None
        self.ema_buffers = recipe.ema_buffers
        self.tau = self.base_tau = recipe.base_tau
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, except a target that normalises with running statistics."""
        super().train(mode)
        if self.target is not None and self.ema_buffers:
            self.target.eval()
        return self

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        projections = self.for_views(self.encoder, first, second)
        predictions = self.for_views(self.predictor, *projections)
        targets = [projection.detach() for projection in projections]
        if self.target is not None:
            with torch.no_grad():
                targets = list(self.for_views(self.target, first, second))
        first_loss = regression_loss(predictions[0], targets[1])
        return (first_loss + regression_loss(predictions[1], targets[0])).mean()

    @torch.no_grad()
    def after_step(self, step: int, steps: int) -> None:
        """Move the target towards the online network; the first update uses the base tau."""
        if self.target is None:
            return
        self.tau = schedules.tau(self.base_tau, step - 1, steps)
        follow(self.target, self.encoder, self.tau)
        if self.ema_buffers:
            for buffer, source in zip(self.target.buffers(), self.encoder.buffers(), strict=True):
                if buffer.is_floating_point():
                    buffer.lerp_(source, 1 - self.tau)
                else:
                    buffer.copy_(source)

    def history(self) -> Row:
        """The tau of the last update."""
        return {"tau": self.tau}


@full_precision
def regression_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """2 - 2 cos(prediction, target) for each pair (n, d), (n,) in 0..4 (equation 2)."""
    return 2 - 2 * F.cosine_similarity(prediction, target, dim=1)


pretrain = Byol.pretrain
trained_layers = Byol.trained_layers
