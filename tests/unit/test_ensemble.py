"""A vote of the epochs of the lowest validation loss."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from support.small_datasets import small_dataset, write_and_read
from support.training import job_context, no_checkpoint

from reprise.models.build import build_classifier
from reprise.params.classify import ClassifyRecipe
from reprise.training.classification import TrainingResult, train_classifier
from reprise.training.ensemble import ensemble_epochs, majority_vote, predict_by_vote

RECIPE = ClassifyRecipe(
    model="cnn", image_size=8, feature_epochs=[1], epochs=4, batch_size=10, learning_rate=0.05
)


def test_the_epochs_of_the_lowest_loss_vote_and_the_lower_loss_breaks_ties() -> None:
    losses = {1: 0.9, 2: 0.5, 3: 0.7, 4: 0.5, 5: 0.6}
    history: list[Any] = [{"epoch": e, "val_loss": loss} for e, loss in losses.items()]
    assert ensemble_epochs(history, 4) == [2, 4, 5, 3]
    nothing: list[Any] = [{"epoch": 0, "val_loss": math.nan}, *history]
    assert ensemble_epochs(nothing, 6) == [2, 4, 5, 3, 1, 0]
    predictions = torch.tensor([[0, 0, 2, 1], [0, 1, 1, 2], [1, 1, 0, 3], [0, 0, 0, 2]])
    winner, share = majority_vote(list(predictions), 4)
    # 3 to 1; 2 to 2, the first epoch predicts 0; 2 of 4; 2 of 4
    assert winner.tolist() == [0, 0, 0, 2]
    assert share.tolist() == [0.75, 0.5, 0.5, 0.5]
    alone, _ = majority_vote([torch.arange(4)], 4)
    assert alone.tolist() == [0, 1, 2, 3]


def test_a_vote_replaces_the_predictions_and_nothing_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (60, 8, 8, 3), dtype=np.uint8), np.arange(60) % 3
    splits = ["train"] * 20 + ["val"] * 20 + ["test"] * 20
    dataset = small_dataset(images, labels.astype(np.uint8), 3, splits)
    context = job_context(write_and_read(tmp_path / "data", dataset), RECIPE)

    def trained(keep_predictions: bool) -> TrainingResult:
        torch.manual_seed(0)
        model = build_classifier(RECIPE, 3)
        return train_classifier(model, context, no_checkpoint(), "test", [1], keep_predictions)

    single, voting = trained(False), trained(True)
    assert sorted(voting.epoch_predictions) == [1, 2, 3, 4]
    predict_by_vote(voting, 3)
    assert single.history == voting.history and set(single.features) == set(voting.features)
    assert set((voting.predictions["confidence"] * 3).round(4)) <= {1.0, 2.0, 3.0}
    assert list(voting.predictions["id"]) == list(single.predictions["id"])
    assert (voting.predictions["prediction"] != single.predictions["prediction"]).any()
    best_epoch = voting.predictions["best_epoch_prediction"]
    assert best_epoch.tolist() == single.predictions["prediction"].tolist()
    assert "best_epoch_prediction" not in single.predictions
