"""Segmentation networks by name: images in, logits of the images' own height and width out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from reprise.errors import RepriseError
from reprise.models.deeplab import DeepLabV3, TorchvisionDeepLabV3
from reprise.models.fcn import FCN8s, FCN32s, FCN32s2021, FCN32s2024
from reprise.models.weights import load_state, read_weights
from reprise.params import WeightsFile


class MobileNetUNet(nn.Module):
    """segmentation_models_pytorch's U-Net on MobileNetV3-Large-100.

    The 2024 report names the encoder ('timm-...', which the library now calls 'tu-...') and not the
    decoder; U-Net is the library's first.
    Height and width are multiples of 32. `net` has the library's own keys. No weights are loaded.
    """

    def __init__(self, classes: int) -> None:
        import segmentation_models_pytorch as smp  # takes seconds, and most jobs need none of it

        super().__init__()
        self.net: Any = smp.Unet("tu-mobilenetv3_large_100", encoder_weights=None, classes=classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return logits


def segmenter(model: str, classes: int, width: float, held_norm: bool = False) -> nn.Module:
    """A segmentation network by its name in params.yaml.

    width: of the channels of VGG-16; the networks of libraries have their own.
    held_norm: of FCN-8s.
    """
    match model:
        case "fcn32s":
            return FCN32s(classes, width)
        case "fcn32s_vgg16":
            return FCN32s(classes, width, batch_norm=False)
        case "fcn32s_2021":
            return FCN32s2021(classes, width)
        case "fcn32s_2021_centred":
            return FCN32s2021(classes, width, offset=16)
        case "fcn32s_k44s52":
            return FCN32s2024(classes, width)
        case "fcn8s" | "fcn8s_noskip":
            return FCN8s(classes, width, model == "fcn8s", True, held_norm)
        case "fcn8s_vgg16" | "fcn8s_vgg16_noskip":
            return FCN8s(
                classes, width, model == "fcn8s_vgg16", batch_norm=False, held_norm=held_norm
            )
        case "deeplabv3":
            return DeepLabV3(classes)
        case "deeplabv3_resnet50" | "deeplabv3_resnet101":
            return TorchvisionDeepLabV3(model, classes)
        case "unet_mobilenetv3":
            return MobileNetUNet(classes)
    raise ValueError(f"no segmentation network '{model}'")


def start_segmenter(model: nn.Module, name: str, files: Mapping[str, WeightsFile]) -> list[Path]:
    """Load what a recipe's `weights` names into a new network; the files that were read.

    VGG-16's features of torchvision's vgg16; a ResNet's, or a whole DeepLabV3 but for its last
    layer; the encoder from timm's MobileNetV3. 'none' reads nothing.
    Raises RepriseError (see `read_weights` and `load_state`), or when the model takes no weights.
    """
    if name not in files:
        return []
    state, path = read_weights(name, files[name]), files[name].path
    if isinstance(model, FCN32s | FCN32s2021 | FCN32s2024 | FCN8s):
        # torchvision numbers the layers through, the stages begin anew: the order is the same
        features = [value for key, value in state.items() if key.startswith("features.")]
        own = [key for key in model.stages.state_dict() if not key.endswith("num_batches_tracked")]
        named = dict(zip(own, features, strict=False)) if len(own) == len(features) else state
        load_state(model.stages, named, path)
    elif isinstance(model, TorchvisionDeepLabV3) and "backbone.conv1.weight" in state:
        load_state(model.net, state, path, without=["classifier.4.", "aux_classifier."])
    elif isinstance(model, TorchvisionDeepLabV3):
        load_state(model.net.backbone, state, path, without=["fc."])
    elif isinstance(model, MobileNetUNet):
        named = {f"model.{key}": value for key, value in state.items()}
        load_state(model.net.encoder, named, path, without=["model.conv_head", "model.classifier"])
    else:
        raise RepriseError(f"weights.{name}: this model takes none; set the recipe's to none")
    return [Path(path)]
