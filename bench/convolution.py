"""Forward and backward of single convolutions on small maps: `CroppedConv2d` against torch's.

The 3 x 3 convolutions of a ResNet on images of 32 pixels that are not torch's here, with 128
images (a batch of 64 in two views), channels last, on two threads, without the loss.
"""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from bench.measure import THREADS, Comparison, Measured, Side, Table, interleave
from reprise.models.convolution import CroppedConv2d
from reprise.params.training import Runtime
from reprise.training.runtime import Device, configure_torch

IMAGES = 128
# channels in, channels out, stride, side of the map
SHAPES = [
    (64, 128, 2, 16), (128, 256, 2, 8), (256, 512, 2, 4), (256, 512, 2, 2),
    (256, 256, 1, 4), (256, 256, 1, 2), (512, 512, 1, 2), (512, 512, 1, 1),
]  # fmt: skip
PRECISIONS = ("bfloat16", "float32")


def row(name: str, quick: bool) -> Measured:
    """All shapes in turn, in both precisions; a table of each shape."""
    sides, ways = {}, {}
    for precision in PRECISIONS:
        device = configure_torch(Runtime(device="cpu", precision=precision, threads=THREADS))  # type: ignore[arg-type]
        for kind, layer in (("ours", CroppedConv2d), ("torch", nn.Conv2d)):
            ways[kind, precision] = [Steps(layer, shape, device) for shape in SHAPES]
            what = {"ours": "Reprise: CroppedConv2d", "torch": "torch.nn.Conv2d"}[kind]
            sides[f"{kind}_{precision}"] = Side(
                f"{what}, {precision}", total(ways[kind, precision])
            )
    interleave(sides, 2 if quick else 15)
    rows = [
        [f"{into} to {out}, stride {stride}, {side} x {side}"]
        + [round(median(ways[way][number].spent) * 1e3, 2) for way in ways]
        for number, (into, out, stride, side) in enumerate(SHAPES)
    ]
    columns = ["convolution"] + [f"{kind}, {precision}, ms" for kind, precision in ways]
    return Measured(
        f"Convolutions of 3 x 3 on small maps, {IMAGES} images, forward and backward",
        "s",
        sides,
        [Comparison(each, f"ours_{each}", f"torch_{each}") for each in PRECISIONS],
        ["The sum over the shapes of the table below."],
        [Table("Convolutions on small maps", columns, rows)],
    )


class Steps:
    """Forward and backward of one layer; `spent` lists the seconds."""

    def __init__(
        self, kind: type[nn.Conv2d], shape: tuple[int, int, int, int], device: Device
    ) -> None:
        into, out, stride, side = shape
        torch.manual_seed(0)
        self.layer = kind(into, out, 3, stride=stride, padding=1, bias=False)
        device.to_device(self.layer)
        self.device = device
        images = torch.randn(IMAGES, into, side, side)
        self.images = images.contiguous(memory_format=torch.channels_last).requires_grad_()
        with device.autocast():
            self.gradient: Tensor = torch.randn_like(self.layer(self.images))
        self.spent: list[float] = []
        self()  # oneDNN prepares its kernels
        self.spent.clear()

    def __call__(self) -> float:
        self.images.grad = self.layer.weight.grad = None
        start = time.perf_counter()
        with self.device.autocast():
            outputs = self.layer(self.images)
        outputs.backward(self.gradient)
        self.spent.append(time.perf_counter() - start)
        return self.spent[-1]


def total(steps: list[Steps]) -> Callable[[], float]:
    """The seconds of all of them, one after the other."""
    return lambda: sum(step() for step in steps)
