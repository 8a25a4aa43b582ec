"""presets/course.yaml has the homeworks' values; its smoke form runs the same recipes."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML
from torchvision.models import get_weight

from reprise.engines.preset import render
from reprise.jobs import tasks
from reprise.params.load import Params, parse

PRESETS = Path(__file__).parents[2] / "presets"


@pytest.fixture(scope="module")
def course() -> Params:
    return parse(YAML(typ="safe", pure=True).load(render("course", PRESETS)))


@pytest.fixture(scope="module")
def smoke() -> Params:
    return parse(YAML(typ="safe", pure=True).load(render("course-smoke", PRESETS)))


# what the homeworks print: run -> epochs, batch size, optimizer, learning rate, schedule
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
def test_a_recipe_has_the_homeworks_values(course: Params, run: str) -> None:
    every_task = [task for _, _, task in tasks(course, "classify", "segment")]
    recipe = next(task.recipes[run] for task in every_task if run in task.recipes)
    values = (recipe.epochs, recipe.batch_size, recipe.optimizer, recipe.learning_rate)
    for value, printed in zip((*values, recipe.schedule), PRINTED[run], strict=True):
        assert printed in (None, value)


def test_pretraining_and_the_settings_are_those_of_2023_and_2024(course: Params) -> None:
    byol_2023, byol_2024 = (
        course.pretrain[task].recipes["byol"] for task in ("dlcv2023", "dlcv2024")
    )
    assert (byol_2023.epochs, byol_2023.batch_size, byol_2023.learning_rate) == (500, 128, 1e-4)
    assert (byol_2024.epochs, byol_2024.batch_size, byol_2024.learning_rate) == (100, 32, 1e-2)
    assert not byol_2023.use_momentum and byol_2024.use_momentum
    assert byol_2024.restart_epochs == [50, 50]
    for name, epochs, rate in (("dlcv2023", 200, 3e-4), ("dlcv2024", 100, 1e-3)):
        task = course.finetune[name]
        assert (task.common.epochs, task.common.learning_rate) == (epochs, rate)
        assert task.common.keep_imagenet_fc and task.common.backbone == "resnet50"
        assert [run for run in task.runs if task.recipes[run].frozen] == ["D", "E"]
        starts = {run: recipe.start for run, recipe in task.recipes.items()}
        assert starts == dict(zip("ABCDE", ["none", *["supervised", "byol"] * 2], strict=True))
        assert all(task.training(run) == task.common for run in "ABCDE")


def test_the_slips_are_flags_next_to_the_correct_recipe(course: Params) -> None:
    segment, skips = course.segment["baseline"].recipes, course.segment["skips"].recipes
    assert segment["dlcv2024_fcn32s_k44s52"].model == "fcn32s_k44s52"
    correct = segment["dlcv2024_fcn32s_k44s52"].model_copy(update={"model": "fcn32s_vgg16"})
    assert segment["dlcv2024_fcn32s"] == correct
    slip = skips["cs6550_fcn8s"]
    assert slip.freeze_bn
    assert skips["cs6550_fcn8s_learned_norm"] == slip.model_copy(update={"freeze_bn": False})
    assert course.classify["baseline"].recipes["dlcv2021_resnet101"].ensemble_epochs == 5


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


def test_the_small_form_runs_every_recipe_of_the_complete_one(
    course: Params, smoke: Params
) -> None:
    stages = ("pretrain", "finetune", "classify", "segment", "segment_anything")
    small = {(stage, name): task for stage, name, task in tasks(smoke, *stages)}
    for stage, name, task in tasks(course, *stages):
        assert small[stage, name].runs == task.runs == list(task.recipes)
        if stage in ("classify", "segment"):
            for run in task.runs:
                assert small[stage, name].recipes[run].model == task.recipes[run].model
    assert all(recipe.source == "course" for recipe in smoke.datasets.values())
