"""Published weights: a file by path and sha256, and where it is to be had."""

from typing import Annotated

from pydantic import Field

from reprise.params.block import Block


class WeightsFile(Block):
    """A file of weights; with neither address below it, only a person can bring it."""

    path: str
    # its first 8 digits or more; null: taken as it is, with a warning that says its sha256
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")] | None
    torchvision: str | None = None  # as torchvision names it: ResNet101_Weights.IMAGENET1K_V1
    url: str | None = None
