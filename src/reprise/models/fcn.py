"""Fully convolutional networks on VGG-16: the published FCN-32s, the courses' FCN-8s, variants."""

from typing import Self

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.vgg import cfgs, make_layers

from reprise.models.convolution import CroppedConv2d


def vgg16_stages(width: float, batch_norm: bool = True) -> nn.ModuleList:
    """VGG-16's convolutions (Simonyan and Zisserman 2015) as five stages, each ending in a pool.

    `width` scales the channels. Batch norm after each convolution, since without pretrained
    weights the plain network hardly trains; without it the layers are those of torchvision's vgg16.
    """
    plan = [int(entry * width) if isinstance(entry, int) else entry for entry in cfgs["D"]]
    layers = list(make_layers(plan, batch_norm=batch_norm))
    ends = [i + 1 for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    starts = [0, *ends[:-1]]
    stages = zip(starts, ends, strict=True)
    return nn.ModuleList(nn.Sequential(*layers[start:end]) for start, end in stages)


class FCN32s(nn.Module):
    """FCN-32s (Long, Shelhamer and Darrell 2015) on VGG-16 with padding 1.

    Where the paper pads the image by 100, this pads fc6 by 3 and the deconvolution by 16, which
    covers every pixel for sizes that 32 divides.
    """

    def __init__(self, classes: int, width: float, batch_norm: bool = True) -> None:
        super().__init__()
        wide, top = int(4096 * width), int(512 * width)
        self.stages = vgg16_stages(width, batch_norm)
        self.fully = nn.Sequential(
            CroppedConv2d(top, wide, 7, padding=3), nn.ReLU(), nn.Dropout2d(),
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


class FCN32s2021(nn.Module):
    """The FCN-32s that the 2021 report prints: fc6 is a 1 x 1 convolution.

    The deconvolution has no padding, so 512 pixels become 544, of which the report keeps rows and
    columns from 32 on; the middle begins at 16. `offset=16` keeps the middle.
    """

    def __init__(self, classes: int, width: float = 1.0, offset: int = 32) -> None:
        super().__init__()
        wide, top = int(4096 * width), int(512 * width)
        self.offset = offset
        self.stages = vgg16_stages(width, batch_norm=False)
        self.fully = nn.Sequential(
            nn.Conv2d(top, wide, 1), nn.ReLU(), nn.Dropout2d(),
            nn.Conv2d(wide, wide, 1), nn.ReLU(), nn.Dropout2d(),
        )  # fmt: skip
        self.score = nn.Conv2d(wide, classes, 1)
        self.up = nn.ConvTranspose2d(classes, classes, 64, stride=32, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for stage in self.stages:
            x = stage(x)
        height, width = images.shape[-2:]
        logits: Tensor = self.up(self.score(self.fully(x)))
        start = self.offset
        return logits[..., start : start + height, start : start + width]


class FCN32s2024(nn.Module):
    """The 2024 report's FCN-32s: a 7 x 7 convolution without padding, deconvolution k 44, s 52.

    For 512 pixels the map is 10 x 10 and (10 - 1) 52 + 44 = 512, but the stride is wider than the
    kernel: strips of 8 pixels get no value, 1 - (440/512)^2 = 26 % of all pixels. There each logit
    is 0 and the answer is class 0. The ReLU before the deconvolution is the report's too. Other
    sizes are interpolated to the image's own.
    """

    def __init__(self, classes: int, width: float = 1.0) -> None:
        super().__init__()
        top, wide = int(512 * width), int(1024 * width)
        self.stages = vgg16_stages(width, batch_norm=False)
        self.head = nn.Sequential(
            nn.Conv2d(top, wide, 7), nn.ReLU(), nn.Dropout2d(),
            nn.Conv2d(wide, classes, 1), nn.ReLU(),
            nn.ConvTranspose2d(classes, classes, 44, stride=52, bias=False),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for stage in self.stages:
            x = stage(x)
        logits: Tensor = self.head(x)
        if logits.shape[-2:] == images.shape[-2:]:
            return logits
        return F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=False)


class HeldNorm(nn.BatchNorm2d):
    """Batch norm that never learns statistics: it keeps mean 0 and variance 1 in training too.

    So it was in the starter of CS6550, which calls eval() before the first epoch and never train().
    Scale and shift are trained.
    """

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)


class FCN8s(nn.Module):
    """The FCN-8s of the CS6550 course: five learned deconvolutions, two skips from VGG-16's pools.

    Each step is deconvolution, ReLU, (+ skip), batch norm, in this order. `skips=False` leaves
    the two additions out; `held_norm` is the starter's slip (see `HeldNorm`).
    """

    def __init__(
        self,
        classes: int,
        width: float,
        skips: bool,
        batch_norm: bool = True,
        held_norm: bool = False,
    ) -> None:
        super().__init__()
        channels = [int(c * width) for c in (512, 512, 256, 128, 64, 32)]
        self.skips = skips
        self.stages = vgg16_stages(width, batch_norm)
        pairs = list(zip(channels, channels[1:], strict=False))
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 3, stride=2, padding=1, output_padding=1) for a, b in pairs
        )
        norm = HeldNorm if held_norm else nn.BatchNorm2d
        self.norms = nn.ModuleList(norm(b).train() for _, b in pairs)
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


def bilinear_(deconvolution: nn.ConvTranspose2d) -> None:
    """Bilinear interpolation from each channel to itself (surgery.py of the FCN authors)."""
    size = deconvolution.kernel_size[0]
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    ramp = 1 - (deconvolution.weight.new_tensor(range(size)) - centre).abs() / factor
    weight = deconvolution.weight.data.zero_()
    for channel in range(weight.shape[0]):
        weight[channel, channel] = ramp[:, None] * ramp[None, :]
