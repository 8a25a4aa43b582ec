"""What every training job shares: budget, optimizer, schedule, augmentation."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from reprise.params.block import Block, Count, Positive, Rate, Share

Policy = Literal["trivial_wide", "autoaugment_cifar10", "cutout", "blur"]


class Augment(Block):
    """Per-image random changes; each default means: not at all."""

    crop: Annotated[float, Field(gt=0, le=1)] = 1.0  # least area of a random resized crop
    flip: bool = False  # left-right
    dihedral: bool = False  # one of the eight flips and quarter turns
    shift: Share = 0.0  # most, as a share of the width
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0  # most, in degrees
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    jitter: Share = 0.8  # probability of the four above
    grey: Share = 0.0  # probability
    flip_vertical: bool = False  # up-down too; with flip
    policy: list[Policy] = []  # torchvision's, before the rest; see data/policies.py

    @model_validator(mode="after")
    def _flips(self) -> Self:
        if self.flip_vertical and not self.flip:
            raise PydanticCustomError(
                "schedule", "{text}", {"text": "flip_vertical needs flip: true; or use dihedral"}
            )
        return self


Schedule = Literal[
    "constant", "cosine", "cosine_restarts", "step", "milestones", "exponential", "polynomial"
]


class Training(Block):
    """What every training job shares."""

    epochs: Positive
    batch_size: Positive
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: Rate
    momentum: Share = 0.9  # of sgd
    amsgrad: bool = False  # of adam and adamw
    clip_norm: Rate | None = None  # of the gradient
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Schedule = "cosine"  # see training/schedules.py
    schedule_by: Literal["step", "epoch"] = "step"  # how often the learning rate changes
    warmup: Count = 0  # epochs
    period: Count = 0  # epochs; of step and cosine_restarts
    multiply: Positive = 1  # each period of cosine_restarts is so many times as long
    milestones: list[Positive] = []  # epochs after which the rate falls; of the schedule milestones
    gamma: Share = 0.1  # of step, milestones and exponential
    power: Rate = 0.9  # of polynomial
    phases: list[Positive] = []  # epochs; each phase has a new optimizer and the whole schedule
    normalise: Literal["set", "imagenet"] = "set"  # whose mean and std
    augment: Augment = Augment()

    @model_validator(mode="after")
    def _schedule(self) -> Self:
        if self.schedule in ("step", "cosine_restarts") and not self.period:
            raise PydanticCustomError(
                "schedule", "{text}", {"text": f"schedule {self.schedule} needs period, in epochs"}
            )
        if (self.schedule == "milestones") != bool(self.milestones):
            raise PydanticCustomError(
                "schedule", "{text}", {"text": "schedule milestones and the list go together"}
            )
        if self.phases and sum(self.phases) != self.epochs:
            raise PydanticCustomError(
                "schedule",
                "{text}",
                {"text": f"phases make {sum(self.phases)} epochs, and epochs is {self.epochs}"},
            )
        return self
