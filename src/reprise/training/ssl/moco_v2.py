"""MoCo (He et al. 2020, arXiv 1911.05722), version 2 (Chen et al. 2020, arXiv 2003.04297).

The loss is equation 1 of the first paper; the projector, its temperature and the augmentation are
those of the second. Numbers are those of the authors' code (moco/builder.py, main_moco.py). Its
shuffling of batch norm between GPUs has nothing to shuffle on one device, and is left out.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.models.backbone import Backbone
from reprise.params.moco_v2 import Recipe
from reprise.training.ssl.layers import follow, frozen_copy, full_precision
from reprise.training.ssl.two_views import TwoViews


class MocoV2(TwoViews):
    """The first view has to find the second among the keys of earlier batches.

    forward: two views (n, 3, H, W) -> loss (a mean over n, at least 0). The keys of the second view
    come from a key encoder that follows the encoder; after the step they replace the oldest of the
    queue. The projector is linear, ReLU, linear, without batch norm.
    """

    per_image = ("keys",)

    queue: Tensor
    oldest: Tensor
    keys: Tensor

    def __init__(self, backbone: Backbone, recipe: Recipe, concat_views: bool = False) -> None:
        super().__init__(backbone, recipe, concat_views)
        hidden, out = recipe.proj_hidden_dim, recipe.proj_output_dim
        projector = nn.Sequential(
            nn.Linear(backbone.width, hidden), nn.ReLU(), nn.Linear(hidden, out)
        )
        self.encoder = nn.Sequential(backbone, projector)
        self.key_encoder = frozen_copy(self.encoder)
        self.momentum, self.temperature = recipe.momentum_encoder, recipe.temperature
        self.register_buffer("queue", F.normalize(torch.randn(recipe.queue_size, out), dim=1))
        self.register_buffer("oldest", torch.zeros((), dtype=torch.long))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        queries = self.encoder(first)
        with torch.no_grad():
            keys = F.normalize(self.key_encoder(second).to(self.queue.dtype), dim=1)
        self.keys = keys  # into the queue after the backward pass, which needs it as it is
        return info_nce(queries, keys, self.queue, temperature=self.temperature)

    @torch.no_grad()
    def after_step(self, step: int, steps: int) -> None:
        """Move the key encoder towards the encoder (equation 2); put the keys into the queue."""
        follow(self.key_encoder, self.encoder, self.momentum)
        rows = (self.oldest + torch.arange(len(self.keys), device=self.keys.device)) % len(
            self.queue
        )
        self.queue.index_copy_(0, rows, self.keys)
        self.oldest.copy_((self.oldest + len(self.keys)) % len(self.queue))


@full_precision
def info_nce(queries: Tensor, keys: Tensor, queue: Tensor, *, temperature: float) -> Tensor:
    """The mean of -log(exp(q k / t) / (exp(q k / t) + sum over the queue of exp(q k' / t))).

    queries, keys: (n, d), normalised here; queue: (K, d), of length 1 (equation 1).
    """
    queries, keys = F.normalize(queries, dim=1), F.normalize(keys, dim=1)
    positive = (queries * keys).sum(dim=1, keepdim=True)
    logits = torch.cat([positive, queries @ queue.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


pretrain = MocoV2.pretrain
trained_layers = MocoV2.trained_layers
