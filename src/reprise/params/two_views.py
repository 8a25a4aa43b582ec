"""What the recipes of methods that compare two views of an image have in common."""

from typing import Self

from pydantic import model_validator

from reprise.params.base import Channels, invalid
from reprise.params.pretrain import Pretraining
from reprise.params.training import Augment


class TwoViewRecipe(Pretraining):
    """proj_hidden_dim, proj_output_dim: widths of the projector.

    allow_collapse: go on when all projections are the same.
    """

    proj_hidden_dim: Channels
    proj_output_dim: Channels
    allow_collapse: bool = False

    @model_validator(mode="after")
    def _views_differ(self) -> Self:
        same_for_both = {"shared_auto_augment", "order", "fill", "eval_resize", "color_jitter_p"}
        if self.augment.model_dump(exclude=same_for_both) == Augment().model_dump(
            exclude=same_for_both
        ):
            raise invalid(
                f"augment changes nothing, so that both views are equal; {self.method} compares "
                "two views: give it a random crop (min_scale) and colors at least"
            )
        return self
