"""The recipe of MoCo v2 (Chen et al. 2020)."""

from typing import Self

from pydantic import model_validator

from reprise.params.base import Channels, Positive, Rate, Share, invalid
from reprise.params.pretrain import TwoViewRecipe


class Recipe(TwoViewRecipe):
    """MoCo v2.

    queue_size: keys of earlier batches, a multiple of batch_size. temperature: of the loss.
    momentum_encoder: how much of the key encoder stays at each step.
    """

    proj_hidden_dim: Channels = 2048
    proj_output_dim: Channels = 128
    queue_size: Positive = 65536
    temperature: Rate = 0.2
    momentum_encoder: Share = 0.999

    @model_validator(mode="after")
    def _whole_batches_fill_the_queue(self) -> Self:
        if self.queue_size % self.batch_size:
            raise invalid(
                f"queue_size {self.queue_size} is not a multiple of batch_size {self.batch_size}"
            )
        return self
