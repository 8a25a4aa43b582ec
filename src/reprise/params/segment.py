"""Segmentation tasks."""

from typing import Literal

from reprise.params.base import Distinct, Name, Pixels, Positive, TrainingTask
from reprise.params.training import Training, WidthMult


class SegmentRecipe(Training):
    """One segmentation network.

    width_mult: of the channels of VGG-16. weights: none or a name of the block `weights`.
    middle_epoch: the epoch of the middle masks; null: half of all. merge_classes: train on this
    many merged classes. loss: see training/segmentation.py. freeze_bn: of fcn8s: batch norm keeps
    mean 0 and variance 1, as in the starter of the CS6550 homework.
    """

    model: Name
    width_mult: WidthMult = 1.0
    weights: Name = "none"
    image_size: Pixels
    middle_epoch: Positive | None = None
    merge_classes: Literal[3] | None = None
    loss: Literal["cross_entropy", "weighted_cross_entropy", "bce"] = "cross_entropy"
    freeze_bn: bool = False

    @property
    def shown_epochs(self) -> dict[str, int]:
        """The epochs whose masks are saved: early, middle and final."""
        middle = self.middle_epoch or (self.epochs + 1) // 2
        return {"early": 1, "middle": middle, "final": self.epochs}


class SegmentTask(TrainingTask):
    """Segmentation networks on one dataset; `images`: ids of test images whose masks are shown."""

    images: Distinct[list[str]]
    recipes: dict[Name, SegmentRecipe]
