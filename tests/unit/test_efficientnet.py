"""EfficientNet-B2 is the same network in timm and torchvision."""

import timm
import torch

from reprise.models.build import build_classifier
from reprise.params.classify import ClassifyRecipe

RECIPE = ClassifyRecipe(
    model="efficientnet_b2", image_size=64, feature_epochs=[], epochs=1, batch_size=2,
    learning_rate=0.1,
)  # fmt: skip


def test_timm_and_torchvision_have_the_same_number_of_parameters() -> None:
    with torch.device("meta"):
        theirs = timm.create_model("efficientnet_b2")
        ours = build_classifier(RECIPE, 50).backbone
    counts = [sum(p.numel() for p in model.parameters()) for model in (theirs, ours)]
    assert counts[0] == counts[1]
