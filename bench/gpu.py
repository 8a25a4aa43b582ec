"""Measure training on a GPU: images a second, and FLOP/s as a share of the device's matrix rate.

    PYTHONPATH=src python -m bench.gpu [--device cpu] [--quick]

Each row is a step of the project's own training (uint8 store, augmentation on the device, bfloat16
autocast with channels last, fused optimizer, deterministic algorithms) on random pixels: no speed
depends on them. Operations are those of matrix products and convolutions, forward and backward, as
torch.utils.flop_counter counts them; the matrix rate is the best of some products of two large
bfloat16 matrices. Prints a table and writes logs/bench-gpu.json. --quick tries everything with
tiny sizes and numbers that mean nothing, and writes logs/bench-gpu-quick.json.
"""

import argparse
import itertools
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from bench.measure import ROOT
from bench.sets import random_set
from reprise.cli import run
from reprise.data.inputs import Inputs
from reprise.data.randomness import order
from reprise.errors import RepriseError
from reprise.files import write_json
from reprise.models.backbone import resnet
from reprise.models.classifier import with_head
from reprise.params import Augment, ByolPretraining, Runtime, Training
from reprise.training.byol import Byol
from reprise.training.classification import FrozenFeatures
from reprise.training.loop import make_optimizer
from reprise.training.runtime import Device, set_up

GOAL = 0.4  # of the device's matrix rate
AUGMENT = Augment(
    crop=0.08, flip=True, brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, grey=0.2
)
Step = Callable[[int], None]  # takes the number of the step
Rows = np.ndarray


@dataclass(frozen=True)
class Sizes:
    """What --quick makes small."""

    byol: tuple[int, int] = (128, 256)  # pixels, batch
    frozen: tuple[int, int] = (128, 4096)  # pixels, images
    deeplab: tuple[int, int] = (512, 16)  # pixels, batch
    matrix: int = 8192
    steps: int = 20
    repetitions: int = 5


QUICK = Sizes((32, 4), (32, 16), (64, 2), 256, 2, 1)


@dataclass
class Row:
    """images_per_second: of each repetition. share: of the matrix rate, for their median."""

    title: str
    batch: int
    images_per_second: list[float]
    gflop_per_image: float
    share: float = 0.0
    peak_memory_gib: float = 0.0
    goal: float | None = GOAL

    @property
    def median(self) -> float:
        return float(np.median(self.images_per_second))


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.gpu", description=__doc__, formatter_class=layout)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="a try; its numbers mean nothing")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        raise RepriseError("no GPU is visible, and nothing was measured; run it where one is")
    if args.device == "cpu" and not args.quick:
        raise RepriseError("--device cpu only tries the code; add --quick")
    device = set_up(Runtime(device=args.device, precision="auto"))
    sizes = QUICK if args.quick else Sizes()
    rate = matrix_rate(device, sizes)
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for measure in (byol, frozen_features, frozen_head, deeplab):
            logging.info("%s ...", measure.__name__)
            row = measure(Path(folder) / measure.__name__, device, sizes)
            row.share = row.median * row.gflop_per_image * 1e9 / rate
            rows.append(row)
    found = {"quick": args.quick, "goal": GOAL, **machine(device), "matrix_tflops": rate / 1e12}
    path = ROOT / "logs" / ("bench-gpu-quick.json" if args.quick else "bench-gpu.json")
    write_json(path, found | {"rows": [asdict(row) for row in rows]})
    print(table(found, rows))
    logging.info("%s written", path.relative_to(ROOT))


def byol(folder: Path, device: Device, sizes: Sizes) -> Row:
    """A step of BYOL: two views, online and target network, optimizer, target update."""
    pixels, batch = sizes.byol
    data = random_set(folder, {"train": 8 * batch, "select": 10, "report": 10}, pixels)
    recipe = ByolPretraining(
        epochs=1, batch_size=batch, learning_rate=0.001, weight_decay=1e-4, backbone="resnet50",
        stem="imagenet", augment=AUGMENT,
    )  # fmt: skip
    inputs = Inputs(data, AUGMENT, 0, device.device)
    model = Byol(resnet("resnet50", "imagenet"), recipe.hidden, recipe.projection, recipe.tau)
    device.place(model)
    optimizer = make_optimizer(recipe, model)

    def step(number: int) -> None:
        rows = batch_of(data.rows("train"), number, batch)
        with device.autocast():
            loss = model(inputs.train(rows, number, 0), inputs.train(rows, number, 1))
        update(optimizer, loss)
        model.update_target(number + 1, 10**6)

    return measured(f"BYOL, ResNet-50, {pixels} px", step, batch, device, sizes)


def frozen_features(folder: Path, device: Device, sizes: Sizes) -> Row:
    """Settings D and E, first part: each image through the frozen backbone, in eight views."""
    pixels, count = sizes.frozen
    data = random_set(folder, {"train": count, "select": 10, "report": 10}, pixels)
    inputs = Inputs(data, Augment(dihedral=True), 0, device.device)
    backbone = resnet("resnet50", "imagenet").freeze()
    device.place(backbone)

    def step(number: int) -> None:
        FrozenFeatures(inputs, backbone, data.rows("train"), device)

    views = 8 * count + 20
    title = f"Frozen ResNet-50, features of 8 views, {pixels} px"
    return measured(title, step, views, device, sizes, steps=1)


def frozen_head(folder: Path, device: Device, sizes: Sizes) -> Row:
    """Settings D and E, second part: the head on the features."""
    pixels, count = sizes.frozen
    batch = min(256, count)
    data = random_set(folder, {"train": count, "select": 10, "report": 10}, pixels)
    inputs = Inputs(data, Augment(dihedral=True), 0, device.device)
    model = with_head(resnet("resnet50", "imagenet").freeze(), 512, len(data.classes))
    device.place(model)
    features = FrozenFeatures(inputs, model.backbone, data.rows("train"), device)
    labels = torch.from_numpy(np.array(data.labels)).long().to(device.device)
    model.train()
    optimizer = make_optimizer(Training(epochs=1, batch_size=batch, learning_rate=0.001), model)

    def step(number: int) -> None:
        rows = batch_of(data.rows("train"), number, batch)
        with device.autocast():
            logits = model.head(features.train(rows, number)).float()
        update(optimizer, F.cross_entropy(logits, labels[device.move(rows)]))

    title = f"Head on frozen features, {features.plain(np.arange(1)).shape[1]}-512"
    row = measured(title, step, batch, device, sizes)
    row.goal = None  # too small to fill a GPU; its time is the launches'
    return row


def deeplab(folder: Path, device: Device, sizes: Sizes) -> Row:
    """A step of torchvision's DeepLabV3-ResNet101, images and label maps moved together."""
    pixels, batch = sizes.deeplab
    data = random_set(folder, {"train": 4 * batch, "select": 2, "report": 2}, pixels)
    classes = 7
    maps = np.random.default_rng(0).integers(0, classes, (len(data.images), pixels, pixels))
    labels = torch.from_numpy(maps.astype(np.uint8)).to(device.device)
    inputs = Inputs(data, Augment(crop=0.5, dihedral=True), 0, device.device)
    model: nn.Module = torchvision.models.segmentation.deeplabv3_resnet101(
        weights=None, weights_backbone=None, num_classes=classes
    )
    device.place(model)
    model.train()
    recipe = Training(epochs=1, batch_size=batch, learning_rate=0.01, optimizer="sgd")
    optimizer = make_optimizer(recipe, model)

    def step(number: int) -> None:
        rows = batch_of(data.rows("train"), number, batch)
        images, truth = inputs.train_with_labels(rows, number, labels)
        with device.autocast():
            logits = model(images)["out"].float()
        # the mean of cross_entropy itself has no deterministic form on a GPU
        update(optimizer, F.cross_entropy(logits, truth, reduction="none").mean())

    return measured(f"DeepLabV3-ResNet101, {pixels} px", step, batch, device, sizes)


def batch_of(rows: Rows, number: int, batch: int) -> Rows:
    """A batch of `rows` for a step, in an order that changes with each epoch."""
    per_epoch = len(rows) // batch
    shuffled = rows[order(0, number // per_epoch, len(rows))]
    return shuffled[number % per_epoch * batch :][:batch]


def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def measured(
    title: str, step: Step, images: int, device: Device, sizes: Sizes, steps: int | None = None
) -> Row:
    """Warm up, count the operations of one step, then time `steps` steps in each repetition."""
    cuda = device.device.type == "cuda"
    steps = steps or sizes.steps
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    numbers = itertools.count()
    for _ in range(2):
        step(next(numbers))
    with FlopCounterMode(display=False) as counter:
        step(next(numbers))
    rates = []
    for _ in range(sizes.repetitions):
        synchronize(device)
        start = time.perf_counter()
        for _ in range(steps):
            step(next(numbers))
        synchronize(device)
        rates.append(images * steps / (time.perf_counter() - start))
    row = Row(title, images, rates, counter.get_total_flops() / images / 1e9)
    if cuda:
        row.peak_memory_gib = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.empty_cache()
    return row


def matrix_rate(device: Device, sizes: Sizes) -> float:
    """Best measured FLOP/s of a product of two square bfloat16 matrices."""
    one, two = (
        torch.randn(sizes.matrix, sizes.matrix, device=device.device).bfloat16() for _ in range(2)
    )
    seconds = []
    for _ in range(3 + 10 * sizes.repetitions):
        synchronize(device)
        start = time.perf_counter()
        one @ two
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 2 * sizes.matrix**3 / min(seconds)


def synchronize(device: Device) -> None:
    """Wait for a GPU; a processor has nothing to wait for."""
    if device.device.type == "cuda":
        torch.cuda.synchronize()


def machine(device: Device) -> dict[str, str | bool]:
    """What the numbers depend on."""
    cuda = device.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device.device) if cuda else "cpu",
        "bfloat16": device.dtype is torch.bfloat16,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "cuda": torch.version.cuda if cuda and torch.version.cuda else "none",
    }


def table(found: dict[str, object], rows: list[Row]) -> str:
    """The rows as Markdown, under the device and its matrix rate."""
    warning = "; a try, its numbers mean nothing" if found["quick"] else ""
    lines = [
        f"{found['device']}, torch {found['torch']}: {found['matrix_tflops']:.4g} TFLOP/s in a "
        f"product of bfloat16 matrices{warning}",
        "",
        "| what | batch | images/s | GFLOP/image | share of the matrix rate | goal | peak GiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        goal = "-" if row.goal is None else f"{row.goal:.0%}"
        lines.append(
            f"| {row.title} | {row.batch} | {row.median:.4g} | {row.gflop_per_image:.3g} "
            f"| {row.share:.1%} | {goal} | {row.peak_memory_gib:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
