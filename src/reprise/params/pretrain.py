"""Pretraining tasks; the recipe of a method is the class `Recipe` of params/<method>.py."""

import importlib
from pathlib import Path
from typing import Any, Literal

from pydantic import SerializeAsAny, field_validator

from reprise.params.base import Name, Positive, TrainingTask, invalid, require_name
from reprise.params.training import Training

Stem = Literal["imagenet", "small"]


class Pretraining(Training):
    """What all methods share; knn_k: neighbours of the kNN accuracy."""

    method: Name
    backbone: Name
    stem: Stem
    knn_k: Positive = 20


def methods() -> list[str]:
    """Names of the pretraining methods: modules of reprise.params that subclass Pretraining."""
    folder = Path(__file__).parent
    files = sorted(folder.glob("*.py"))
    return [file.stem for file in files if "class Recipe(Pretraining)" in file.read_text()]


def recipe_type(method: str) -> type[Pretraining]:
    """The class of a method's recipes. Raises a validation error for an unknown method."""
    require_name("method", method, methods(), "the methods")
    recipe: type[Pretraining] = importlib.import_module(f"reprise.params.{method}").Recipe
    return recipe


class PretrainTask(TrainingTask):
    """Pretraining on one dataset."""

    recipes: dict[str, SerializeAsAny[Pretraining]]

    @field_validator("recipes", mode="before")
    @classmethod
    def _by_method(cls, recipes: Any) -> Any:
        if not isinstance(recipes, dict):
            return recipes
        return {run: _typed(run, values) for run, values in recipes.items()}


def _typed(run: str, values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    if not isinstance(values.get("method"), str):
        raise invalid(f"{run}: needs a method; choose from {', '.join(methods())}")
    return recipe_type(values["method"]).model_validate(values)
