"""The recipe of BYOL (Grill et al. 2020)."""

from reprise.params.base import Channels, Share
from reprise.params.pretrain import TwoViewRecipe


class Recipe(TwoViewRecipe):
    """BYOL.

    base_tau: of the target network. use_momentum: false: no target network, as SimSiam.
    ema_buffers: the target's batch norm statistics follow the online network's too.
    """

    base_tau: Share = 0.99
    proj_hidden_dim: Channels = 4096
    proj_output_dim: Channels = 256
    use_momentum: bool = True
    ema_buffers: bool = False
