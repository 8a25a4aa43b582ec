"""How good features are without training anything: the classes of the nearest neighbours."""

from torch import Tensor
from torch.nn import functional as F


def knn_accuracy(
    known: Tensor, known_labels: Tensor, asked: Tensor, asked_labels: Tensor, neighbours: int
) -> float:
    """Share of `asked` whose class is the commonest of its nearest neighbours in `known`, 0..1.

    known (n, d), asked (m, d): features, compared by cosine; labels: int64. Each neighbour has
    one vote; of equals the lowest class wins.
    """
    near = (F.normalize(asked, dim=1) @ F.normalize(known, dim=1).T).topk(neighbours, dim=1).indices
    votes = F.one_hot(known_labels[near], int(known_labels.max()) + 1).sum(dim=1)
    return float((votes.argmax(dim=1) == asked_labels).float().mean())
