"""One epoch of the small CNN from files: uint8 arrays against ImageFolder.

Both train the same network on the same 32-pixel tiles (those of `climate`), batches of 64, SGD with
momentum, two threads, with one of two augmentations: random left-right flips alone, or random
resized crops (area from .6), flips, and brightness, contrast, saturation by up to .2. The model
exists before the clock starts, the dataset does not: opening it is part of the epoch.
"""

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from bench.byol import SHARE
from bench.measure import (
    THREADS,
    Comparison,
    Measured,
    Side,
    Table,
    better_workers,
    interleave,
)
from bench.sets import as_files, prepared
from bench.subprocess_side import Make, subprocess_sides
from reprise.datasets.batches import Batches
from reprise.datasets.prepared import read_prepared
from reprise.datasets.rng import permutation
from reprise.models.build import build_classifier
from reprise.params.classify import ClassifyRecipe
from reprise.params.training import Augment, Runtime
from reprise.training.loop import make_optimizer
from reprise.training.runtime import configure_torch

BATCH = 64
RECIPE = ClassifyRecipe(
    model="cnn", image_size=32, feature_epochs=[], epochs=1, batch_size=BATCH, optimizer="sgd",
    learning_rate=0.01, momentum=0.9,
)  # fmt: skip
AUGMENTS = {
    "flip": Augment(flip=True),
    "all": Augment(
        min_scale=0.6, flip=True, brightness=0.2, contrast=0.2, saturation=0.2, color_jitter_p=1.0
    ),
}


class Ours:
    """An epoch from the prepared dataset, as in `reprise.training`."""

    def __init__(self, folder: Path, precision: str, augment: str) -> None:
        self.folder = folder
        self.recipe = RECIPE.model_copy(update={"augment": AUGMENTS[augment]})
        self.device = configure_torch(Runtime(device="cpu", precision=precision, threads=THREADS))  # type: ignore[arg-type]
        self.model = build_classifier(RECIPE, len(read_prepared(folder).classes.names))
        self.device.to_device(self.model)
        self.model.train()
        self.optimizer = make_optimizer(self.recipe, self.model)
        self.facts: dict[str, Any] = {"bfloat16": self.device.dtype is torch.bfloat16}
        self()

    def __call__(self) -> float:
        start, waited = time.perf_counter(), 0.0
        data = read_prepared(self.folder, "classification")
        batches = Batches(data, self.recipe.augment, 0, self.device.device)
        labels = torch.from_numpy(np.array(data.labels)).long()
        rows = data.rows("train")
        rows = rows[permutation(0, 1, len(rows))]
        for first in range(0, len(rows) - BATCH + 1, BATCH):
            chosen = rows[first : first + BATCH]
            before = time.perf_counter()
            images = batches.train_batch(chosen, 1)
            waited += time.perf_counter() - before
            with self.device.autocast():
                logits = self.model(images).float()
            loss = F.cross_entropy(logits, labels[torch.from_numpy(chosen)])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        seconds = time.perf_counter() - start
        self.facts["share"] = waited / seconds
        return seconds


class Folder:
    """An epoch from PNG files, as torchvision's tutorials do."""

    def __init__(
        self, folder: Path, mean: list[float], std: list[float], classes: int, augment: str
    ) -> None:
        from torchvision import transforms as T

        self.folder = folder
        random: list[Any] = [T.RandomHorizontalFlip()]
        if augment == "all":
            random = [T.RandomResizedCrop(32, (0.6, 1.0)), *random, T.ColorJitter(0.2, 0.2, 0.2)]
        self.transform = T.Compose([*random, T.ToTensor(), T.Normalize(mean, std)])
        torch.set_num_threads(THREADS)
        self.model = build_classifier(RECIPE, classes)
        self.model.train()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.epoch(0)  # files into the page cache
        self.facts = {"workers": better_workers(self.epoch, False)}

    def __call__(self) -> float:
        return self.epoch(self.facts["workers"])

    def epoch(self, workers: int) -> float:
        from torch.utils.data import DataLoader
        from torchvision.datasets import ImageFolder

        start = time.perf_counter()
        data = ImageFolder(str(self.folder), self.transform, allow_empty=True)
        loader = DataLoader(data, BATCH, shuffle=True, drop_last=True, num_workers=workers)
        for images, labels in loader:
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(images), labels).backward()
            self.optimizer.step()
        return time.perf_counter() - start


def row(name: str, quick: bool) -> Measured:
    """Ours and the folder of files with both augmentations, and ours in float32."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        store = prepared("climate", folder)
        data = read_prepared(store, "classification")
        as_files(data, ["train"], folder / "files")
        shown = (list(data.mean), list(data.std), len(data.classes.names))
        makes: dict[str, Make] = {
            "flip": partial(Ours, store, "auto", "flip"),
            "files_flip": partial(Folder, folder / "files" / "train", *shown, "flip"),
            "flip_float32": partial(Ours, store, "float32", "flip"),
            "all": partial(Ours, store, "auto", "all"),
            "files_all": partial(Folder, folder / "files" / "train", *shown, "all"),
        }
        with subprocess_sides(makes) as running:
            facts = {key: side.facts for key, side in running.items()}
            precision = "bfloat16" if facts["flip"]["bfloat16"] else "float32"
            peers = "ImageFolder over PNG files, transforms on PIL images, DataLoader, float32"
            texts = {
                "flip": "Reprise: uint8 arrays opened, flips on whole batches with one draw an "
                f"image, {precision}, channels last",
                "flip_float32": "the same in float32",
                "all": f"Reprise with crops, flips and colors, {precision}",
                "files_flip": f"{peers}, {facts['files_flip']['workers']} workers; flips",
                "files_all": f"{peers}, {facts['files_all']['workers']} workers; crops, flips, "
                "colors",
            }
            sides = {key: Side(texts[key], running[key]) for key in running}
            interleave(sides, 1 if quick else 7)
            shares = {
                key: side.facts["share"] for key, side in running.items() if "share" in side.facts
            }
    title = f"Small CNN, one epoch of {len(data.rows('train'))} images of 32 x 32"
    wait = [[title, key, round(share, 4)] for key, share in shares.items()]
    return Measured(
        title,
        "s",
        sides,
        [
            Comparison("files, flips", "flip", "files_flip", 5),
            Comparison("files, crops, flips and colors", "all", "files_all", 5),
            Comparison("files, flips, both in float32", "flip_float32", "files_flip"),
        ],
        [
            "Each side runs in a separate process; the files are in the page cache. Batches are "
            "a small share of our epoch (see below): the rest is the steps of the network, which "
            "both sides run."
        ],
        [Table(SHARE, ["training", "side", "share"], wait)],
    )
