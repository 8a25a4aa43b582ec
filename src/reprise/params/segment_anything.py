"""Tasks of Segment Anything, which is not trained here."""

from typing import Annotated, Literal

from pydantic import Field

from reprise.params.base import Block, Distinct, Name, Seed, Share, Task


class SegmentAnythingRecipe(Block):
    """How the masks of an image are found; the defaults are the authors'.

    model: small tries the pipeline without a checkpoint. weights: a name of the block `weights`;
    none: random, so that the masks mean nothing. points_per_side: of the grid of point prompts.
    min_predicted_iou, min_stability: masks with less are dropped. seed: of random weights.
    """

    model: Literal["vit_b", "vit_l", "vit_h", "small"]
    weights: Name
    points_per_side: Annotated[int, Field(gt=0, le=256)] = 32
    min_predicted_iou: Share = 0.88
    min_stability: Share = 0.95
    seed: Seed = 0


class SegmentAnythingTask(Task):
    """Masks of everything in named images of one dataset."""

    images: Distinct[list[str]]
    recipes: dict[Name, SegmentAnythingRecipe]
