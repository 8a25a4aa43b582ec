"""SimCLR, Barlow Twins and VICReg, images a second: Reprise and lightly's documented examples.

The backbone is a ResNet-18 with the small stem at 32 pixels, as in lightly's examples for CIFAR-10;
steps, sides and repetitions are those of bench/byol.py. Projectors have the sizes of the examples;
that of VICReg has three layers on both sides, where the example has two.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn, optim

from bench.byol import CASES, Case, Ours, Peer, PilImages
from bench.measure import Comparison, Measured, Side, interleave
from bench.sets import random_set
from bench.subprocess_side import Make, subprocess_sides
from reprise.params import barlow_twins, simclr, vicreg
from reprise.training.ssl.barlow_twins import BarlowTwins
from reprise.training.ssl.simclr import SimClr
from reprise.training.ssl.vicreg import VicReg

OURS: dict[str, tuple[Any, Any, dict[str, int]]] = {
    "simclr": (SimClr, simclr.Recipe, {"proj_hidden_dim": 512, "proj_output_dim": 128}),
    "barlow_twins": (
        BarlowTwins, barlow_twins.Recipe, {"proj_hidden_dim": 2048, "proj_output_dim": 2048}
    ),
    "vicreg": (VicReg, vicreg.Recipe, {"proj_hidden_dim": 2048, "proj_output_dim": 2048}),
}  # fmt: skip
GOAL = 1.5


class Lightly(Peer):
    """lightly's modules, loss, transform and dataset, wired as its documentation does."""

    def __init__(self, case: Case, folder: Path, method: str) -> None:
        self.method = method
        super().__init__(case, folder)

    def build(self, images: Tensor) -> None:
        transform, head, self.criterion = parts(self.method, self.case.size)
        self.data = PilImages(images, transform)
        self.model = nn.Sequential(self.backbone(), head)
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.06)

    def step(self, batch: Any) -> None:
        first, second = batch[0]
        loss = self.criterion(self.model(first), self.model(second))
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def parts(method: str, size: int) -> tuple[Any, nn.Module, Any]:
    """lightly's transform, head and loss of a method, with the sizes of its examples."""
    from lightly import loss
    from lightly.models.modules import heads
    from lightly.transforms import SimCLRTransform, VICRegTransform
    from lightly.transforms.byol_transform import (
        BYOLTransform,
        BYOLView1Transform,
        BYOLView2Transform,
    )

    if method == "simclr":
        transform = SimCLRTransform(input_size=size, gaussian_blur=0.0)
        return transform, heads.SimCLRProjectionHead(512, 512, 128), loss.NTXentLoss()
    if method == "vicreg":
        transform = VICRegTransform(input_size=size, gaussian_blur=0.0)
        return transform, heads.VICRegProjectionHead(512, 2048, 2048, 3), loss.VICRegLoss()
    views = [
        kind(input_size=size, gaussian_blur=0.0)
        for kind in (BYOLView1Transform, BYOLView2Transform)
    ]
    head = heads.BarlowTwinsProjectionHead(512, 2048, 2048)
    return BYOLTransform(*views), head, loss.BarlowTwinsLoss()


def row(name: str, quick: bool) -> Measured:
    """Three sides take turns: ours in two precisions, and lightly."""
    case = CASES["byol_resnet18"]
    steps, repetitions = (1, 1) if quick else (case.steps, case.repetitions)
    case = Case(case.backbone, case.stem, case.size, case.batch, steps, repetitions)
    kind, recipe, sizes = OURS[name]
    title = f"{kind.__name__}, {case.title}"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        random_set(folder, {"train": case.batch * (steps + 1), "val": 10, "test": 10}, case.size)
        makes: dict[str, Make] = {
            "auto": partial(Ours, case, folder, "auto", kind, recipe, **sizes),
            "float32": partial(Ours, case, folder, "float32", kind, recipe, **sizes),
            "lightly": partial(Lightly, case, folder, name),
        }
        with subprocess_sides(makes) as running:
            sides = {key: Side(what(key, running[key].facts), running[key]) for key in running}
            interleave(sides, repetitions)
    return Measured(
        title,
        "images/s",
        sides,
        [
            Comparison("each as a user runs it", "auto", "lightly", GOAL),
            Comparison("both in float32", "float32", "lightly"),
        ],
        notes=[
            f"A repetition is {steps} steps after one that is not timed. Each side runs in a "
            "separate process."
        ],
    )


def what(side: str, facts: dict[str, Any]) -> str:
    """What a side does, in words."""
    if side == "lightly":
        return (
            "lightly's documented example over a DataLoader of the same images as PIL images "
            f"({facts['workers']} workers), its transform without blur, SGD, float32"
        )
    kind = "bfloat16 with channels last" if facts["bfloat16"] else "float32"
    return f"Reprise: uint8 arrays, one draw an image, AdamW, {kind}"
