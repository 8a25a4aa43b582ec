"""torchvision's ResNeXt-101 (64 x 4d)."""

from torch import nn
from torchvision.models import resnext101_64x4d

from reprise.models.backbone import Backbone, Classifier, Options, linear_classifier

CLASSIFIERS = ("resnext101_64x4d",)


def build_classifier(recipe: Options, n_classes: int) -> Classifier:
    """ResNeXt-101 up to the 2048 values after pooling, and a new last layer."""
    net = resnext101_64x4d(weights=None)
    net.fc = nn.Identity()
    return linear_classifier(Backbone(net, 2048), recipe.dropout, n_classes)
