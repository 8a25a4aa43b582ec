"""Augmentation policies of a batch: by operation, or image by image with torchvision.

Both make the same draws and the same pixels, which the row checks first. One thread; CPU time,
because the two sides may share a machine with other work.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bench.measure import Comparison, Measured, Side, interleave
from reprise.datasets.policies import apply_policies
from reprise.training.runtime import keep_memory

BATCH = 32
# row -> policies, side of the images, goal
POLICIES = {
    "trivial_augment": (["trivial_wide"], 128, 5.0),
    "auto_augment": (["autoaugment_cifar10", "cutout"], 224, 5.0),
}


def image_by_image(images: Tensor, names: list[str], seeds: list[int]) -> Tensor:
    """torchvision's transforms on one image at a time."""
    from torchvision.transforms import v2

    transforms = {
        "trivial_wide": v2.TrivialAugmentWide(),
        "autoaugment_cifar10": v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10),
        "cutout": v2.RandomErasing(p=1, scale=(1 / 16, 1 / 16), ratio=(1, 1), value=0),
    }
    changed = []
    for image, seed in zip(images, seeds, strict=True):
        torch.default_generator.manual_seed(seed)
        for name in names:
            image = transforms[name](image)
        changed.append(image)
    return torch.stack(changed)


def cpu_seconds_of(work: Callable[[int], object], rounds: int) -> Callable[[], float]:
    """A function that does the work with new seeds, and gives its CPU seconds for an image."""
    first = 0

    def timed() -> float:
        nonlocal first
        start = time.process_time()
        for _ in range(rounds):
            work(first)
            first += BATCH
        return (time.process_time() - start) / rounds / BATCH

    return timed


def row(name: str, quick: bool) -> Measured:
    """Ours and torchvision's, with the same seeds in the same order."""
    torch.set_num_threads(1)
    keep_memory()
    names, side, goal = POLICIES[name]
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (BATCH, side, side, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)  # as Batches reads them

    def ours(first: int) -> Tensor:
        return apply_policies(images, names, np.arange(first, first + BATCH))

    def theirs(first: int) -> Tensor:
        return image_by_image(images, names, list(range(first, first + BATCH)))

    failures = [] if torch.equal(ours(0), theirs(0)) else ["the two sides' pixels differ"]
    rounds = 1 if quick else 8
    sides = {
        "ours": Side("Reprise: one call for all images of an operation",
                     cpu_seconds_of(ours, rounds)),
        "torchvision": Side("torchvision's transforms, image by image",
                            cpu_seconds_of(theirs, rounds)),
    }  # fmt: skip
    interleave(sides, 1 if quick else 15)
    comparisons = [Comparison("torchvision, image by image", "ours", "torchvision", goal)]
    notes = ["CPU time of one thread for an image; both sides give the same pixels."]
    title = f"{' and '.join(names)}, {BATCH} images of {side} x {side}"
    return Measured(title, "s", sides, comparisons, notes, failures=failures)
