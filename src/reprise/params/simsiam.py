"""The recipe of SimSiam (Chen and He 2021)."""

from reprise.params.base import Channels
from reprise.params.pretrain import TwoViewRecipe


class Recipe(TwoViewRecipe):
    """SimSiam; pred_hidden_dim: width of the predictor's bottleneck."""

    proj_hidden_dim: Channels = 2048
    proj_output_dim: Channels = 2048
    pred_hidden_dim: Channels = 512
