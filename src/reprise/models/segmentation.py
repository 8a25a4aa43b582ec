"""Segmentation networks by name: images in, logits of the images' own height and width out."""

from torch import Tensor, nn

from reprise.models.deeplab import DeepLabV3, TorchvisionDeepLabV3
from reprise.models.fcn import FCN8s, FCN32s, FCN32s2021, FCN32s2024


class MobileNetUNet(nn.Module):
    """segmentation_models_pytorch's U-Net on MobileNetV3-Large-100.

    The 2024 report names the encoder ('timm-...', which the library now calls 'tu-...') and not the
    decoder; U-Net is the library's first.
    Height and width are multiples of 32. `net` has the library's own keys. No weights are loaded.
    """

    def __init__(self, classes: int) -> None:
        import segmentation_models_pytorch as smp  # takes seconds, and most jobs need none of it

        super().__init__()
        self.net = smp.Unet("tu-mobilenetv3_large_100", encoder_weights=None, classes=classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return logits


def segmenter(model: str, classes: int, width: float) -> nn.Module:
    """A segmentation network by its name in params.yaml.

    width: of the channels of VGG-16; the networks of libraries have their own.
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
            return FCN8s(classes, width, skips=model == "fcn8s")
        case "fcn8s_vgg16" | "fcn8s_vgg16_noskip":
            return FCN8s(classes, width, skips=model == "fcn8s_vgg16", batch_norm=False)
        case "deeplabv3":
            return DeepLabV3(classes)
        case "deeplabv3_resnet50" | "deeplabv3_resnet101":
            return TorchvisionDeepLabV3(model, classes)
        case "unet_mobilenetv3":
            return MobileNetUNet(classes)
    raise ValueError(f"no segmentation network '{model}'")
