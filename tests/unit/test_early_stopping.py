"""`patience`: a training ends when the score on val has not risen, and never by default."""

import math
from pathlib import Path

import pytest
from support.training import same, train_toy

from reprise.errors import RepriseError
from reprise.params.base import validate
from reprise.params.classify import ClassifyRecipe
from reprise.params.segment import SegmentTask
from reprise.params.simclr import Recipe
from reprise.params.training import Training
from reprise.training.checkpoint import Checkpoint
from reprise.training.early_stopping import stops_early

RECIPE = {"epochs": 30, "batch_size": 4, "learning_rate": 0.1}
OPTIONS = {"epochs": 30, "restart_epochs": [], "schedule": "constant", "learning_rate": 0.3}


def history(*selected: int) -> list[dict[str, float | int]]:
    return [{"epoch": epoch, "selected": one} for epoch, one in enumerate(selected, 1)]


@pytest.mark.parametrize(
    ("patience", "selected", "stops"),
    [
        (0, (1, 0, 0, 0, 0), False),
        (2, (1, 0), False),
        (2, (1, 0, 0), True),
        (2, (0, 0, 1), False),
        (2, (0, 0, 1, 0, 0), True),
        (1, (), False),
    ],
)
def test_it_stops_when_the_selected_epoch_is_patience_epochs_ago(patience, selected, stops):
    recipe = Training.model_validate(RECIPE | {"patience": patience})
    assert stops_early(recipe, history(*selected)) is stops


def test_no_epoch_that_the_recipe_names_is_left_out():
    recipe = validate(
        ClassifyRecipe,
        RECIPE | {"model": "cnn", "image_size": 32, "feature_epochs": [4], "patience": 1},
        "x",
    )
    assert not stops_early(recipe, history(1, 0, 0))
    assert stops_early(recipe, history(1, 0, 0, 0))


def test_a_stopped_training_is_the_beginning_of_the_whole_one_with_the_same_best_epoch(tmp_path):
    never = Checkpoint(tmp_path / "none", {}, math.inf)
    whole, _ = train_toy(never, **OPTIONS)
    early, _ = train_toy(never, patience=3, **OPTIONS)
    count = len(early.rows)
    selected = next(row["epoch"] for row in early.rows if row["selected"])
    assert count < 30 and count == selected + 3
    drop = [{k: v for k, v in row.items() if k != "selected"} for row in whole.rows[:count]]
    assert drop == [{k: v for k, v in row.items() if k != "selected"} for row in early.rows]


def test_a_killed_training_stops_where_it_would_have_stopped(tmp_path: Path):
    path = tmp_path / "checkpoint"
    whole = train_toy(Checkpoint(tmp_path / "none", {}, math.inf), patience=3, **OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        train_toy(Checkpoint(path, {}, 0), whole[0].step - 1, patience=3, **OPTIONS)
    assert same(train_toy(Checkpoint(path, {}, 0), patience=3, **OPTIONS), whole)


@pytest.mark.parametrize(
    ("block", "values", "reason"),
    [
        (
            ClassifyRecipe,
            {"model": "cnn", "image_size": 32, "feature_epochs": [1, 30]},
            "patience: no epoch can be left out, because another key needs epoch 30",
        ),
        (
            Recipe,
            {"method": "simclr", "backbone": "resnet10", "stem": "small", "proj_hidden_dim": 8,
             "proj_output_dim": 8, "augment": {"min_scale": 0.2, "flip": True}},
            "patience: simclr keeps the last epoch, and chooses none by val",
        ),
        (
            SegmentTask,
            {"data": "a", "seeds": [0], "runs": ["x"], "images": ["1"],
             "recipes": {"x": RECIPE | {"model": "fcn32s", "image_size": 64, "patience": 2}}},
            "recipes.x.patience: the masks of `images` are of the last epoch too",
        ),
    ],
)  # fmt: skip
def test_a_recipe_that_needs_its_last_epoch_is_refused(block, values, reason):
    values = values if block is SegmentTask else RECIPE | {"patience": 2} | values
    with pytest.raises(RepriseError, match=reason):
        validate(block, values, "params.yaml")
