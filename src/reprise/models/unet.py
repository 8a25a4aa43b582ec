"""segmentation_models_pytorch's U-Net on MobileNetV3-Large-100."""

from typing import Any

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from reprise.models.backbone import Options
from reprise.models.weights import State, load_state

SEGMENTERS = ("unet_mobilenetv3",)


class MobileNetUNet(nn.Module):
    """The 2024 homework's encoder ('timm-...', which the library now calls 'tu-...') in a U-Net.

    The homework does not name the decoder; U-Net is the library's first. Height and width are
    multiples of 32. `net` has the library's keys.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.net: Any = smp.Unet(
            "tu-mobilenetv3_large_100", encoder_weights=None, classes=n_classes
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return logits


def build_segmenter(recipe: Options, n_classes: int) -> nn.Module:
    """The randomly initialised network."""
    return MobileNetUNet(n_classes)


def load_weights(model: MobileNetUNet, state: State, path: str) -> None:
    """Load the encoder from timm's MobileNetV3 (see `build.load_weights_into`)."""
    named = {f"model.{key}": value for key, value in state.items()}
    load_state(model.net.encoder, named, path, without=["model.conv_head", "model.classifier"])
