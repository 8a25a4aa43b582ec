"""VICReg (Bardes, Ponce and LeCun 2022, arXiv 2105.04906).

The loss is equations 1 to 6; numbers are those of the authors' main_vicreg.py.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.models.backbone import Backbone
from reprise.params.vicreg import Recipe
from reprise.training.ssl.layers import full_precision, mlp
from reprise.training.ssl.two_views import TwoViews


class VicReg(TwoViews):
    """Equal projections of two views, dimensions that vary and do not correlate.

    forward: two views (n, 3, H, W) -> loss (at least 0). The projector (the paper's expander) has
    three linear layers, with batch norm and ReLU between them, and no bias in the last.
    """

    def __init__(self, backbone: Backbone, recipe: Recipe, concat_views: bool = False) -> None:
        super().__init__(backbone, recipe, concat_views)
        hidden, out = recipe.proj_hidden_dim, recipe.proj_output_dim
        projector = mlp([backbone.width, hidden, hidden, out], bias=True)
        self.encoder = nn.Sequential(backbone, projector)
        self.weights = recipe.sim_weight, recipe.std_weight, recipe.cov_weight
        if concat_views:
            self.concatenate_views()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        projections = self.for_views(self.encoder, first, second)
        sim, std, cov = self.weights
        return vicreg_loss(*projections, sim=sim, std=std, cov=cov)


@full_precision
def vicreg_loss(first: Tensor, second: Tensor, *, sim: float, std: float, cov: float) -> Tensor:
    """sim * invariance + std * variance + cov * covariance of two views (n, d) (equation 6).

    invariance: the mean squared difference over n and d, as in the code; the paper's equation 5 is
    a mean over n alone. variance: the mean over d of max(0, 1 - sqrt(var + 1e-4)), half for each
    view, as in the code (equation 1). covariance: the squared covariances of different dimensions,
    over d (equations 3 and 4). Variances have the denominator n - 1.
    """
    invariance = F.mse_loss(first, second)
    centered = [view - view.mean(dim=0) for view in (first, second)]
    variances = [view.var(dim=0) + 1e-4 for view in centered]
    # not `sqrt()`, which on CPUs begins with an approximation that differs between vendors
    hinges = [F.relu(1 - variance * variance.rsqrt()).mean() for variance in variances]
    return sim * invariance + std * (hinges[0] + hinges[1]) / 2 + cov * sum_covariances(centered)


def sum_covariances(centered: list[Tensor]) -> Tensor:
    """The squares of the covariances of different dimensions over d, added up for both views."""
    total = torch.zeros((), dtype=centered[0].dtype, device=centered[0].device)
    for view in centered:
        covariance = view.T @ view / (len(view) - 1)
        squares = covariance.square()
        total = total + (squares.sum() - squares.diagonal().sum()) / view.shape[1]
    return total


pretrain = VicReg.pretrain
trained_layers = VicReg.trained_layers
