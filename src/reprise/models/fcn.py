"""Fully convolutional networks on VGG-16: FCN-32s as published, the FCN-8s of CS6550, variants."""

from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.vgg import cfgs, make_layers

from reprise.models.backbone import Options
from reprise.models.convolution import CroppedConv2d
from reprise.models.interpolate import resize_bilinear
from reprise.models.weights import State, load_state

# batch_norm: False: the layers of torchvision's vgg16
SEGMENTERS = {
    "fcn32s": {"batch_norm": True},
    "fcn32s_vgg16": {"batch_norm": False},
    # as the 2021 homework prints it, cropped 16 pixels off the middle
    "fcn32s_2021": {"batch_norm": False, "offset": 32},
    "fcn32s_2021_centred": {"batch_norm": False, "offset": 16},
    "fcn32s_k44s52": {},  # as in the 2024 homework: 26 % of the pixels get no value
    "fcn8s": {"batch_norm": True, "skips": True},
    "fcn8s_noskip": {"batch_norm": True, "skips": False},
    "fcn8s_vgg16": {"batch_norm": False, "skips": True},
    "fcn8s_vgg16_noskip": {"batch_norm": False, "skips": False},
}
# five pools leave a pixel; a skip adds maps of the same size
IMAGE_SIZES = {
    "fcn32s": (32, 1), "fcn32s_vgg16": (32, 1), "fcn32s_2021": (32, 1),
    "fcn32s_2021_centred": (32, 1), "fcn32s_k44s52": (224, 1),
    "fcn8s": (32, 32), "fcn8s_noskip": (32, 1),
    "fcn8s_vgg16": (32, 32), "fcn8s_vgg16_noskip": (32, 1),
}  # fmt: skip


class VGG16Segmenter(nn.Module):
    """VGG-16's convolutions (Simonyan and Zisserman 2015) as five stages, each ending in a pool.

    width_mult: scales the channels. batch_norm: after each convolution, because the plain network
    hardly trains without pretrained weights; without it the layers are torchvision's.
    """

    def __init__(self, width_mult: float, batch_norm: bool = True) -> None:
        super().__init__()
        plan = [int(entry * width_mult) if isinstance(entry, int) else entry for entry in cfgs["D"]]
        layers = list(make_layers(plan, batch_norm=batch_norm))
        ends = [i + 1 for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
        stages = zip([0, *ends[:-1]], ends, strict=True)
        self.stages = nn.ModuleList(nn.Sequential(*layers[start:end]) for start, end in stages)

    def pools(self, images: Tensor) -> list[Tensor]:
        """The images and the outputs of the five stages."""
        outputs = [images]
        for stage in self.stages:
            outputs.append(stage(outputs[-1]))
        return outputs


class FCN32s(VGG16Segmenter):
    """FCN-32s (Long, Shelhamer and Darrell 2015) on VGG-16 with padding 1.

    Where the paper pads the image by 100, this pads fc6 by 3 and the deconvolution by 16, which
    covers every pixel for sizes that 32 divides.

    With `offset` it is the FCN-32s that the 2021 homework prints: fc6 is a 1 x 1 convolution, and
    the deconvolution has no padding, so 512 pixels become 544, of which rows and columns from
    `offset` on are kept; in the homework from 32 on, while the middle begins at 16.
    """

    def __init__(
        self, n_classes: int, width_mult: float, batch_norm: bool, offset: int | None = None
    ) -> None:
        super().__init__(width_mult, batch_norm)
        top, width = int(512 * width_mult), int(4096 * width_mult)
        self.offset = offset
        published = offset is None
        self.fully = nn.Sequential(
            CroppedConv2d(top, width, 7, padding=3) if published else nn.Conv2d(top, width, 1),
            nn.ReLU(), nn.Dropout2d(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Dropout2d(),
        )  # fmt: skip
        self.score = nn.Conv2d(width, n_classes, 1)
        padding = 16 if published else 0
        self.up = nn.ConvTranspose2d(
            n_classes, n_classes, 64, stride=32, padding=padding, bias=False
        )
        if published:
            nn.init.zeros_(self.score.weight)
            bilinear_(self.up)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.up(self.score(self.fully(self.pools(images)[-1])))
        if self.offset is None:
            return logits
        (height, width), start = images.shape[-2:], self.offset
        return logits[..., start : start + height, start : start + width]


class FCN32s2024(VGG16Segmenter):
    """The 2024 homework's FCN-32s: a 7 x 7 convolution without padding, deconvolution k 44, s 52.

    For 512 pixels the map is 10 x 10 and (10 - 1) 52 + 44 = 512, but the stride is wider than the
    kernel: strips of 8 pixels get no value, 1 - (440/512)^2 = 26 % of all pixels. There each logit
    is 0 and the prediction is class 0. The ReLU before the deconvolution is the homework's too.
    Logits of other sizes are interpolated to the image's.
    """

    def __init__(self, n_classes: int, width_mult: float) -> None:
        super().__init__(width_mult, batch_norm=False)
        top, width = int(512 * width_mult), int(1024 * width_mult)
        self.head = nn.Sequential(
            nn.Conv2d(top, width, 7), nn.ReLU(), nn.Dropout2d(),
            nn.Conv2d(width, n_classes, 1), nn.ReLU(),
            nn.ConvTranspose2d(n_classes, n_classes, 44, stride=52, bias=False),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.pools(images)[-1])
        size = images.shape[-2:]
        return logits if logits.shape[-2:] == size else resize_bilinear(logits, *size)


class FrozenBatchNorm(nn.BatchNorm2d):
    """Batch norm that never learns statistics: mean 0 and variance 1 in training too.

    So it was in the starter of CS6550, which calls eval() before the first epoch and never train().
    Scale and shift are trained.
    """

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)


class FCN8s(VGG16Segmenter):
    """The FCN-8s of the CS6550 course: five learned deconvolutions, two skips from VGG-16's pools.

    Each step is deconvolution, ReLU, (+ skip), batch norm, in this order. skips: false leaves
    the two additions out. freeze_bn: the starter's mistake (see `FrozenBatchNorm`).
    """

    def __init__(
        self, n_classes: int, width_mult: float, skips: bool, batch_norm: bool, freeze_bn: bool
    ) -> None:
        super().__init__(width_mult, batch_norm)
        channels = [int(c * width_mult) for c in (512, 512, 256, 128, 64, 32)]
        self.skips = skips
        pairs = list(zip(channels, channels[1:], strict=False))
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 3, stride=2, padding=1, output_padding=1) for a, b in pairs
        )
        norm = FrozenBatchNorm if freeze_bn else nn.BatchNorm2d
        self.norms = nn.ModuleList(norm(b).train() for _, b in pairs)
        self.classifier = nn.Conv2d(channels[-1], n_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        pools = self.pools(images)
        x = pools[5]
        for step, (up, norm) in enumerate(zip(self.ups, self.norms, strict=True)):
            x = F.relu(up(x))
            if self.skips and step < 2:
                x = x + pools[4 - step]
            x = norm(x)
        logits: Tensor = self.classifier(x)
        return logits


def build_segmenter(recipe: Options, n_classes: int) -> nn.Module:
    """The randomly initialised network that a recipe names."""
    options: Any = SEGMENTERS[recipe.model]
    if recipe.model == "fcn32s_k44s52":
        return FCN32s2024(n_classes, recipe.width_mult)
    if recipe.model.startswith("fcn32s"):
        return FCN32s(n_classes, recipe.width_mult, **options)
    return FCN8s(n_classes, recipe.width_mult, freeze_bn=recipe.freeze_bn, **options)


def load_weights(model: VGG16Segmenter, state: State, path: str) -> None:
    """Load the convolutions from torchvision's vgg16 (see `build.load_weights_into`)."""
    # torchvision numbers all layers, the stages begin at 0 again: the order is the same
    features = [value for key, value in state.items() if key.startswith("features.")]
    keys = [key for key in model.stages.state_dict() if not key.endswith("num_batches_tracked")]
    named = dict(zip(keys, features, strict=False)) if len(keys) == len(features) else state
    load_state(model.stages, named, path)


def bilinear_(deconvolution: nn.ConvTranspose2d) -> None:
    """Bilinear interpolation from each channel to itself (surgery.py of the FCN authors)."""
    size = deconvolution.kernel_size[0]
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 else factor - 0.5
    ramp = 1 - (deconvolution.weight.new_tensor(range(size)) - center).abs() / factor
    weight = deconvolution.weight.data.zero_()
    for channel in range(weight.shape[0]):
        weight[channel, channel] = ramp[:, None] * ramp[None, :]
