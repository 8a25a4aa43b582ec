"""What every training job shares: device, published weights, schedule, augmentation."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import AfterValidator, Field, RootModel, field_validator, model_validator

from reprise.errors import one_line
from reprise.params import libraries
from reprise.params.base import (
    NAME,
    PARAMS,
    Block,
    Count,
    Decay,
    Distinct,
    Name,
    Pixels,
    Positive,
    Rate,
    Share,
    invalid,
    validate,
    value_at,
)
from reprise.params.reader import read_yaml

AutoAugment = Literal[
    "trivial_wide", "autoaugment_cifar10", "cutout", "cutout_16", "cutout_16_slip", "blur"
]
# what Augment.order orders
STEPS: Final = ("auto_augment", "geometry", "colors")
Step = Literal["auto_augment", "geometry", "colors"]
Schedule = Literal[
    "constant", "cosine", "cosine_restarts", "step", "milestones", "exponential", "polynomial"
]
# narrower networks would have layers without a channel
WidthMult = Annotated[float, Field(ge=1 / 32, le=1)]


def _network(text: str) -> str:
    if not re.fullmatch(NETWORK, text):
        shown = one_line(text, 60)
        raise invalid(
            f"'{shown}' is not the name of a network; use one of src/reprise/models, timm/<name>, "
            "or smp/<decoder>/<encoder>"
        )
    return text


NETWORK = f"{NAME}|{libraries.PATTERN}"
# whether there is such a network is checked with the whole file
NetworkName = Annotated[
    str, AfterValidator(_network), Field(json_schema_extra={"pattern": f"^({NETWORK})$"})
]
# what a Runtime can have with numerics: portable; the first is suggested
PORTABLE: dict[str, tuple[object, ...]] = {
    "device": ("cpu", "auto"), "precision": ("float32", "auto"), "threads": (1,),
}  # fmt: skip
# keys of epochs that the last of `epochs` may be, but none after it
EPOCHS = ("warmup", "feature_epochs", "middle_epoch", "ensemble_epochs")


class Runtime(Block):
    """Device, precision and threads of every job, processes of a training.

    precision: auto is bfloat16 where the CPU or GPU has instructions for it, otherwise float32;
    float16: only on GPUs. processes: that compute one training together, on a GPU each or, without
    GPUs, on `threads` CPU cores each; the result does not depend on their number. A recipe with
    micro_batches: 1 is trained by one. numerics: fast, or portable: float32 on a CPU with the
    same bytes on every x86-64 CPU that has AVX2 (see reprise.numerics).
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    threads: Annotated[int, Field(gt=0, le=64)] = 1
    processes: Annotated[int, Field(gt=0, le=64)] = 1
    numerics: Literal["fast", "portable"] = "fast"

    @model_validator(mode="after")
    def _portable(self) -> Self:
        if self.numerics == "portable":
            for key, allowed in PORTABLE.items():
                if getattr(self, key) not in allowed:
                    raise invalid(
                        f"{key}: {getattr(self, key)} is not possible with numerics: portable; use "
                        f"{allowed[0]}"
                    )
        return self


class WeightsFile(Block):
    """A file of published weights; without an address the user has to obtain it.

    path: below the project. sha256: its first 8 digits or more; null: any file is accepted, with a
    warning that names its sha256, unless it has an address: then `reprise weights` writes it here.
    torchvision, timm: its name there, such as ResNet101_Weights.IMAGENET1K_V1 or
    resnet50d.ra2_in1k. url: where else it can be downloaded.
    """

    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")] | None
    torchvision: str | None = None
    timm: str | None = None
    url: str | None = None

    @property
    def published(self) -> bool:
        """Whether it has an address."""
        return bool(self.torchvision or self.timm or self.url)


class Augment(Block):
    """Random changes of an image; with the defaults nothing changes.

    min_scale: smallest area of a random resized crop. flip: left-right. flip_vertical: up-down too,
    with flip. dihedral: one of the eight flips and quarter turns. translate: maximum shift, as a
    share of the width and of the height. degrees: maximum rotation. brightness, contrast,
    saturation, hue: maximum change, for a share color_jitter_p of the images. grayscale_p: share of
    the images.
    auto_augment: published policies (see datasets/policies.py). shared_auto_augment: the same,
    drawn once for an image: both views of pretraining share them; applied before everything.
    order: of the policies of auto_augment, of geometry (crops, flips, turns, rotations and shifts)
    and of colors (jitter and grayscale).
    fill: what rotations and shifts put where there is no image: its reflection, or black.
    crop_pixels: a square of this side is cut at the scale of the stored image, at random in
    training and from the center in evaluation; label maps are cut alike. eval_resize: in evaluation
    the shorter side is scaled to this many pixels and the center is cut; in training min_scale
    takes its crops from the whole stored image. Without either the stored image is scaled to the
    size of the recipe's images.
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
    shared_auto_augment: list[AutoAugment] = []
    order: Distinct[list[Step]] = list(STEPS)
    fill: Literal["reflect", "black"] = "reflect"
    crop_pixels: Pixels | None = None
    eval_resize: Pixels | None = None

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.flip_vertical and not self.flip:
            raise invalid("flip_vertical needs flip: true; or use dihedral")
        if missing := [step for step in STEPS if step not in self.order]:
            raise invalid(f"order: {missing[0]} is missing; order {', '.join(STEPS)}")
        if self.crop_pixels and (self.interpolates or self.eval_resize):
            raise invalid(
                "crop_pixels crops at the scale of the image; remove min_scale, translate, degrees "
                "and eval_resize"
            )
        if self.eval_resize and (self.min_scale == 1 or self.dihedral or self.degrees):
            raise invalid(
                "eval_resize needs min_scale below 1, for the crops in training, and neither "
                "dihedral nor degrees"
            )
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


class MeanStd(Block):
    """Mean and standard deviation of red, green and blue, in 0..1.

    Pixels become (value / 255 - mean) / std. The starter of the CS6550 homework subtracts its means
    of blue, green and red from red, green and blue, and divides by 255 only: mean [0.407596,
    0.457953, 0.48502] (103.939, 116.779 and 123.68, over 255), std [1, 1, 1].
    """

    mean: Annotated[list[Share], Field(min_length=3, max_length=3)]
    std: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=3, max_length=3)]


Normalize = Literal["dataset", "imagenet", "none", "network"]


class Training(Block):
    """What every training job shares; see training/schedules.py for the schedules.

    micro_batches: the pieces in which a batch is computed, each with its own statistics of batch
    norm (see training/pieces.py); a multiple of runtime.processes. momentum: of sgd. amsgrad: of
    adam and adamw. max_grad_norm: clip the gradient's norm.
    lr_interval: how often the learning rate changes. warmup: epochs. step_size: epochs, of the
    schedule step. T_0, T_mult: of cosine_restarts: epochs of the first cycle, growth factor.
    milestones: epochs after which the rate falls. gamma: factor of step, milestones, exponential.
    power: of polynomial. restart_epochs: consecutive trainings, each with a new optimizer and the
    whole schedule. patience: epochs without a better score on val after which the training stops,
    but no epoch that the recipe names is left out; 0: it never stops early. The schedule is that of
    `epochs` in any case. normalize: whose mean and std: of the train images, of ImageNet, of a
    network of timm or smp, or the numbers themselves; none: pixels are in 0..1.
    """

    epochs: Positive
    batch_size: Positive
    micro_batches: Positive = 1
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
    patience: Count = 0
    normalize: Normalize | MeanStd = "dataset"
    augment: Augment = Augment()

    @field_validator("normalize", mode="before")
    @classmethod
    def _by_name_or_numbers(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return MeanStd.model_validate(value)
        if not isinstance(value, MeanStd) and value not in get_args(Normalize):
            names = ", ".join(get_args(Normalize))
            text = (
                f"'{one_line(value, 80)}' is not known; choose from {names}, or give mean and std"
            )
            raise invalid(text)
        return value

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
        size, crop = getattr(self, "image_size", None), self.augment.crop_pixels
        if crop and size and crop != size:
            raise invalid(
                f"augment.crop_pixels is {crop}, but image_size is {size}; make them equal"
            )
        if size and (self.augment.eval_resize or size) < size:
            raise invalid(f"augment.eval_resize is less than image_size, {size}; raise it")
        for key in EPOCHS:
            value = getattr(self, key, None) or 0
            if (last := max(value) if isinstance(value, list) else value) > self.epochs:
                raise invalid(f"{key}: {last} is after the last epoch; epochs is {self.epochs}")
        if self.patience and self.named_epochs == self.epochs:
            raise invalid(
                f"patience: no epoch can be left out, because another key needs epoch "
                f"{self.epochs}; remove it from feature_epochs, or set patience: 0"
            )
        return self

    @property
    def named_epochs(self) -> int:
        """The last epoch that a key of EPOCHS needs; 0 if there is none."""
        values = [getattr(self, key, None) or 0 for key in EPOCHS]
        return max(max(value) if isinstance(value, list) else value for value in values)


def load_runtime(path: Path = PARAMS) -> Runtime:
    """The block `runtime`, its defaults if there is none. Raises RepriseError if it is wrong."""
    return validate(Runtime, value_at(read_yaml(path), "runtime") or {}, str(path), "runtime")


def load_weights(path: Path = PARAMS) -> dict[str, WeightsFile]:
    """The block `weights`, {} if there is none. Raises RepriseError if it is wrong."""
    block = RootModel[dict[Name, WeightsFile]]
    return validate(block, value_at(read_yaml(path), "weights") or {}, str(path), "weights").root
