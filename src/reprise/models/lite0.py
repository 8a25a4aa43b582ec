"""EfficientNet-Lite0 of timm, and the ImageNet weights of its data package."""

import timm
import torch

from reprise.datasets.packages import LITE0, package_file
from reprise.errors import RepriseError
from reprise.models.backbone import Backbone, Classifier, Options, linear_classifier

CLASSIFIERS = ("lite0",)
PACKAGED_WEIGHTS = ("imagenet",)
DEPTHWISE = True


def build_classifier(recipe: Options, n_classes: int) -> Classifier:
    """A randomly initialised Lite0 with a new last layer."""
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
    width: int = net.num_features  # type: ignore[assignment]
    return linear_classifier(Backbone(net, width), recipe.dropout, n_classes)


def load_packaged_weights(model: Classifier) -> None:
    """Load the ImageNet weights of the data package into the backbone.

    The package holds them under the names of another implementation of the same network, in the
    same order. Raises RepriseError when the shapes do not agree.
    """
    path, net = package_file(*LITE0), model.backbone.net
    stored = list(torch.load(path, weights_only=True, map_location="cpu").values())
    expected = net.state_dict()
    state = dict(zip(expected, stored, strict=False))  # stored ends with the classifier
    if any(expected[name].shape != tensor.shape for name, tensor in state.items()):
        raise RepriseError(f"{path}: not an EfficientNet-Lite0; reinstall the data packages")
    net.load_state_dict(state)
