"""The images that the rows work on: the prepared sets of the project, or random pixels."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from bench.measure import ROOT
from reprise.data.store import Prepared, PreparedSet, open_set, write_set


def random_set(folder: Path, counts: dict[str, int], size: int, classes: int = 10) -> PreparedSet:
    """A prepared set of random pixels; counts: images of each role. No speed depends on pixels."""
    count = sum(counts.values())
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    labels = (np.arange(count) % classes).astype(np.uint8)
    roles = np.repeat(list(counts), list(counts.values()))
    named = [{"id": number, "name": f"class {number}"} for number in range(classes)]
    nothing = ("none", "none", "random pixels")
    write_set(
        folder, "random", Prepared(images, labels, roles, {}, "classification", named, *nothing)
    )
    return open_set(folder, "classification")


def prepared(name: str, folder: Path) -> Path:
    """Where a prepared set of the project lies; it is made below `folder` when it is not there."""
    there = ROOT / "results" / "prepare" / name
    if (there / "dataset.json").exists():
        return there
    made = folder / name
    script = [sys.executable, "workflow/scripts/prepare.py", "--set", name, "--out", str(made)]
    subprocess.run([*script, "--params", "presets/earth.yaml"], cwd=ROOT, check=True)
    return made


def as_files(data: PreparedSet, roles: list[str], folder: Path) -> None:
    """Write the images of some roles as PNG files: folder/<role>/<class>/<id>.png."""
    for role in roles:
        for label in range(len(data.classes)):  # empty folders too: ImageFolder numbers them
            (folder / role / f"{label:02d}").mkdir(parents=True, exist_ok=True)
        for row in data.rows(role):
            place = folder / role / f"{int(data.labels[row]):02d}" / f"{row:05d}.png"
            Image.fromarray(np.asarray(data.images[row])).save(place)
