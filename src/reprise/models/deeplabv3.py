"""DeepLabV3 (Chen et al. 2017): torchvision's at full size, and a small one for 128 pixels."""

from typing import Any

from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.segmentation.deeplabv3 import ASPP, ASPPPooling

from reprise.errors import RepriseError
from reprise.models.backbone import Options
from reprise.models.convolution import swap_layers
from reprise.models.interpolate import resize_bilinear
from reprise.models.resnet import build_backbone
from reprise.models.weights import State, load_state

SEGMENTERS = ("deeplabv3", "deeplabv3_resnet50", "deeplabv3_resnet101")


class GlobalPooling(ASPPPooling):  # type: ignore[misc]
    """ASPP's branch for the whole image: one value a channel, repeated at each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        value: Tensor = nn.Sequential.forward(self, x)  # type: ignore[no-untyped-call]
        return resize_bilinear(value, *x.shape[-2:])


class TorchvisionDeepLabV3(nn.Module):
    """torchvision's DeepLabV3 without its auxiliary head; `net` has torchvision's keys.

    A training batch needs at least two images: ASPP normalizes one value a channel.
    """

    def __init__(self, name: str, n_classes: int) -> None:
        super().__init__()
        options = {"num_classes": n_classes, "aux_loss": False}
        self.net: Any = get_model(name, weights=None, weights_backbone=None, **options)
        swap_layers(self.net, {ASPPPooling: GlobalPooling})

    def forward(self, images: Tensor) -> Tensor:
        logits = self.net.classifier(self.net.backbone(images)["out"])
        return resize_bilinear(logits, *images.shape[-2:])


class SmallDeepLabV3(nn.Module):
    """DeepLabV3 on the first three stages of a small ResNet.

    Output stride 8, the paper's finer one, and atrous rates 2, 4 and 6 in ASPP, for images of 128
    pixels; the paper has rates 12, 24 and 36 for images of 513. Dropout is torchvision's: .5 in
    ASPP.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        net: Any = build_backbone("resnet10", "small").net
        self.body = nn.Sequential(net.conv1, net.bn1, net.relu, net.layer1, net.layer2, net.layer3)
        self.head = nn.Sequential(
            ASPP(256, (2, 4, 6), 128),
            nn.Conv2d(128, 128, 3, padding=1, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
            nn.Conv2d(128, n_classes, 1),
        )  # fmt: skip
        swap_layers(self.head, {ASPPPooling: GlobalPooling})

    def forward(self, images: Tensor) -> Tensor:
        logits = self.head(self.body(images))
        return resize_bilinear(logits, *images.shape[-2:])


def build_segmenter(recipe: Options, n_classes: int) -> nn.Module:
    """The randomly initialised network that a recipe names."""
    if recipe.model == "deeplabv3":
        return SmallDeepLabV3(n_classes)
    return TorchvisionDeepLabV3(recipe.model, n_classes)


def load_weights(model: nn.Module, state: State, path: str) -> None:
    """Load a whole DeepLabV3 but for its last layer, or the backbone from a ResNet.

    See `build.load_weights_into`. Raises RepriseError for the small network, which has no
    published weights.
    """
    if not isinstance(model, TorchvisionDeepLabV3):
        raise RepriseError(f"{path}: this model does not accept weights; set weights: none")
    if "backbone.conv1.weight" in state:
        load_state(model.net, state, path, without=["classifier.4.", "aux_classifier."])
    else:
        load_state(model.net.backbone, state, path, without=["fc."])
