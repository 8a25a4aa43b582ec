"""The recipe of Barlow Twins (Zbontar et al. 2021)."""

from reprise.params.base import Channels, Rate
from reprise.params.pretrain import TwoViewRecipe


class Recipe(TwoViewRecipe):
    """Barlow Twins; redundancy_weight: lambda of equation 1."""

    proj_hidden_dim: Channels = 8192
    proj_output_dim: Channels = 8192
    redundancy_weight: Rate = 0.0051
