"""DeepLabV3: torchvision's at full size, and a small one for images of 64 pixels."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation import deeplabv3_resnet50, deeplabv3_resnet101
from torchvision.models.segmentation.deeplabv3 import ASPP

from reprise.models.backbone import resnet


class TorchvisionDeepLabV3(nn.Module):
    """torchvision's DeepLabV3 (Chen et al. 2017), its logits of the main head alone.

    name: deeplabv3_resnet50 or deeplabv3_resnet101. `net` has torchvision's own keys, those of the
    auxiliary head included when `auxiliary` (its COCO weights have them). No weights are loaded.
    A training batch needs two images or more: ASPP normalises one value a channel.
    """

    def __init__(self, name: str, classes: int, auxiliary: bool = False) -> None:
        super().__init__()
        make = {
            "deeplabv3_resnet50": deeplabv3_resnet50,
            "deeplabv3_resnet101": deeplabv3_resnet101,
        }
        self.net: Any = make[name](
            weights=None, weights_backbone=None, num_classes=classes, aux_loss=auxiliary
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)["out"]
        return logits


class DeepLabV3(nn.Module):
    """DeepLabV3 (Chen et al. 2017) on the first three stages of a small ResNet.

    Output stride 4, and atrous rates 2, 4 and 6 in ASPP, for images of 64 pixels; the paper has
    stride 8 or 16 and rates 12, 24 and 36 for images of 513. Dropout is torchvision's: .5 in ASPP.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        net: Any = resnet("resnet10", "small").net
        self.body = nn.Sequential(net.conv1, net.bn1, net.relu, net.layer1, net.layer2, net.layer3)
        third = net.layer3[0]
        third.conv1.stride = third.downsample[0].stride = (1, 1)
        third.conv2.dilation = third.conv2.padding = (2, 2)
        self.head = nn.Sequential(
            ASPP(256, (2, 4, 6), 128),
            nn.Conv2d(128, 128, 3, padding=1, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
            nn.Conv2d(128, classes, 1),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        logits = self.head(self.body(images))
        return F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=False)
