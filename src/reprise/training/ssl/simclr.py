"""SimCLR (Chen et al. 2020, arXiv 2002.05709).

The loss is equation 1; sizes are those of the authors' code (objective.py and model_util.py in
their repository), with the projector of two layers that the paper describes in section 2.1.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.models.backbone import Backbone
from reprise.params.simclr import Recipe
from reprise.training.ssl.layers import full_precision, mlp
from reprise.training.ssl.two_views import TwoViews


class SimClr(TwoViews):
    """Each view has to be told apart from all other images of the batch by its partner.

    forward: two views (n, 3, H, W) -> loss (a mean over 2n, at least 0). Both views are one batch
    for every layer, batch norm included, as in the authors' run.py. The projector is linear, batch
    norm, ReLU, linear without bias, batch norm.
    """

    def __init__(self, backbone: Backbone, recipe: Recipe, concat_views: bool = False) -> None:
        super().__init__(backbone, recipe, concat_views)
        widths = [backbone.width, recipe.proj_hidden_dim, recipe.proj_output_dim]
        self.encoder = nn.Sequential(backbone, mlp(widths, last_norm=True))
        self.temperature = recipe.temperature

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        projections = self.encoder(torch.cat([first, second])).chunk(2)
        return nt_xent(*projections, temperature=self.temperature)


@full_precision
def nt_xent(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """The normalised temperature-scaled cross-entropy of two views (n, d) (equation 1).

    The mean over the 2n projections i of
    -log(exp(s(i, j) / t) / sum over k != i of exp(s(i, k) / t)),
    where j is the other view of i, s the cosine, and t the temperature.
    """
    unit = F.normalize(torch.cat([first, second]), dim=1)
    logits = unit @ unit.T / temperature
    logits = logits.fill_diagonal_(-torch.inf)
    partners = torch.arange(len(unit), device=unit.device).roll(len(first))
    return F.cross_entropy(logits, partners)


pretrain = SimClr.pretrain
trained_layers = SimClr.trained_layers
