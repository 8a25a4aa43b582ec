"""The images of the rows: prepared datasets of the project, or random pixels."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from bench.measure import ROOT
from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.datasets.writer import Dataset, write_dataset


def random_set(
    folder: Path, counts: dict[str, int], size: int, classes: int = 10
) -> PreparedDataset:
    """A dataset of random pixels; counts: images of each split. No speed depends on the pixels."""
    count = sum(counts.values())
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    labels = (np.arange(count) % classes).astype(np.uint8)
    splits = np.repeat(list(counts), list(counts.values()))
    named = [{"id": number, "name": f"class {number}"} for number in range(classes)]
    texts = ("none", "none", "random pixels")  # source, licence, note
    dataset = Dataset(images, labels, splits, {}, "classification", named, *texts)
    write_dataset(folder, "random", dataset)
    return read_prepared(folder, "classification")


def prepared(name: str, folder: Path) -> Path:
    """The folder of a prepared dataset of the project; prepared below `folder` if it is missing."""
    existing = ROOT / "results" / "prepare" / name
    if (existing / "dataset.json").exists():
        return existing
    out = folder / name
    script = [sys.executable, "workflow/scripts/prepare.py", "--dataset", name, "--out", str(out)]
    subprocess.run([*script, "--params", "presets/earth.yaml"], cwd=ROOT, check=True)
    return out


def as_files(data: PreparedDataset, splits: list[str], folder: Path) -> None:
    """Write the images of some splits as PNG files: folder/<split>/<class>/<id>.png."""
    for split in splits:
        for label in data.classes.ids:  # empty folders too: ImageFolder numbers them
            (folder / split / f"{label:02d}").mkdir(parents=True, exist_ok=True)
        for row in data.rows(split):
            path = folder / split / f"{int(data.labels[row]):02d}" / f"{row:05d}.png"
            Image.fromarray(np.asarray(data.images[row])).save(path)
