"""Segmentation networks: images in, logits of the images' own height and width out."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import ASPP
from torchvision.models.vgg import cfgs, make_layers

from reprise.models.backbone import resnet


def vgg16_stages(width: float) -> nn.ModuleList:
    """VGG-16's convolutions (Simonyan and Zisserman 2015) as five stages, each ending in a pool.

    `width` scales the channels. Batch norm after each convolution, since without pretrained
    weights the plain network hardly trains.
    """
    plan = [int(entry * width) if isinstance(entry, int) else entry for entry in cfgs["D"]]
    layers = list(make_layers(plan, batch_norm=True))
    ends = [i + 1 for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    starts = [0, *ends[:-1]]
    stages = zip(starts, ends, strict=True)
    return nn.ModuleList(nn.Sequential(*layers[start:end]) for start, end in stages)


class WideKernel(nn.Conv2d):
    """A convolution of stride 1 whose kernel may reach beyond the whole feature map.

    Only the part of the kernel that can meet a value is used; the result is the same. In bfloat16
    oneDNN leaves the gradient of the rest unwritten: whatever lay in memory would become weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        height, width = (max(0, p - (n - 1)) for p, n in zip(self.pad, x.shape[-2:], strict=True))
        rows, columns = self.weight.shape[-2:]
        met = self.weight[:, :, height : rows - height, width : columns - width]
        padding = (self.pad[0] - height, self.pad[1] - width)
        return F.conv2d(x, met, self.bias, padding=padding)

    @property
    def pad(self) -> tuple[int, int]:
        """Rows and columns of padding; half of the kernel's size, so that the map keeps its own."""
        return (self.kernel_size[0] // 2, self.kernel_size[1] // 2)


class FCN32s(nn.Module):
    """FCN-32s (Long, Shelhamer and Darrell 2015) on VGG-16 with padding 1.

    Where the paper pads the image by 100, this pads fc6 by 3 and the deconvolution by 16, which
    covers every pixel for sizes that 32 divides.
    """

    def __init__(self, classes: int, width: float) -> None:
        super().__init__()
        wide, top = int(4096 * width), int(512 * width)
        self.stages = vgg16_stages(width)
        self.fully = nn.Sequential(
            WideKernel(top, wide, 7, padding=3), nn.ReLU(), nn.Dropout2d(),
            nn.Conv2d(wide, wide, 1), nn.ReLU(), nn.Dropout2d(),
        )  # fmt: skip
        self.score = nn.Conv2d(wide, classes, 1)
        self.up = nn.ConvTranspose2d(classes, classes, 64, stride=32, padding=16, bias=False)
        nn.init.zeros_(self.score.weight)
        bilinear_(self.up)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for stage in self.stages:
            x = stage(x)
        logits: Tensor = self.up(self.score(self.fully(x)))
        return logits


class FCN8s(nn.Module):
    """The FCN-8s of the CS6550 course: five learned deconvolutions, two skips from VGG-16's pools.

    Each step is deconvolution, ReLU, (+ skip), batch norm, in this order. `skips=False` leaves
    the two additions out.
    """

    def __init__(self, classes: int, width: float, skips: bool) -> None:
        super().__init__()
        channels = [int(c * width) for c in (512, 512, 256, 128, 64, 32)]
        self.skips = skips
        self.stages = vgg16_stages(width)
        pairs = list(zip(channels, channels[1:], strict=False))
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 3, stride=2, padding=1, output_padding=1) for a, b in pairs
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _, b in pairs)
        self.classifier = nn.Conv2d(channels[-1], classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        pools = [images]
        for stage in self.stages:
            pools.append(stage(pools[-1]))
        x = pools[5]
        for step, (up, norm) in enumerate(zip(self.ups, self.norms, strict=True)):
            x = F.relu(up(x))
            if self.skips and step < 2:
                x = x + pools[4 - step]
            x = norm(x)
        logits: Tensor = self.classifier(x)
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


def segmenter(model: str, classes: int, width: float) -> nn.Module:
    """A segmentation network by its name in params.yaml."""
    if model == "fcn32s":
        return FCN32s(classes, width)
    if model == "deeplabv3":
        return DeepLabV3(classes)
    return FCN8s(classes, width, skips=model == "fcn8s")


def bilinear_(deconvolution: nn.ConvTranspose2d) -> None:
    """Bilinear interpolation from each channel to itself (surgery.py of the FCN authors)."""
    size = deconvolution.kernel_size[0]
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    ramp = 1 - (deconvolution.weight.new_tensor(range(size)) - centre).abs() / factor
    weight = deconvolution.weight.data.zero_()
    for channel in range(weight.shape[0]):
        weight[channel, channel] = ramp[:, None] * ramp[None, :]
