"""The block of Segment Anything, which learns nothing here."""

from typing import Literal

from reprise.params.block import Block, Count, Name, Positive, Share


class AnythingRecipe(Block):
    """How the masks of an image are found; the defaults are the authors'."""

    model: Literal["vit_b", "vit_l", "vit_h", "small"]  # small: to try the pipeline, no checkpoint
    weights: str  # a name of the weights block; none: random, its masks mean nothing
    points: Positive = 32  # a side of the grid that is asked
    least_iou: Share = 0.88  # masks whose predicted IoU is less are dropped
    least_stability: Share = 0.95
    seed: Count = 0  # of random weights


class Anything(Block):
    """Masks of everything in named images of one data set."""

    data: str
    runs: list[Name]
    images: list[str]
    recipes: dict[str, AnythingRecipe]
