"""The recipe of supervised pretraining."""

from reprise.params.base import Name
from reprise.params.pretrain import Pretraining


class Recipe(Pretraining):
    """Training on the labels of the dataset, or published weights, which are not trained further.

    weights: a name of the block `weights`: that file is the backbone; none: train.
    """

    weights: Name = "none"
