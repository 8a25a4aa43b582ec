"""Classifiers: a body that ends in the second-last layer, and the last layer."""

from torch import Tensor, nn

from reprise.models.backbone import Backbone, lite0, published
from reprise.params import ClassifyRecipe

DEPTHWISE = ("lite0", "efficientnet_b2")  # models of depthwise convolutions


class Classifier(nn.Module):
    """backbone -> hidden -> last.

    forward: (n, 3, H, W) -> logits (n, classes). `second_last` gives what `last` reads.
    """

    def __init__(self, backbone: Backbone, hidden: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.hidden = hidden
        self.last = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes) from the backbone's features (n, width)."""
        logits: Tensor = self.last(self.hidden(features))
        return logits

    def second_last(self, features: Tensor) -> Tensor:
        """What the last layer reads, from the backbone's features (n, width)."""
        hidden: Tensor = self.hidden(features)
        return hidden


def small_cnn(image_size: int, classes: int) -> Classifier:
    """The 2022 report's model A: twice conv, batch norm, ReLU, max-pool; then three linear layers.

    The report gives no widths: 32 and 64 channels, 256 and 128 units are chosen here.
    """
    convolutions = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
    )  # fmt: skip
    width = 64 * (image_size // 4) ** 2
    hidden = nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU())
    return Classifier(Backbone(convolutions, width), hidden, 128, classes)


def lite0_classifier(weights: str, classes: int) -> Classifier:
    """EfficientNet-Lite0 with a new last layer."""
    backbone = lite0(weights)
    return Classifier(backbone, nn.Identity(), backbone.width, classes)


def published_classifier(name: str, classes: int, dropout: float = 0.0) -> Classifier:
    """A network of torchvision (see `published`), dropout, and a new last layer."""
    backbone = published(name)
    hidden = nn.Dropout(dropout) if dropout else nn.Identity()
    return Classifier(backbone, hidden, backbone.width, classes)


def classifier(recipe: ClassifyRecipe, classes: int) -> Classifier:
    """The classifier that a recipe names."""
    if recipe.model == "cnn":
        return small_cnn(recipe.image_size, classes)
    if recipe.model == "lite0":
        return lite0_classifier(recipe.weights, classes)
    return published_classifier(recipe.model, classes, recipe.dropout)


def with_head(backbone: Backbone, hidden: int, classes: int) -> Classifier:
    """The head of settings A to E: linear, batch norm, ReLU, linear."""
    layers = nn.Sequential(nn.Linear(backbone.width, hidden), nn.BatchNorm1d(hidden), nn.ReLU())
    return Classifier(backbone, layers, hidden, classes)
