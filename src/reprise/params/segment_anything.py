"""Tasks of Segment Anything, which is not trained here."""

from typing import Literal

from reprise.params.base import Block, Count, Positive, Share, Task


class SegmentAnythingRecipe(Block):
    """How the masks of an image are found; the defaults are the authors'.

    model: small tries the pipeline without a checkpoint. weights: a name of the block `weights`;
    none: random, so that the masks mean nothing. points_per_side: of the grid of point prompts.
    min_predicted_iou, min_stability: masks with less are dropped. seed: of random weights.
    """

    model: Literal["vit_b", "vit_l", "vit_h", "small"]
    weights: str
    points_per_side: Positive = 32
    min_predicted_iou: Share = 0.88
    min_stability: Share = 0.95
    seed: Count = 0


class SegmentAnythingTask(Task):
    """Masks of everything in named images of one dataset."""

    images: list[str]
    recipes: dict[str, SegmentAnythingRecipe]
