"""What every training job shares: device, published weights, schedule, augmentation."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, RootModel, model_validator

from reprise.params.base import (
    PARAMS,
    Block,
    Count,
    Decay,
    Name,
    Positive,
    Rate,
    Share,
    invalid,
    validate,
    value_at,
)
from reprise.params.reader import read_yaml

AutoAugment = Literal["trivial_wide", "autoaugment_cifar10", "cutout", "blur"]
Schedule = Literal[
    "constant", "cosine", "cosine_restarts", "step", "milestones", "exponential", "polynomial"
]
# narrower networks would have layers without a channel
WidthMult = Annotated[float, Field(ge=1 / 32, le=1)]
# keys of epochs that the last of `epochs` may be, but none after it
EPOCHS = ("warmup", "feature_epochs", "middle_epoch", "ensemble_epochs")


class Runtime(Block):
    """Device, precision and threads of every job.

    precision: auto is bfloat16 where the CPU or GPU has instructions for it, otherwise float32;
    float16: only on GPUs.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    threads: Annotated[int, Field(gt=0, le=64)] = 1


class WeightsFile(Block):
    """A file of published weights; without a url the user has to obtain it.

    path: below the project. sha256: its first 8 digits or more; null: any file is accepted, with a
    warning that names its sha256. torchvision: its name in torchvision, such as
    ResNet101_Weights.IMAGENET1K_V1. url: where it can be downloaded.
    """

    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")] | None
    torchvision: str | None = None
    url: str | None = None


class Augment(Block):
    """Random changes of an image; with the defaults nothing changes.

    min_scale: smallest area of a random resized crop. flip: left-right. flip_vertical: up-down too,
    with flip. dihedral: one of the eight flips and quarter turns. translate: maximum shift, as a
    share of the width. degrees: maximum rotation. brightness, contrast, saturation, hue: maximum
    change, for a share color_jitter_p of the images. grayscale_p: share of the images.
    auto_augment: torchvision's policies, applied first (see datasets/transforms.py).
    """

    min_scale: Annotated[float, Field(gt=0, le=1)] = 1.0
    flip: bool = False
    dihedral: bool = False
    translate: Share = 0.0
    degrees: Annotated[float, Field(ge=0, le=180)] = 0.0
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    color_jitter_p: Share = 0.8
    grayscale_p: Share = 0.0
    flip_vertical: bool = False
    auto_augment: list[AutoAugment] = []

    @model_validator(mode="after")
    def _flips(self) -> Self:
        if self.flip_vertical and not self.flip:
            raise invalid("flip_vertical needs flip: true; or use dihedral")
        return self

    @property
    def interpolates(self) -> bool:
        """Whether pixels are interpolated; otherwise they keep their values."""
        return self.min_scale < 1 or self.translate > 0 or self.degrees > 0

    @property
    def changes_colors(self) -> bool:
        """Whether brightness, contrast, saturation or hue change."""
        strengths = self.brightness, self.contrast, self.saturation, self.hue
        return self.color_jitter_p > 0 and max(strengths) > 0


class Training(Block):
    """What every training job shares; see training/schedules.py for the schedules.

    momentum: of sgd. amsgrad: of adam and adamw. max_grad_norm: clip the gradient's norm.
    lr_interval: how often the learning rate changes. warmup: epochs. step_size: epochs, of the
    schedule step. T_0, T_mult: of cosine_restarts: epochs of the first cycle, growth factor.
    milestones: epochs after which the rate falls. gamma: factor of step, milestones, exponential.
    power: of polynomial. restart_epochs: consecutive trainings, each with a new optimizer and the
    whole schedule. normalize: whose mean and std.
    """

    epochs: Positive
    batch_size: Positive
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: Rate
    momentum: Share = 0.9
    amsgrad: bool = False
    max_grad_norm: Rate | None = None
    weight_decay: Decay = 0.0
    schedule: Schedule = "cosine"
    lr_interval: Literal["step", "epoch"] = "step"
    warmup: Count = 0
    step_size: Count = 0
    T_0: Count = 0
    T_mult: Positive = 1
    milestones: list[Positive] = []
    gamma: Share = 0.1
    power: Rate = 0.9
    restart_epochs: list[Positive] = []
    normalize: Literal["dataset", "imagenet"] = "dataset"
    augment: Augment = Augment()

    @model_validator(mode="after")
    def _schedule(self) -> Self:
        if self.schedule == "step" and not self.step_size:
            raise invalid("schedule step needs step_size, in epochs")
        if self.schedule == "cosine_restarts" and not self.T_0:
            raise invalid("schedule cosine_restarts needs T_0, in epochs")
        if (self.schedule == "milestones") != bool(self.milestones):
            raise invalid(
                "the schedule milestones needs the list milestones, and no other takes one"
            )
        if self.restart_epochs and sum(self.restart_epochs) != self.epochs:
            total = sum(self.restart_epochs)
            raise invalid(f"restart_epochs add up to {total}, but epochs is {self.epochs}")
        for key in EPOCHS:
            value = getattr(self, key, None) or 0
            if (last := max(value) if isinstance(value, list) else value) > self.epochs:
                raise invalid(f"{key}: {last} is after the last epoch; epochs is {self.epochs}")
        return self


def load_runtime(path: Path = PARAMS) -> Runtime:
    """The block `runtime`, its defaults if there is none. Raises RepriseError if it is wrong."""
    return validate(Runtime, value_at(read_yaml(path), "runtime") or {}, str(path), "runtime")


def load_weights(path: Path = PARAMS) -> dict[str, WeightsFile]:
    """The block `weights`, {} if there is none. Raises RepriseError if it is wrong."""
    block = RootModel[dict[Name, WeightsFile]]
    return validate(block, value_at(read_yaml(path), "weights") or {}, str(path), "weights").root
