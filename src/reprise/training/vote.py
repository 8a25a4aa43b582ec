"""A hard vote of several epochs, as the 2021 report's classifier answers."""

import torch
from torch import Tensor
from torch.nn import functional as F

from reprise.training.loop import Row, Tensors

KEPT = "vote_"  # of an epoch's answers among what a training keeps


def voters(rows: list[Row], count: int) -> list[int]:
    """The `count` epochs of the lowest select loss, the lowest first; the earlier of equals."""
    ranked = sorted(rows, key=lambda row: (row["select_loss"], row["epoch"]))
    return [int(row["epoch"]) for row in ranked[:count]]


def majority(answers: list[Tensor], classes: int) -> tuple[Tensor, Tensor]:
    """The class that most epochs answer, (n,) int64, and their share, (n,) float32.

    answers: (n,) int64 of each epoch, in the order of `voters`. Of classes with as many votes, the
    one of the first epoch that answers one of them.
    """
    votes = torch.stack([F.one_hot(one, classes) for one in answers])
    rank = 2 ** torch.arange(len(answers) - 1, -1, -1)
    counts = votes.sum(0)
    score = counts * 2 ** len(answers) + (votes * rank[:, None, None]).sum(0)
    winner = score.argmax(1)
    share = counts.gather(1, winner[:, None])[:, 0].float() / len(answers)
    return winner, share


def taken_out(kept: Tensors) -> Tensors:
    """The answers of the epochs, taken out of what a training keeps, by their number."""
    names = [name for name in kept if name.startswith(KEPT)]
    return {name.removeprefix(KEPT): kept.pop(name) for name in names}
