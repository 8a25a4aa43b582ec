"""The recipe of VICReg (Bardes, Ponce and LeCun 2022)."""

from reprise.params.base import Channels, Rate
from reprise.params.pretrain import TwoViewRecipe


class Recipe(TwoViewRecipe):
    """VICReg; sim_weight, std_weight, cov_weight: lambda, mu and nu of equation 6."""

    proj_hidden_dim: Channels = 8192
    proj_output_dim: Channels = 8192
    sim_weight: Rate = 25.0
    std_weight: Rate = 25.0
    cov_weight: Rate = 1.0
