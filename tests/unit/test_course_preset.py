"""presets/course.yaml says what the reports say; the smoke form of it runs the same recipes."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML
from torchvision.models import get_weight

from reprise.params import Params, parse
from reprise.pipeline.preset import render

PRESETS = Path(__file__).parents[2] / "presets"


@pytest.fixture(scope="module")
def course() -> Params:
    return parse(YAML(typ="safe", pure=True).load(render("course", PRESETS)))


@pytest.fixture(scope="module")
def smoke() -> Params:
    return parse(YAML(typ="safe", pure=True).load(render("course-smoke", PRESETS)))


# what the reports print: run -> epochs, batch size, optimizer, learning rate, schedule
PRINTED = {
    "dlcv2022_cnn": (90, None, "sgd", 0.01, "constant"),
    "dlcv2022_resnext101": (200, None, "sgd", 0.01, "constant"),
    "dlcv2023_cnn": (50, 16, "adam", 1e-3, "cosine"),
    "dlcv2023_resnet101": (15, 32, "sgd", 7e-4, "cosine"),
    "dlcv2021_resnet101": (15, 32, "adam", 2e-5, "milestones"),
    "cs6550_features": (25, 4, "sgd", 1e-3, "step"),
    "cs6550_efficientnet_b2": (15, None, "adam", 1e-3, "step"),
    "dlcv2021_deeplabv3": (25, 8, "adamw", 1e-4, None),
    "dlcv2023_fcn32s": (100, 8, "adam", 1e-4, "cosine"),
    "dlcv2023_deeplabv3": (30, 4, "sgd", 2e-3, "cosine"),
    "dlcv2024_unet": (150, None, None, None, None),
    "cs6550_fcn8s": (20, 6, "adam", 1e-4, "constant"),
}


@pytest.mark.parametrize("run", PRINTED)
def test_a_recipe_has_the_reports_values(course: Params, run: str) -> None:
    stages = (course.classify, course.faces, course.segment, course.street)
    recipe = next(stage.recipes[run] for stage in stages if run in stage.recipes)
    found = (recipe.epochs, recipe.batch_size, recipe.optimizer, recipe.learning_rate)
    for value, wanted in zip((*found, recipe.schedule), PRINTED[run], strict=True):
        assert wanted in (None, value)


def test_pretraining_and_the_settings_are_those_of_2023_and_2024(course: Params) -> None:
    first, second = (course.pretrain.recipes[run].byol for run in ("dlcv2023", "dlcv2024"))
    assert (first.epochs, first.batch_size, first.learning_rate) == (500, 128, 1e-4)
    assert (second.epochs, second.batch_size, second.learning_rate) == (100, 32, 1e-2)
    assert not first.use_momentum and second.use_momentum and second.phases == [50, 50]
    for run, epochs, rate in (("dlcv2023", 200, 3e-4), ("dlcv2024", 100, 1e-3)):
        recipe = course.finetune.recipes[run]
        assert (recipe.common.epochs, recipe.common.learning_rate) == (epochs, rate)
        assert recipe.common.imagenet_layer and recipe.common.backbone == "resnet50"
        frozen = [name for name in "ABCDE" if recipe.setting(name).frozen]
        assert frozen == ["D", "E"]  # and nothing else sets the five apart
        assert all(recipe.training(name) == recipe.common for name in "ABCDE")


def test_the_slips_are_flags_and_stand_beside_what_is_right(course: Params) -> None:
    segment, street = course.segment.recipes, course.street.recipes
    assert segment["dlcv2024_fcn32s_k44s52"].model == "fcn32s_k44s52"
    beside = segment["dlcv2024_fcn32s_k44s52"].model_copy(update={"model": "fcn32s_vgg16"})
    assert segment["dlcv2024_fcn32s"] == beside
    held = street["cs6550_fcn8s"]
    assert held.held_norm
    voting = course.classify.recipes["dlcv2021_resnet101"]
    single = course.classify.recipes["dlcv2021_resnet101_single"]
    assert voting.vote == 5 and single == voting.model_copy(update={"vote": 1})
    assert street["cs6550_fcn8s_learned_norm"] == held.model_copy(update={"held_norm": False})


def test_the_weights_have_the_digits_that_their_publisher_gave_them(course: Params) -> None:
    for name, file in course.weights.items():
        if file.torchvision:
            url = str(get_weight(file.torchvision).url)
            assert Path(file.path).name == url.rsplit("/", 1)[1], name
        if name.startswith("sam"):
            assert len(str(file.sha256)) == 64 and str(file.url).endswith(Path(file.path).name)
        elif file.sha256:
            assert Path(file.path).stem.endswith(file.sha256), name
    assert course.weights["sl"].sha256 is None  # the course hands it out without one


def test_the_small_form_runs_every_recipe_of_the_whole(course: Params, smoke: Params) -> None:
    for name, stage in course.stages.items():
        assert smoke.stages[name].runs == stage.runs
        assert stage.runs == list(stage.recipes)
    for stage, small in (
        (course.classify, smoke.classify), (course.faces, smoke.faces),
        (course.segment, smoke.segment), (course.street, smoke.street),
    ):  # fmt: skip
        for run in stage.runs:
            assert small.recipes[run].model == stage.recipes[run].model
    assert smoke.anything.runs == course.anything.runs == list(course.anything.recipes)
    assert all(recipe.source == "course" for recipe in smoke.prepare.recipes.values())
