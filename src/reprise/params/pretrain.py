"""Pretraining tasks; the recipe of a method is the class `Recipe` of params/<method>.py."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import SerializeAsAny, field_validator, model_validator

from reprise import plugins
from reprise.params.base import Channels, Name, Positive, TrainingTask, invalid, require_name
from reprise.params.training import Augment, NetworkName, Training

Stem = Literal["imagenet", "small"]


class Pretraining(Training):
    """What all methods share; knn_k: neighbours of the kNN accuracy."""

    method: Name
    backbone: NetworkName
    stem: Stem
    knn_k: Positive = 20


class TwoViewRecipe(Pretraining):
    """What methods share that compare two views of an image.

    proj_hidden_dim, proj_output_dim: widths of the projector.

    allow_collapse: go on when all projections are the same. patience: must be 0, because the last
    epoch is kept: the loss cannot choose one.
    """

    proj_hidden_dim: Channels
    proj_output_dim: Channels
    allow_collapse: bool = False

    @model_validator(mode="after")
    def _last_epoch_is_kept(self) -> Self:
        if self.patience:
            raise invalid(
                f"patience: {self.method} keeps the last epoch, and chooses none by val; set 0"
            )
        return self

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


def methods() -> list[str]:
    """Names of the pretraining methods: modules of reprise.params that subclass Pretraining.

    Those of other packages come last (see reprise.plugins).
    """
    folder, marker = Path(__file__).parent, "\nclass Recipe("
    ours = [file.stem for file in sorted(folder.glob("*.py")) if marker in file.read_text("utf-8")]
    return ours + [file.stem for file in plugins.files("params", marker) if file.stem not in ours]


class PretrainTask(TrainingTask):
    """Pretraining on one dataset."""

    recipes: dict[Name, SerializeAsAny[Pretraining]]

    @field_validator("recipes", mode="before")
    @classmethod
    def _by_method(cls, recipes: Any) -> Any:
        typed = isinstance(recipes, dict)
        return {run: _typed(run, recipes[run]) for run in recipes} if typed else recipes


def _typed(run: str, values: Any) -> Any:
    """The values of a recipe as its method's class."""
    if not isinstance(values, dict):
        return values
    method = values.get("method")
    if not isinstance(method, str):
        raise invalid(f"{run}: needs a method; choose from {', '.join(methods())}")
    require_name("method", method, methods(), "the methods")
    return plugins.load("params", method).Recipe.model_validate(values)
