"""Barlow Twins (Zbontar et al. 2021, arXiv 2103.03230).

The loss is equations 1 and 2; numbers are those of the authors' main.py.
"""

from torch import Tensor, nn

from reprise.models.backbone import Backbone
from reprise.params.barlow_twins import Recipe
from reprise.training.ssl.layers import full_precision, mlp
from reprise.training.ssl.two_views import TwoViews


class BarlowTwins(TwoViews):
    """The projections of two views, dimension by dimension, correlate with themselves alone.

    forward: two views (n, 3, H, W) -> loss (at least 0). The projector has three linear layers
    without bias, with batch norm and ReLU between them.
    """

    def __init__(self, backbone: Backbone, recipe: Recipe, concat_views: bool = False) -> None:
        super().__init__(backbone, recipe, concat_views)
        hidden, out = recipe.proj_hidden_dim, recipe.proj_output_dim
        self.encoder = nn.Sequential(backbone, mlp([backbone.width, hidden, hidden, out]))
        self.redundancy_weight = recipe.redundancy_weight
        if concat_views:
            self.concatenate_views()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        projections = self.for_views(self.encoder, first, second)
        return cross_correlation_loss(*projections, weight=self.redundancy_weight)


@full_precision
def cross_correlation_loss(first: Tensor, second: Tensor, *, weight: float) -> Tensor:
    """sum over i of (1 - C[i, i])^2 + weight * sum over i != j of C[i, j]^2 (equations 1 and 2).

    C is the (d, d) correlation matrix over the batch of two views (n, d). As in the authors' code,
    which normalises by batch norm, variances have the denominator n, and 1e-5 is added to them.
    """
    one, two = (
        # not `/ sqrt()`, which on CPUs begins with an approximation that differs between vendors
        (view - view.mean(dim=0)) * (view.var(dim=0, correction=0) + 1e-5).rsqrt()
        for view in (first, second)
    )
    correlation = one.T @ two / len(one)
    diagonal = correlation.diagonal()
    off_diagonal = correlation.square().sum() - diagonal.square().sum()
    return (1 - diagonal).square().sum() + weight * off_diagonal


pretrain = BarlowTwins.pretrain
trained_layers = BarlowTwins.trained_layers
