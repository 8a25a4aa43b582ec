"""Simulated predictions whose true scores are known, to count how often intervals hold them.

The generator is another one than the intervals assume. An image is right where a normal variable is
positive. Groups, runs in a group, pretrainings, fine-tunings and single images each move it, groups
have the sizes of a real test split, and label maps have its classes in its groups.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from reprise.datasets import earth, orl
from reprise.datasets.writer import Dataset
from reprise.params.load import load_params

ROOT = Path(__file__).parents[2]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Effects:
    """Standard deviations of what moves the variable of an image (noise has 1).

    group: of a group, for all runs. own: of a run in a group. pretraining, finetuning: of a chain.
    interaction: of a chain in a group. image: of an image, for all runs.
    """

    group: float = 0.7
    own: float = 0.35
    pretraining: float = 0.06
    finetuning: float = 0.06
    interaction: float = 0.2
    image: float = 1.0

    @property
    def total(self) -> float:
        """The standard deviation of the variable."""
        parts = self.group, self.own, self.pretraining, self.finetuning, self.interaction
        return float(np.sqrt(1 + self.image**2 + sum(part**2 for part in parts)))


@cache
def dataset(name: str) -> Dataset:
    """A dataset of presets/earth.yaml."""
    recipe = load_params(ROOT / "presets" / "earth.yaml").datasets[name]
    return orl.prepare(recipe) if recipe.source == "orl" else earth.prepare(recipe)


@cache
def test_groups(name: str) -> NDArray[np.int64]:
    """The group of each image of a dataset's test split, numbered from 0."""
    data = dataset(name)
    return np.unique(np.asarray(data.groups)[data.splits == "test"], return_inverse=True)[1]


def correct_images(
    groups: NDArray[np.int64],
    accuracies: Floats,
    effects: Effects,
    rng: np.random.Generator,
    seeds: int = 3,
    one_pretraining: bool = False,
) -> NDArray[np.bool_]:
    """Which images each run and seed gets right, (runs, seeds, images).

    accuracies: (runs,), the expected shares. one_pretraining: all seeds of a run start from it.
    """
    count, runs = groups.max() + 1, len(accuracies)
    pretrained = rng.normal(0, effects.pretraining, (runs, 1 if one_pretraining else seeds, 1))
    chains = pretrained + rng.normal(0, effects.finetuning, (runs, seeds, 1))
    by_group = (
        rng.normal(0, effects.group, count)
        + rng.normal(0, effects.own, (runs, 1, count))
        + rng.normal(0, effects.interaction, (runs, seeds, count))
    )
    image = rng.normal(0, effects.image, len(groups)) + rng.normal(0, 1, (runs, seeds, len(groups)))
    mean = norm.ppf(accuracies)[:, None, None] * effects.total
    right: NDArray[np.bool_] = mean + chains + by_group[:, :, groups] + image > 0
    return right


@cache
def class_pixels(name: str) -> Floats:
    """Pixels of each scored class in each group of a test split, (groups, classes)."""
    data = dataset(name)
    labels, groups = data.labels[data.splits == "test"], test_groups(name)
    ids = [entry["id"] for entry in data.classes if entry["id"] != data.ignore]
    pixels = np.zeros((groups.max() + 1, len(ids)))
    np.add.at(pixels, groups, np.stack([(labels == i).sum(axis=(1, 2)) for i in ids], axis=1))
    return pixels


def confusion_matrices(
    pixels: Floats, effects: Effects, rng: np.random.Generator, seeds: int = 3, runs: int = 2
) -> NDArray[np.int64]:
    """Confusion matrices of groups that are drawn from those of `pixels`, one image a group.

    (runs, seeds, groups, classes, classes). The recall of a class is the logistic function of its
    level, 0 to 1.5, and of the effects; the other pixels go to classes that differ by group.
    """
    count, classes = pixels.shape
    drawn = pixels[rng.integers(0, count, count)] * rng.gamma(4, 0.25, (count, 1))
    level = np.linspace(0, 1.5, classes)
    chain = np.hypot(effects.pretraining, effects.finetuning)
    recall = expit(
        level
        + rng.normal(0, effects.group, (count, classes))
        + rng.normal(0, effects.own, (runs, 1, count, classes))
        + rng.normal(0, chain, (runs, seeds, 1, classes))
        + rng.normal(0, effects.interaction, (runs, seeds, count, classes))
    )
    shares = rng.dirichlet(np.full(classes, 2.0), count)[:, None, :] * (1 - np.eye(classes))
    shares /= shares.sum(axis=-1, keepdims=True)
    matrices = (drawn * (1 - recall))[..., None] * shares
    matrices += (drawn * recall)[..., None] * np.eye(classes)
    return np.rint(matrices).astype(np.int64)


def repeated(draws: int, seed: int = 0) -> Iterator[np.random.Generator]:
    """A generator of random numbers for each draw."""
    yield from (np.random.default_rng([seed, draw]) for draw in range(draws))
