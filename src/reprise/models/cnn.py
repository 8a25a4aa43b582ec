"""The small CNN of the 2022 homework (its model A)."""

from torch import nn

from reprise.models.backbone import Backbone, Classifier, Options

CLASSIFIERS = ("cnn",)
IMAGE_SIZES = {"cnn": (4, 1)}


def build_classifier(recipe: Options, n_classes: int) -> Classifier:
    """Twice convolution, batch norm, ReLU, max-pool; then three linear layers.

    The homework gives no widths: 32 and 64 channels, 256 and 128 units are chosen here.
    """
    convolutions = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
    )  # fmt: skip
    width = 64 * (recipe.image_size // 4) ** 2
    hidden = nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU())
    return Classifier(Backbone(convolutions, width), hidden, 128, n_classes)
