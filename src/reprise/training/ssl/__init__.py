"""Pretraining methods, one module each, found by the `method` of a recipe.

A module defines two functions for the class `Recipe` of the module of its name in reprise.params:

- `pretrain(context: JobContext[Recipe], checkpoint: Checkpoint, files: Mapping[str, WeightsFile])`
  returns the state of the backbone and the history, from epoch 0 (the untrained network) on.
  `files` is the block `weights` of params.yaml.
- `trained_layers(recipe: Recipe, n_classes: int)` returns the parts of the randomly initialised
  network by name, in the order of the forward pass.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reprise.errors import RepriseError
from reprise.models.backbone import Backbone
from reprise.training.job import JobContext
from reprise.training.runtime import eval_mode


def evaluate_knn(context: JobContext[Any], backbone: Backbone) -> float:
    """kNN accuracy of a backbone: train images classify val images; NaN without labels.

    context: of a recipe of pretraining. Raises RepriseError if there are fewer than knn_k images.
    """
    data = context.data
    if data.unlabelled:
        return float("nan")
    labels = torch.from_numpy(np.array(data.labels)).long()
    train, val = data.require_rows("train"), data.require_rows("val")
    if context.recipe.knn_k > len(train):
        raise RepriseError(
            f"{context.config_key}.knn_k is {context.recipe.knn_k}, more than the {len(train)} "
            "training images; make it smaller"
        )
    with eval_mode(backbone):
        features = [context.predict(backbone, rows).cpu() for rows in (train, val)]
    return knn_accuracy(features[0], labels[train], features[1], labels[val], context.recipe.knn_k)


def knn_accuracy(
    train_features: Tensor, train_labels: Tensor, test_features: Tensor, test_labels: Tensor, k: int
) -> float:
    """Share of test images whose class is the most frequent of their k nearest train images, 0..1.

    Features (n, d) are compared by cosine; labels (n,) are int64. Each neighbour has one vote; the
    lowest class wins ties.
    """
    similarity = F.normalize(test_features, dim=1) @ F.normalize(train_features, dim=1).T
    nearest = similarity.topk(k, dim=1).indices
    votes = F.one_hot(train_labels[nearest], int(train_labels.max()) + 1).sum(dim=1)
    return float((votes.argmax(dim=1) == test_labels).float().mean())
