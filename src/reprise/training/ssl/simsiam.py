"""SimSiam (Chen and He 2021, arXiv 2011.10566).

Sizes and layers are those of section 3 of the paper and of the authors' simsiam/builder.py.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from reprise.models.backbone import Backbone
from reprise.params.simsiam import Recipe
from reprise.training.ssl.layers import full_precision, mlp
from reprise.training.ssl.two_views import TwoViews


class SimSiam(TwoViews):
    """The prediction of each view is compared with the other's projection, without a gradient.

    forward: two views (n, 3, H, W) -> loss (a mean over n, in -1..1). The projector has three
    linear layers without bias, each with batch norm, ReLU after two, and no scale and shift in the
    last norm. The predictor is a bottleneck: linear, batch norm, ReLU, linear with bias.
    """

    further_parts = ("predictor",)

    def __init__(self, backbone: Backbone, recipe: Recipe, concat_views: bool = False) -> None:
        super().__init__(backbone, recipe, concat_views)
        hidden, out = recipe.proj_hidden_dim, recipe.proj_output_dim
        projector = mlp([backbone.width, hidden, hidden, out], last_norm=False)
        self.encoder = nn.Sequential(backbone, projector)
        self.predictor = mlp([out, recipe.pred_hidden_dim, out], last_bias=True)
        if concat_views:
            self.concatenate_views()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        projections = self.for_views(self.encoder, first, second)
        predictions = self.for_views(self.predictor, *projections)
        one = negative_cosine(predictions[0], projections[1].detach())
        return one / 2 + negative_cosine(predictions[1], projections[0].detach()) / 2


@full_precision
def negative_cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """Minus the mean cosine of pairs (n, d) (equation 1)."""
    return -F.cosine_similarity(prediction, target, dim=1).mean()


pretrain = SimSiam.pretrain
trained_layers = SimSiam.trained_layers
