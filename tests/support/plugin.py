"""A tiny package of somebody else: a method, a network, a source of datasets and a metric."""

from pathlib import Path

RECIPE = '''
"""A method of another package."""

from reprise.params.base import Rate
from reprise.params.pretrain import TwoViewRecipe


class Recipe(TwoViewRecipe):
    """Pulls the projections of two views together; weight: of the loss."""

    weight: Rate = 1.0
'''
METHOD = '''
"""The loss of the method."""

from torch import Tensor, nn

from reprise.training.ssl.layers import mlp
from reprise.training.ssl.two_views import TwoViews


class Pull(TwoViews):
    """The mean squared distance of the projections of two views."""

    def __init__(self, backbone, recipe, concat_views=False) -> None:
        super().__init__(backbone, recipe, concat_views)
        self.weight = recipe.weight
        projector = nn.Linear(backbone.width, recipe.proj_output_dim)
        self.encoder = nn.Sequential(backbone, projector)
        if concat_views:
            self.concatenate_views()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        a, b = self.for_views(self.encoder, first, second)
        return self.weight * (a - b).square().mean()


pretrain = Pull.pretrain
trained_layers = Pull.trained_layers
'''
MODEL = '''
"""A network of another package: the mean color and a linear layer."""

import torch
from torch import nn

from reprise.models.backbone import Backbone, Classifier

CLASSIFIERS = ("colors",)


class Mean(nn.Module):
    def forward(self, images):
        return images.mean(dim=(2, 3))


def build_classifier(recipe, n_classes):
    return Classifier(Backbone(Mean(), 3), nn.Identity(), 3, n_classes)
'''
SOURCE = '''
"""The values of the source `stripes`."""

from typing import Literal

from reprise.params.base import Block, Positive


class Dataset(Block):
    """count: images of a class."""

    source: Literal["stripes"]
    count: Positive
'''
PREPARE = '''
"""Dark and bright images."""

import numpy as np

from reprise.datasets.writer import Dataset


def prepare(recipe):
    labels = np.arange(2 * recipe.count, dtype=np.uint8) % 2
    images = np.zeros((len(labels), 16, 16, 3), np.uint8) + 150 * labels[:, None, None, None]
    rng = np.random.default_rng(0)
    images = (images + rng.integers(0, 90, images.shape)).astype(np.uint8)
    return Dataset(
        images=images, labels=labels, splits=np.resize(["train", "train", "val", "test"],
        len(labels) // 2).repeat(2), columns={}, kind="classification",
        classes=[{"id": i, "name": n} for i, n in enumerate(("dark", "bright"))],
        source="drawn", licence="none", note="",
    )
'''
METRIC = '''
"""Balanced accuracy (Brodersen et al. 2010, ICPR): the mean of the accuracies of the classes."""

import numpy as np

from reprise.evaluation.scores import Score

KIND = "classification"
TITLE = "Balanced accuracy"


def score(counts):
    of_class = counts.labels[:, None] == np.arange(len(counts.classes.names))
    right = of_class & counts.correct[:, None]
    columns = np.hstack([right, of_class]).astype(np.int64)

    def of_sums(sums):
        right, images = np.split(sums, 2, axis=1)
        shares = right / np.maximum(images, 1)
        return shares.sum(axis=1) / np.maximum((images > 0).sum(axis=1), 1)

    return Score(float(of_sums(columns.sum(axis=0, keepdims=True))[0]), columns, of_sums)
'''
FILES = {
    "params/pull.py": RECIPE, "ssl/pull.py": METHOD, "models/colors.py": MODEL,
    "params/stripes.py": SOURCE, "datasets/stripes.py": PREPARE, "metrics/balanced.py": METRIC,
}  # fmt: skip
NAME = "elsewhere"
# recipes of its method and its network
PULL = {"method": "pull", "backbone": "resnet10", "stem": "small", "epochs": 1, "batch_size": 4}
PULL |= {"learning_rate": 0.001, "proj_hidden_dim": 8, "proj_output_dim": 8, "knn_k": 2}
PULL |= {"allow_collapse": True, "augment": {"min_scale": 0.5, "flip": True}, "weight": 2.0}
COLORS = {"model": "colors", "image_size": 16, "epochs": 3, "batch_size": 4}
COLORS |= {"learning_rate": 0.1, "feature_epochs": []}


def install(folder: Path, name: str = NAME) -> Path:
    """Put the package into a folder as an installer would; the folder of its modules."""
    package = folder / name
    for path, text in FILES.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        for init in (package, (package / path).parent):
            (init / "__init__.py").touch()
        (package / path).write_text(text.lstrip("\n"))
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[reprise.plugins]\nanything = {name}\n")
    return package
