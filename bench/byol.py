"""BYOL pretraining, images a second: Reprise, byol-pytorch 0.9.1 and lightly.

All sides train the same ResNet (torchvision's, its last layer the identity; ours with
`CroppedConv2d`) with a projector and a predictor of 4096 and 256, on two views of the same
uint8 images, in the same batches, with two threads, each in a separate process. An image counts
once, whatever its views. What a repetition is: a new loader, one step that is not timed, then
`steps` steps.

Ours is a step of the real training: uint8 arrays, augmentation with one draw an image, `Byol`,
the optimizer of the project, the target after the step. Two precisions: 'auto' (bfloat16 with
channels last where the CPU multiplies it natively) and float32.

byol-pytorch as its README shows: images as tensors, its own augmentation inside the learner (one
draw a batch), Adam, float32, `update_moving_average` after the step. Simplicial embeddings are
off, since they make another network (the others have none).

lightly as its documentation's BYOL example: a dataset of PIL images, BYOLTransform, a
DataLoader, its heads, SGD, `update_momentum` on a cosine before the step; float32. At 32 pixels
blur is off, as in that example.

The augmentations are those of each side, as its users run it: all crop, flip, change colours and
gray; only the peers blur, at 32 pixels byol-pytorch alone. The peers get the better of 0 and 2
loader workers.
"""

import copy
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from bench.measure import (
    THREADS,
    Comparison,
    Measured,
    Side,
    Table,
    better_workers,
    interleave,
)
from bench.sets import random_set
from bench.subprocess_side import Make, subprocess_sides
from reprise.datasets.batches import Batches
from reprise.datasets.prepared import read_prepared
from reprise.models.backbone import Backbone
from reprise.models.build import build_backbone
from reprise.models.convolution import CroppedConv2d, swap_layers
from reprise.params.byol import Recipe
from reprise.params.pretrain import TwoViewRecipe
from reprise.params.training import Augment, Runtime
from reprise.training.loop import make_optimizer
from reprise.training.runtime import configure_torch
from reprise.training.schedules import learning_rate
from reprise.training.ssl.byol import Byol
from reprise.training.ssl.two_views import CONCAT_MAX_PIXELS, TwoViews

HIDDEN, PROJECTION = 4096, 256
SHARE = "Share of a step that goes into its batch"
# as lightly's defaults, which are the paper's, without blur and solarisation
AUGMENT = Augment(
    min_scale=0.08,
    flip=True,
    brightness=0.4,
    contrast=0.4,
    saturation=0.2,
    hue=0.1,
    grayscale_p=0.2,
)


@dataclass(frozen=True)
class Case:
    """What all sides share."""

    backbone: str
    stem: str
    size: int
    batch: int
    steps: int
    repetitions: int

    @property
    def title(self) -> str:
        stem = ", stem of one 3 x 3" if self.stem == "small" else ""
        return f"{self.backbone}{stem} at {self.size} px, batch {self.batch}"


CASES = {
    "byol_resnet18": Case("resnet18", "small", 32, 64, 8, 5),
    "byol_resnet18_torchvision": Case("resnet18", "imagenet", 32, 64, 8, 5),
    "byol_resnet50": Case("resnet50", "imagenet", 128, 32, 2, 3),
}


class Ours:
    """Steps as in `reprise.training`; `waited` sums the time that goes into batches.

    kind: the method, and recipe: the class of its recipe; options: of the recipe.
    """

    def __init__(
        self,
        case: Case,
        folder: Path,
        precision: str,
        kind: type[TwoViews] = Byol,
        recipe: type[TwoViewRecipe] = Recipe,
        **options: int,
    ) -> None:
        self.case = case
        data = read_prepared(folder, "classification")
        self.device = configure_torch(Runtime(device="cpu", precision=precision, threads=THREADS))  # type: ignore[arg-type]
        sizes = {"proj_hidden_dim": HIDDEN, "proj_output_dim": PROJECTION}
        self.recipe = recipe(
            method=kind.__name__, epochs=100, batch_size=case.batch, learning_rate=0.001,
            weight_decay=1e-4, backbone=case.backbone, stem=case.stem, augment=AUGMENT,
            **sizes | options,
        )  # fmt: skip
        backbone = build_backbone(case.backbone, case.stem)
        concat_views = case.size**2 <= CONCAT_MAX_PIXELS
        self.model = kind(backbone, self.recipe, concat_views)
        self.device.to_device(self.model)
        self.model.train()
        self.batches = Batches(data, AUGMENT, 0, self.device.device)
        self.rows = data.rows("train")
        self.optimizer = make_optimizer(self.recipe, self.model)
        self.done = 0
        self.waited = 0.0
        self.facts: dict[str, Any] = {"bfloat16": self.device.dtype is torch.bfloat16}

    def __call__(self) -> float:
        self.step()
        start, waited = time.perf_counter(), self.waited
        for _ in range(self.case.steps):
            self.step()
        seconds = time.perf_counter() - start
        self.facts["share"] = (self.waited - waited) / seconds
        return self.case.batch * self.case.steps / seconds

    def step(self) -> None:
        per_epoch = len(self.rows) // self.case.batch
        epoch, batch = divmod(self.done, per_epoch)
        rows = self.rows[batch * self.case.batch :][: self.case.batch]
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.done, per_epoch)
        start = time.perf_counter()
        views = [self.batches.train_batch(rows, epoch, view) for view in (0, 1)]
        self.waited += time.perf_counter() - start
        with self.device.autocast():
            loss = self.model(*views)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.done += 1
        self.model.after_step(self.done, per_epoch * self.recipe.epochs)


class Peer:
    """A plain loop over a DataLoader; a subclass gives dataset and step."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        torch.set_num_threads(THREADS)
        data = read_prepared(folder, "classification")
        self.build(torch.from_numpy(np.array(data.images[data.rows("train")])))
        short = max(1, case.steps // 3)
        workers = better_workers(lambda workers: self.run(workers, short), True)
        self.facts = {"workers": workers}

    def backbone(self) -> Backbone:
        """Ours with torch's own convolutions: torchvision's ResNet, but for the small stem."""
        backbone = build_backbone(self.case.backbone, self.case.stem)  # type: ignore[arg-type]
        swap_layers(backbone, {CroppedConv2d: nn.Conv2d})
        return backbone

    def build(self, images: Tensor) -> None:
        raise NotImplementedError

    def step(self, batch: Any) -> None:
        raise NotImplementedError

    def __call__(self) -> float:
        return self.run(self.facts["workers"], self.case.steps)

    def run(self, workers: int, steps: int) -> float:
        """Images a second of an epoch of 1 + `steps` batches; the first is not timed."""
        chosen = torch.utils.data.Subset(self.data, range((steps + 1) * self.case.batch))
        loader: Iterable[Any] = DataLoader(
            chosen, self.case.batch, shuffle=True, drop_last=True, num_workers=workers
        )
        start = 0.0
        for number, batch in enumerate(loader):
            self.step(batch)
            if number == 0:
                start = time.perf_counter()
        return self.case.batch * steps / (time.perf_counter() - start)

    data: Dataset[Any]


class ByolPytorch(Peer):
    """byol-pytorch's learner as its README uses it."""

    def build(self, images: Tensor) -> None:
        from byol_pytorch import BYOL

        self.data = TensorDataset(images.permute(0, 3, 1, 2).contiguous())
        self.learner = BYOL(
            self.backbone().net,
            image_size=self.case.size,
            hidden_layer="avgpool",
            projection_size=PROJECTION,
            projection_hidden_size=HIDDEN,
            use_simplicial_embeddings=False,
        )
        self.optimizer = torch.optim.Adam(self.learner.parameters(), lr=3e-4)

    def step(self, batch: list[Tensor]) -> None:
        loss = self.learner(batch[0].float() / 255)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.learner.update_moving_average()


class PilImages(Dataset[Any]):
    """Transformed PIL images of pixels in memory with a label, as torchvision's CIFAR10."""

    def __init__(self, images: Tensor, transform: Callable[[Image.Image], Any]) -> None:
        self.images = images.numpy()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.images[row])), 0


class Lightly(Peer):
    """lightly's BYOL modules, transforms and dataset, wired as its documentation does."""

    def build(self, images: Tensor) -> None:
        from lightly.loss import NegativeCosineSimilarity
        from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead
        from lightly.models.utils import deactivate_requires_grad
        from lightly.transforms.byol_transform import (
            BYOLTransform,
            BYOLView1Transform,
            BYOLView2Transform,
        )

        size = self.case.size
        blur = {"gaussian_blur": 0.0} if size <= 32 else {}
        views = [kind(input_size=size, **blur) for kind in (BYOLView1Transform, BYOLView2Transform)]
        self.data = PilImages(images, BYOLTransform(*views))
        backbone = self.backbone()
        self.net = backbone.net
        self.projector = BYOLProjectionHead(backbone.width, HIDDEN, PROJECTION)
        self.predictor = BYOLPredictionHead(PROJECTION, HIDDEN, PROJECTION)
        self.targets = [copy.deepcopy(net) for net in (self.net, self.projector)]
        for target in self.targets:
            deactivate_requires_grad(target)
        trained = nn.ModuleList([self.net, self.projector, self.predictor])
        self.criterion = NegativeCosineSimilarity()
        self.optimizer = torch.optim.SGD(trained.parameters(), lr=0.06)
        self.done = 0

    def step(self, batch: Any) -> None:
        from lightly.models.utils import update_momentum
        from lightly.utils.scheduler import cosine_schedule

        momentum = cosine_schedule(self.done, 10_000, 0.996, 1)
        self.done += 1
        for online, target in zip((self.net, self.projector), self.targets, strict=True):
            update_momentum(online, target, m=momentum)
        first, second = batch[0]
        p0, z0 = self.predict(first), self.project(first)
        p1, z1 = self.predict(second), self.project(second)
        loss = 0.5 * (self.criterion(p0, z1) + self.criterion(p1, z0))
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def predict(self, view: Tensor) -> Tensor:
        features = self.net(view).flatten(start_dim=1)
        prediction: Tensor = self.predictor(self.projector(features))
        return prediction

    def project(self, view: Tensor) -> Tensor:
        backbone, projector = self.targets
        projection: Tensor = projector(backbone(view).flatten(start_dim=1))
        return projection.detach()


def row(name: str, quick: bool) -> Measured:
    """Four sides take turns: ours in two precisions, and the two peers."""
    case = CASES[name]
    steps, repetitions = (1, 1) if quick else (case.steps, case.repetitions)
    case = Case(case.backbone, case.stem, case.size, case.batch, steps, repetitions)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        random_set(folder, {"train": case.batch * (steps + 1), "val": 10, "test": 10}, case.size)
        makes: dict[str, Make] = {
            "auto": partial(Ours, case, folder, "auto"),
            "byol_pytorch": partial(ByolPytorch, case, folder),
            "float32": partial(Ours, case, folder, "float32"),
            "lightly": partial(Lightly, case, folder),
        }
        with subprocess_sides(makes) as running:
            sides = {key: Side(what(key, running[key].facts), running[key]) for key in running}
            interleave(sides, repetitions)
            wait = [
                [f"BYOL, {case.title}", key, round(running[key].facts["share"], 4)]
                for key in ("auto", "float32")
            ]
    return Measured(
        f"BYOL, {case.title}",
        "images/s",
        sides,
        [
            Comparison("each as a user runs it", "auto", "byol_pytorch", 2.5),
            Comparison("both in float32", "float32", "byol_pytorch", 1.2),
            Comparison("each as a user runs it", "auto", "lightly", 1.5),
            Comparison("both in float32", "float32", "lightly"),
        ],
        notes=[
            f"A repetition is {steps} steps after one that is not timed. Each side runs in a "
            "separate process. Both compute the same matrix products, but for zeros around small "
            "maps."
        ],
        tables=[Table(SHARE, ["training", "side", "share"], wait)],
    )


def what(side: str, facts: dict[str, Any]) -> str:
    """What a side does, in words."""
    if side == "auto":
        kind = "bfloat16 with channels last" if facts["bfloat16"] else "float32"
        return f"Reprise: uint8 arrays, one draw an image, AdamW, {kind}"
    if side == "float32":
        return "Reprise in float32, otherwise the same"
    if side == "byol_pytorch":
        return (
            "byol-pytorch's README loop over a DataLoader of the same images as tensors "
            f"({facts['workers']} workers), its own augmentation with one draw a batch, Adam, "
            "float32, simplicial embeddings off"
        )
    return (
        "lightly's documented BYOL example over a DataLoader of the same images as PIL images "
        f"({facts['workers']} workers), BYOLTransform, SGD, float32"
    )
