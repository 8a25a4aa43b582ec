"""The small CNN of the 2022 homework."""

import torch
from torch import nn

from reprise.models.build import build_classifier
from reprise.params.classify import ClassifyRecipe

RECIPE = ClassifyRecipe(
    model="cnn", image_size=32, feature_epochs=[], epochs=1, batch_size=2, learning_rate=0.1
)


def test_it_is_two_convolutions_and_three_linear_layers() -> None:
    with torch.device("meta"):
        model = build_classifier(RECIPE, 50)
    kinds = [type(layer) for layer in model.modules()]
    counts = [kinds.count(k) for k in (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.Linear)]
    assert counts == [2, 2, 2, 3]
