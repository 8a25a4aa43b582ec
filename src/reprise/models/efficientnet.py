"""EfficientNets: torchvision's B2, and timm's Lite0 with the ImageNet weights of a data package."""

import timm
import torch
from torchvision.models import efficientnet_b2

from reprise.datasets.packages import LITE0, package_file
from reprise.errors import RepriseError
from reprise.models.backbone import Backbone, Classifier, Options, linear_classifier

CLASSIFIERS = ("efficientnet_b2", "lite0")
PACKAGED_WEIGHTS = {"lite0": ("imagenet",)}
DEPTHWISE = True


def build_classifier(recipe: Options, n_classes: int) -> Classifier:
    """A randomly initialised network with a new last layer.

    That of B2 is on its 1000 logits, as in the CS6550 homework.
    """
    if recipe.model == "efficientnet_b2":
        backbone = Backbone(efficientnet_b2(weights=None), 1000)
    else:
        net = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
        backbone = Backbone(net, 1280)
    return linear_classifier(backbone, recipe.dropout, n_classes)


def load_packaged_weights(model: Classifier) -> None:
    """Load the ImageNet weights of the data package into the backbone of Lite0.

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
