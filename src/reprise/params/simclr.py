"""The recipe of SimCLR (Chen et al. 2020)."""

from reprise.params.base import Channels, Rate
from reprise.params.pretrain import TwoViewRecipe


class Recipe(TwoViewRecipe):
    """SimCLR; temperature: of the loss (0.1 in the authors' code, 0.5 for CIFAR-10)."""

    proj_hidden_dim: Channels = 2048
    proj_output_dim: Channels = 128
    temperature: Rate = 0.1
