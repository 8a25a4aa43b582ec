"""Segmentation tasks."""

from typing import Literal, Self

from pydantic import model_validator

from reprise.params.base import (
    Distinct,
    Name,
    Pixels,
    Positive,
    TrainingTask,
    invalid,
    require_name,
)
from reprise.params.training import NetworkName, Training, WidthMult


class SegmentRecipe(Training):
    """One segmentation network.

    width_mult: of the channels of VGG-16. weights: none or a name of the block `weights`.
    middle_epoch: the epoch of the middle masks; null: half of all. merge_classes: train on this
    many merged classes. loss: see training/segmentation.py. freeze_bn: of fcn8s: batch norm keeps
    mean 0 and variance 1, as in the starter of the CS6550 homework. score_shown_epochs: count the
    test split at the early, middle and final epoch too.
    """

    model: NetworkName
    width_mult: WidthMult = 1.0
    weights: Name = "none"
    image_size: Pixels
    middle_epoch: Positive | None = None
    merge_classes: Literal[3] | None = None
    loss: Literal["cross_entropy", "weighted_cross_entropy", "bce"] = "cross_entropy"
    freeze_bn: bool = False
    score_shown_epochs: bool = False

    @property
    def shown_epochs(self) -> dict[str, int]:
        """The epochs whose masks are saved: early, middle and final."""
        middle = self.middle_epoch or (self.epochs + 1) // 2
        return {"early": 1, "middle": middle, "final": self.epochs}

    @model_validator(mode="after")
    def _shown_epochs_are_trained(self) -> Self:
        if self.patience and self.score_shown_epochs:
            raise invalid("patience: score_shown_epochs needs the last epoch; remove one of them")
        return self


class SegmentTask(TrainingTask):
    """Segmentation networks on one dataset.

    images: ids of test images whose masks are shown. overlays: runs whose masks are also shown over
    the image, as the 2022 homework does. published_curve: the run whose scores by epoch are drawn
    over those that public logs of the CS6550 starter give.
    """

    images: Distinct[list[str]]
    overlays: Distinct[list[Name]] = []
    published_curve: Name | None = None
    recipes: dict[Name, SegmentRecipe]

    @model_validator(mode="after")
    def _shown_runs_exist(self) -> Self:
        for run in self.overlays:
            require_name("overlays", run, self.recipes, "recipes")
        if self.published_curve is not None:
            require_name("published_curve", self.published_curve, self.recipes, "recipes")
        early = [run for run in self.runs if self.recipes[run].patience]
        if self.images and early:
            raise invalid(
                f"recipes.{early[0]}.patience: the masks of `images` are of the last epoch too; "
                "set images: [], or patience: 0"
            )
        return self
