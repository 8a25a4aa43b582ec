"""Small synthetic folders in the courses' layouts, made from the embedded images.

They have the folders, file names, csv files and image sizes of a course's archive, and none of its
images: tiles of the Earth, and the ORL faces.
"""

import csv
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reprise.datasets import course, earth, orl
from reprise.datasets.classes import encode_mask
from reprise.datasets.layouts import list_folder
from reprise.datasets.prepared import Bytes
from reprise.datasets.writer import Dataset
from reprise.params.datasets import CourseDataset, MapDataset, OrlDataset, TileDataset

MAX_CLASSES = 8
HEADER = ("id", "filename", "label")  # of csv files
Rows = list[tuple[object, ...]]
Files = Iterator[tuple[str, Bytes | Rows]]  # images and csv files by path


@dataclass(frozen=True)
class LayoutVariant:
    """How a layout differs from year to year."""

    word_labels: bool = False  # office_home: words (2021, 2022), not numbers
    labels: bool = False  # mini_imagenet has a train.csv (2021, 2022)
    header: bool = True  # camvid's csv files begin with column names
    segnet: bool = False  # camvid has text files and a test split, as in the SegNet tutorial
    clips: bool = False  # camvid's files are named after clip and frame
    line_end: str = "\r\n"


def prepare_synthetic(recipe: CourseDataset, images_per_class: int) -> Dataset:
    """A synthetic dataset in place of a registered folder.

    mini_imagenet has labels, because there is no file of supervised weights for it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_synthetic(folder, recipe.layout, images_per_class, LayoutVariant(labels=True))
        dataset = course.load(list_folder(folder, recipe.layout), recipe)
        images, labels = np.asarray(dataset.images), np.asarray(dataset.labels)
    faces = recipe.layout == "celeba_makeup"
    made_of = "ORL faces with or without glasses" if faces else "tiles of the Earth"
    return replace(
        dataset,
        images=images,
        labels=labels,
        source=f"a small sample in the layout of: {dataset.source}; its images are {made_of}",
        licence="NASA imagery and data, the ORL faces: free to use with acknowledgement",
        note="Made to try the pipeline: not the course's images, the numbers mean nothing.",
    )


def write_synthetic(
    folder: Path, layout: str, count: int, variant: LayoutVariant = LayoutVariant()
) -> None:
    """Write a layout with at most `count` training images per class (for label maps: in total)."""
    for name, content in _LAYOUTS[layout](count, variant):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            with path.open("w", newline="", encoding="utf-8") as stream:
                csv.writer(stream, lineterminator=variant.line_end).writerows(content)
        else:
            Image.fromarray(content).save(path, quality=95)


def _dlcv_50(count: int, variant: LayoutVariant) -> Files:
    rows: Rows = [("filename", "label")]
    for split, label, number, image in _tiles(32, count):
        name = f"{label}_{number}.png"
        yield f"p1_data/{split}_50/{name}", image
        if split == "val":
            rows.append((name, label))
    yield "p1_data/val_gt.csv", rows


def _office_home(count: int, variant: LayoutVariant) -> Files:
    rows: dict[str, Rows] = {"train": [HEADER], "val": [HEADER]}
    for split, label, number, image in _tiles(96, count):
        word = f"Thing{label}"
        name = f"{word}{number:05d}.jpg" if variant.word_labels else f"{label}_{number}.jpg"
        yield f"office/{split}/{name}", image[: 64 + number % 32]  # sizes differ
        rows[split].append((len(rows[split]) - 1, name, word if variant.word_labels else label))
    for split in rows:
        yield f"office/{split}.csv", rows[split]


def _mini_imagenet(count: int, variant: LayoutVariant) -> Files:
    rows: Rows = [HEADER]
    for split, label, number, image in _tiles(84, count):
        if split == "train":
            name = f"n{label:08d}{number:08d}.jpg"
            yield f"mini/train/{name}", image
            rows.append((len(rows) - 1, name, f"n{label:08d}"))
    if variant.labels:
        yield "mini/train.csv", rows


def _deepglobe(count: int, variant: LayoutVariant) -> Files:
    for split, number, image, ids in _maps("deepglobe", 128, count):
        name = f"p2_data/{'train' if split == 'train' else 'validation'}/{number:04d}"
        yield f"{name}_sat.jpg", image
        yield f"{name}_mask.png", encode_mask(ids)


def _celeba_makeup(count: int, variant: LayoutVariant) -> Files:
    faces = orl.prepare(OrlDataset(source="orl", val=0.1, test=0.25))
    for split, label, number, image in _first_of_each_class(faces, count):
        name = ("no_heavy_makeup", "heavy_makeup")[label]
        yield f"heavy_makeup_CelebA/{split}/{name}/{number:06d}.jpg", image


def _camvid(count: int, variant: LayoutVariant) -> Files:
    header: Rows = [("image", "label")] if variant.header else []
    rows = {"train": [*header], "val": [*header]}
    maps: list[tuple[str, int, Bytes, Bytes]] = list(_maps("igbp", 96, count))
    if variant.segnet:
        rows = {"train": [], "val": [], "test": []}
        maps += [("test", *content) for content in (m[1:] for m in maps if m[0] == "val")]
    for split, number, image, ids in maps:
        clip = "0006R0_f" if split == "test" else "0001TP_"
        file = f"{clip}{number:05d}.png" if variant.clips else f"{number:04d}.png"
        names = f"{split}/{file}", f"{split}annot/{file}"
        yield f"CamVid/{names[0]}", image
        yield f"CamVid/{names[1]}", ids
        rows[split].append(
            (" ".join(f"/SegNet/CamVid/{n}" for n in names),) if variant.segnet else names
        )
    for split in rows:
        yield f"CamVid/{split}.{'txt' if variant.segnet else 'csv'}", rows[split]


def _camvid_segnet(count: int, variant: LayoutVariant) -> Files:
    return _camvid(count, replace(variant, segnet=True))


_LAYOUTS: dict[str, Callable[[int, LayoutVariant], Files]] = {
    "dlcv_50": _dlcv_50,
    "office_home": _office_home,
    "mini_imagenet": _mini_imagenet,
    "deepglobe": _deepglobe,
    "celeba_makeup": _celeba_makeup,
    "camvid": _camvid,
    "camvid_segnet": _camvid_segnet,
}


def _tiles(side: int, count: int) -> Iterator[tuple[str, int, int, Bytes]]:
    """Tiles of 32 pixels, enlarged to `side`: split, class, number within both, image."""
    recipe = TileDataset(
        source="earth_tiles", labels="koeppen", region="world", tile=32, stride=64,
        min_land_fraction=0.3, min_majority_fraction=0.6, min_images_per_class=20, block_degrees=8,
        val=0.1, test=0.3,
    )  # fmt: skip
    for split, label, number, tile in _first_of_each_class(earth.prepare(recipe), count):
        image = Image.fromarray(tile).resize((side, side), Image.Resampling.BICUBIC)
        yield split, label, number, np.asarray(image)


def _maps(
    labels: Literal["deepglobe", "igbp"], tile: int, count: int
) -> Iterator[tuple[str, int, Bytes, Bytes]]:
    """Label maps spread over each split: split, number within the split, image, ids."""
    recipe = MapDataset(
        source="earth_maps", labels=labels, tile=tile, stride=tile, min_land_fraction=0.5,
        block_degrees=16, val=0.1, test=0.3,
    )  # fmt: skip
    dataset = earth.prepare(recipe)
    for split, in_split, most in _split_sizes(dataset, count):
        rows = np.flatnonzero(in_split)
        spread = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]
        for number, row in enumerate(spread):
            yield split, number, dataset.images[row], dataset.labels[row]


def _first_of_each_class(dataset: Dataset, count: int) -> Iterator[tuple[str, int, int, Bytes]]:
    """The first images of each of the first classes that both of the course's splits have."""
    splits = _split_sizes(dataset, count)
    labels = np.asarray(dataset.labels)
    common = set.intersection(*(set(labels[rows].tolist()) for _, rows, _ in splits))
    for number, label in enumerate(sorted(common)[:MAX_CLASSES]):
        for split, in_split, most in splits:
            rows = np.flatnonzero((labels == label) & in_split)
            for position, row in enumerate(rows[:most]):
                yield split, number, position, dataset.images[row]


def _split_sizes(dataset: Dataset, count: int) -> list[tuple[str, NDArray[np.bool_], int]]:
    """The course's splits: name, which images may be in it, (n,), and how many to take."""
    test = dataset.splits == "test"
    return [("train", ~test, count), ("val", test, count // 2 + 1)]
