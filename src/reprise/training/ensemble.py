"""A hard vote of several epochs, as in the classifier of the 2021 homework."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from reprise.training.classification import TrainingResult
from reprise.training.loop import Row


def predict_by_vote(result: TrainingResult, count: int) -> None:
    """Replace predictions and confidence by a vote of `count` epochs.

    The column best_epoch_prediction keeps those of the model.
    """
    epochs = ensemble_epochs(result.history, count)
    votes = [result.epoch_predictions[epoch] for epoch in epochs]
    winner, share = majority_vote(votes, len(result.state["last.bias"]))
    table = result.predictions
    table["best_epoch_prediction"] = table["prediction"]
    table["prediction"], table["confidence"] = winner.numpy(), share.numpy()


def ensemble_epochs(history: list[Row], count: int) -> list[int]:
    """The `count` epochs of the lowest validation loss, the lowest first, ties in order.

    Epochs whose loss is NaN are last.
    """
    ranked = sorted(
        history, key=lambda row: (math.isnan(row["val_loss"]), row["val_loss"], row["epoch"])
    )
    return [int(row["epoch"]) for row in ranked[:count]]


def majority_vote(predictions: list[Tensor], n_classes: int) -> tuple[Tensor, Tensor]:
    """The class that most epochs predict, (n,) int64, and their share, (n,) float32.

    predictions: (n,) int64 of each epoch, in the order of `ensemble_epochs`. Of classes with
    equally many votes the one of the first epoch that predicts one of them wins.
    """
    votes = torch.stack([F.one_hot(predicted, n_classes) for predicted in predictions])
    tie_breaks = 2 ** torch.arange(len(predictions) - 1, -1, -1)
    weights = 2 ** len(predictions) + tie_breaks
    winner = (votes * weights[:, None, None]).sum(0).argmax(1)
    share = votes.sum(0).gather(1, winner[:, None])[:, 0].float() / len(predictions)
    return winner, share
