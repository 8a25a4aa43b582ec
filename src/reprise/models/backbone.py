"""Backbones, which map images to feature vectors, and classifiers on top of them."""

from typing import Any, Self

from torch import Tensor, nn

# The recipe of a network, whose options builders read. Its type is Any, because a builder that
# imported the types of all stages would make every stage depend on the options of the others.
Options = Any


class Backbone(nn.Module):
    """A network without its last layer; `width` is the length of its feature vector.

    forward: (n, 3, H, W) float -> (n, width) float.
    A frozen backbone stays frozen: no gradient, and `train()` leaves it in evaluation mode.
    """

    def __init__(self, net: nn.Module, width: int) -> None:
        super().__init__()
        self.net = net
        self.width = width
        self.frozen = False

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.net(images)
        return features

    def freeze(self) -> Self:
        """Keep every parameter and every batch norm statistic as it is from now on."""
        self.frozen = True
        self.requires_grad_(False)
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, unless frozen."""
        return super().train(mode and not self.frozen)


class Classifier(nn.Module):
    """backbone -> hidden -> last; `width` values go into the last layer.

    forward: (n, 3, H, W) -> logits (n, n_classes).
    """

    def __init__(self, backbone: Backbone, hidden: nn.Module, width: int, n_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.hidden = hidden
        self.last = nn.Linear(width, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, n_classes) of the backbone's features (n, backbone.width)."""
        logits: Tensor = self.last(self.penultimate(features))
        return logits

    def penultimate(self, features: Tensor) -> Tensor:
        """The penultimate layer's output (n, width) for the backbone's features."""
        values: Tensor = self.hidden(features)
        return values


def linear_classifier(backbone: Backbone, dropout: float, n_classes: int) -> Classifier:
    """A backbone, dropout unless it is 0, and a new last layer."""
    hidden = nn.Dropout(dropout) if dropout else nn.Identity()
    return Classifier(backbone, hidden, backbone.width, n_classes)
