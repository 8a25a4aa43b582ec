"""Own images: `make data` and `prepare` beside torchvision, and batches beside ImageFolder.

10,000 JPEG files of 280 x 240 pixels in ten class folders, brought to 224 x 224. torchvision
decodes and resizes each once, on as many threads as `make data` uses. Batches are of 64 images
without augmentation, normalized; ImageFolder decodes files of 224 x 224 in a DataLoader with two
workers.
"""

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.io import decode_image
from torchvision.transforms import v2

from bench.measure import Comparison, Measured, Side, interleave
from bench.timing import seconds_of
from reprise.datasets.batches import Batches
from reprise.datasets.image_registry import ImageOptions, register_images
from reprise.datasets.images import prepare
from reprise.datasets.prepared import read_prepared
from reprise.datasets.rows import THREADS
from reprise.datasets.writer import write_dataset
from reprise.params.datasets import ImagesDataset
from reprise.params.training import Augment

SIDE, CLASSES, BATCH = 224, 10, 64
MOST = 1 / 1.5  # of `make data` and `prepare`: at most 1.5 times the time


def write_images(folder: Path, count: int, size: tuple[int, int]) -> None:
    """JPEG files of smooth random pixels in class folders; size: (width, height)."""
    generator = np.random.default_rng(0)
    for number in range(count):
        coarse = generator.integers(0, 256, (15, 15, 3), dtype=np.uint8)
        path = folder / f"{number % CLASSES}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)


def torchvision(files: list[Path]) -> None:
    """Decode and resize each file once."""
    resize = v2.Compose([v2.Resize(SIDE), v2.CenterCrop(SIDE)])

    def one(path: Path) -> int:
        return int(resize(decode_image(str(path), mode="RGB")).shape[-1])

    with ThreadPoolExecutor(THREADS) as pool:
        assert set(pool.map(one, files)) == {SIDE}


def image_folder(folder: Path) -> None:
    """An epoch of ImageFolder with two workers."""
    steps = [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.5] * 3, [0.2] * 3),
    ]
    data = ImageFolder(str(folder), v2.Compose(steps))
    for images, _ in DataLoader(data, BATCH, num_workers=2):
        assert images.shape[-1] == SIDE


def row(_: str, quick: bool) -> Measured:
    """The two steps and the batches, each beside its peer."""
    torch.set_num_threads(1)
    count, home = 200 if quick else 10_000, Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)  # where `make data` would write the list of problems
        try:
            return _measure(folder, count, 1 if quick else 5)
        finally:
            os.chdir(home)


def _measure(folder: Path, count: int, repetitions: int) -> Measured:
    raw = folder / "raw"
    write_images(folder / "images", count, (280, 240))
    write_images(folder / "small", count, (SIDE, SIDE))
    files = sorted((folder / "images").rglob("*.jpg"))
    registered = register_images(folder / "images", "mine", ImageOptions(), raw)
    recipe = ImagesDataset(
        source="images", kind="classification", registered_as="mine", sha256=registered.digest,
        size=SIDE,
    )  # fmt: skip

    def make_data() -> None:
        register_images(folder / "images", "mine", ImageOptions(), raw)

    def prepared() -> None:
        write_dataset(folder / "out", "mine", prepare(recipe, raw))

    prepared()
    batches = Batches(read_prepared(folder / "out"), Augment(), 0, torch.device("cpu"))
    order = np.random.default_rng(0).permutation(count)

    def epoch() -> None:
        for start in range(0, count, BATCH):
            batches.eval_batch(order[start : start + BATCH])

    works: dict[str, tuple[str, Callable[[], Any]]] = {
        "data": ("Reprise: `make data`: decodes, checks and hashes each image", make_data),
        "prepare": ("Reprise: `prepare`: verifies, decodes, resizes and writes", prepared),
        "torchvision": (
            "torchvision: decodes and resizes each image once", lambda: torchvision(files),
        ),
        "batches": ("Reprise: an epoch of batches of the prepared images", epoch),
        "ImageFolder": (
            "torchvision: ImageFolder, DataLoader with 2 workers",
            lambda: image_folder(folder / "small"),
        ),
    }  # fmt: skip
    sides = {name: Side(what, seconds_of(work)) for name, (what, work) in works.items()}
    interleave(sides, repetitions)
    comparisons = [
        Comparison("`make data` beside decoding and resizing", "data", "torchvision", MOST),
        Comparison("`prepare` beside decoding and resizing", "prepare", "torchvision", MOST),
        Comparison("Batches beside ImageFolder", "batches", "ImageFolder", 5),
    ]
    notes = [f"{count} images; {THREADS} threads decode, on both sides."]
    return Measured("Own images of 224 x 224", "s", sides, comparisons, notes)
