"""kNN accuracy: votes of the nearest neighbours."""

import torch

from reprise.training.ssl import knn_accuracy


def test_knn_counts_the_votes_of_the_nearest() -> None:
    train = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [0.2, 1.0]])
    labels = torch.tensor([0, 0, 1, 1, 1])
    test = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    assert knn_accuracy(train, labels, test, torch.tensor([0, 1]), 2) == 1.0
    assert knn_accuracy(train, labels, test, torch.tensor([0, 1]), 5) == 0.5
