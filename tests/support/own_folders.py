"""Small folders of a user's own images, made in code."""

from pathlib import Path

import numpy as np
from PIL import Image

from reprise.datasets.image_files import ImageKind
from reprise.datasets.image_registry import ImageOptions, RegisteredImages, register_images
from reprise.datasets.images import prepare
from reprise.datasets.prepared import PreparedDataset, read_prepared
from reprise.datasets.writer import write_dataset
from reprise.params.datasets import ImagesDataset

CLASSES = ("disc", "square", "stripe")
LEGEND = "name,value\nground,#000000\ndisc,#ff0000\nsquare,0,0,255\n"


def picture(kind: str, rng: np.random.Generator, side: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A bright shape on noise, (side, side, 3) uint8, and where it is, (side, side) bool."""
    image = rng.integers(60, 120, (side, side, 3)).astype(np.uint8)
    y, x = np.mgrid[:side, :side]
    cy, cx = rng.integers(side // 4, 3 * side // 4, 2)
    radius = rng.integers(side // 8, side // 4)
    inside = {
        "disc": (y - cy) ** 2 + (x - cx) ** 2 < radius**2,
        "square": (abs(y - cy) < radius) & (abs(x - cx) < radius),
        "stripe": abs(y - cy) < radius // 2 + 1,
    }[kind]
    image[inside] = rng.integers(150, 255, 3)
    return image, inside


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def class_folders(
    root: Path, each: int = 6, side: int = 40, suffix: str = ".png", seed: int = 0
) -> Path:
    """A folder for each class, `each` images in it."""
    rng = np.random.default_rng(seed)
    for name in CLASSES:
        for number in range(each):
            save(root / name / f"{number:02d}{suffix}", picture(name, rng, side)[0])
    return root


def mask_folders(root: Path, count: int = 12, side: int = 40) -> Path:
    """`images/` and `masks/` of colors, and their legend."""
    rng = np.random.default_rng(1)
    for number in range(count):
        image, square = picture("square", rng, side)
        disc = picture("disc", rng, side)[1] & ~square
        image[disc] = 230
        mask = np.zeros((side, side, 3), np.uint8)
        mask[square], mask[disc] = (0, 0, 255), (255, 0, 0)
        save(root / "images" / f"{number:03d}.jpg", image)
        save(root / "masks" / f"{number:03d}.png", mask)
    (root / "legend.csv").write_text(LEGEND)
    return root


def register(
    path: Path, raw: Path, kind: ImageKind | None = None, **more: object
) -> RegisteredImages:
    """The images of a path, registered as `mine`."""
    return register_images(path, "mine", ImageOptions(kind=kind, **more), raw)  # type: ignore[arg-type]


def recipe_of(registered: RegisteredImages, **values: object) -> ImagesDataset:
    """A dataset of registered images."""
    known = {"source": "images", "kind": registered.kind, "registered_as": registered.name}
    known |= {"sha256": registered.digest, "size": 32}
    known |= {"legend": registered.legend, "ignore": registered.ignore}
    return ImagesDataset.model_validate(known | values)


def prepared(path: Path, folder: Path, **values: object) -> PreparedDataset:
    """The images of a path, registered, prepared and read."""
    recipe = recipe_of(register(path, folder / "raw"), **values)
    write_dataset(folder / "mine", "mine", prepare(recipe, folder / "raw"))
    return read_prepared(folder / "mine")
