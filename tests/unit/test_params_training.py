"""What a recipe may say of its preprocessing, and what contradicts itself."""

from typing import Any

import pytest

from reprise.errors import RepriseError
from reprise.params.base import validate
from reprise.params.classify import ClassifyRecipe
from reprise.params.training import STEPS, Augment, MeanStd, Training

BASE: dict[str, Any] = {"epochs": 2, "batch_size": 2, "learning_rate": 0.1}


def error_of(values: dict[str, Any], block: type[Training] = Training) -> str:
    with pytest.raises(RepriseError) as error:
        validate(block, BASE | values, "params.yaml", "key")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_defaults_are_those_of_recipes_that_say_nothing() -> None:
    recipe = validate(Training, BASE, "params.yaml")
    assert recipe.normalize == "dataset"
    assert recipe.augment.order == list(STEPS) == ["auto_augment", "geometry", "colors"]
    assert recipe.augment.fill == "reflect" and recipe.augment.shared_auto_augment == []
    assert recipe.augment.crop_pixels is None and recipe.augment.eval_resize is None


def test_normalize_is_a_name_or_numbers() -> None:
    for name in ("dataset", "imagenet", "none"):
        assert validate(Training, BASE | {"normalize": name}, "x").normalize == name
    numbers = {"mean": [0.508, 0.481, 0.431], "std": [1, 0.199, 0.203]}
    found = validate(Training, BASE | {"normalize": numbers}, "x").normalize
    assert isinstance(found, MeanStd) and found.std == [1.0, 0.199, 0.203]


@pytest.mark.parametrize(("value", "message"), [
    ("imagenett", "key.normalize: 'imagenett' is not known; choose from dataset, imagenet, none"),
    (3, "key.normalize: '3' is not known"),
    (None, "key.normalize: 'None' is not known"),
    ({"mean": [0.5] * 3}, "key.normalize.std: Field required"),
    ({"mean": [0.5] * 2, "std": [1] * 3}, "key.normalize.mean: List should have at least 3"),
    ({"mean": [103.9] * 3, "std": [1] * 3}, "key.normalize.mean.0: Input should be less than or"),
    ({"mean": [0.5] * 3, "std": [0.5, 0, 0.5]}, "key.normalize.std.1: Input should be greater"),
    ({"meen": [0.5] * 3, "std": [1] * 3}, "key.normalize: unknown key 'meen'; did you mean"),
])  # fmt: skip
def test_another_normalization_is_one_line_that_names_the_key(value: Any, message: str) -> None:
    assert message in error_of({"normalize": value})


@pytest.mark.parametrize(("augment", "message"), [
    ({"order": ["colors", "geometry"]}, "order: auto_augment is missing; order auto_augment, "),
    ({"order": ["colors", "geometry", "colors"]}, "augment.order: 'colors' is given twice"),
    ({"order": ["colors", "crop", "auto_augment"]}, "augment.order.1: Input should be"),
    ({"fill": "white"}, "augment.fill: Input should be 'reflect' or 'black'"),
    ({"crop_pixels": 8, "degrees": 3.0}, "crop_pixels crops at the scale of the image; remove"),
    ({"crop_pixels": 8, "min_scale": 0.5, "eval_resize": 9}, "crop_pixels crops at the scale"),
    ({"eval_resize": 256}, "eval_resize needs min_scale below 1"),
    ({"eval_resize": 256, "min_scale": 0.5, "dihedral": True}, "and neither dihedral nor degrees"),
    ({"shared_auto_augment": ["cutout16"]}, "augment.shared_auto_augment.0: Input should be"),
])  # fmt: skip
def test_an_augmentation_that_contradicts_itself_is_one_line(
    augment: dict[str, Any], message: str
) -> None:
    assert message in error_of({"augment": augment})


def test_crops_fit_the_size_of_the_recipes_images() -> None:
    values = {"model": "cnn", "image_size": 224, "feature_epochs": []}
    assert "crop_pixels is 256, but image_size is 224" in error_of(
        values | {"augment": {"crop_pixels": 256}}, ClassifyRecipe
    )
    assert "augment.eval_resize is less than image_size, 224" in error_of(
        values | {"augment": {"eval_resize": 200, "min_scale": 0.5}}, ClassifyRecipe
    )
    augment = Augment(eval_resize=256, min_scale=0.5)
    assert ClassifyRecipe(**BASE, **values, augment=augment).augment.eval_resize == 256
