"""Small hand-outs in the courses' layouts, made from the embedded images.

They have the folders, file names, csv files and image sizes that the readers meet in a course's
archive, and none of its images: tiles of the Earth, and the ORL faces.
"""

import csv
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reprise.data.course.layouts import listing_of
from reprise.data.course.read import read_handout
from reprise.data.earth import prepare_maps, prepare_tiles
from reprise.data.faces import prepare_faces
from reprise.data.store import Prepared
from reprise.palette import encode_mask
from reprise.params import CourseSet, FaceSet, MapSet, TileSet

MOST = 8  # classes of a sample
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Form:
    """How a hand-out differs from year to year."""

    words: bool = False  # labels of `office` as words (2021, 2022), not numbers
    labels: bool = False  # `mini` has a train.csv (2021, 2022)
    header: bool = True  # CamVid's csv files begin with names of columns
    line_end: str = "\r\n"


def read_sample(recipe: CourseSet) -> Prepared:
    """A sample with `recipe.sample` images a class in place of a registered folder.

    `mini` has labels, since there is no file of supervised weights for it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample(folder, recipe.layout, recipe.sample or 1, Form(labels=True))
        prepared = read_handout(listing_of(folder, recipe.layout), recipe)
    return replace(
        prepared,
        source=f"a small sample in the layout of: {prepared.source}; its images are "
        + ("ORL faces with glasses or none" if recipe.layout == "makeup" else "tiles of the Earth"),
        licence="NASA imagery and data, the ORL faces: free to use with acknowledgement",
        note="Made to try the pipeline: not the course's images, numbers mean nothing.",
    )


def write_sample(folder: Path, layout: str, count: int, form: Form = Form()) -> None:
    """Write a hand-out with at most `count` training images a class (or in all, of label maps)."""
    _WRITERS[layout](folder, count, form)


def _fifty(folder: Path, count: int, form: Form) -> None:
    said = [["filename", "label"]]
    for split, label, number, image in _tiles(32, count):
        name = f"{label}_{number}.png"
        _save(folder / "p1_data" / f"{split}_50" / name, image)
        if split == "val":
            said.append([name, str(label)])
    _write_csv(folder / "p1_data" / "val_gt.csv", said, form)


def _office(folder: Path, count: int, form: Form) -> None:
    said = {split: [["id", "filename", "label"]] for split in ("train", "val")}
    for split, label, number, image in _tiles(96, count):
        word = f"Thing{label}"
        name = f"{word}{number:05d}.jpg" if form.words else f"{label}_{number}.jpg"
        _save(folder / "office" / split / name, image[: 64 + number % 32])  # sizes differ
        row = [str(len(said[split]) - 1), name, word if form.words else str(label)]
        said[split].append(row)
    for split, rows in said.items():
        _write_csv(folder / "office" / f"{split}.csv", rows, form)


def _mini(folder: Path, count: int, form: Form) -> None:
    said = [["id", "filename", "label"]]
    for split, label, number, image in _tiles(84, count):
        if split == "train":
            name = f"n{label:08d}{number:08d}.jpg"
            _save(folder / "mini" / "train" / name, image)
            said.append([str(len(said) - 1), name, f"n{label:08d}"])
    if form.labels:
        _write_csv(folder / "mini" / "train.csv", said, form)


def _satellite(folder: Path, count: int, form: Form) -> None:
    for split, number, image, ids in _maps("course", 128, count):
        place = folder / "p2_data" / ("train" if split == "train" else "validation")
        _save(place / f"{number:04d}_sat.jpg", image)
        _save(place / f"{number:04d}_mask.png", encode_mask(ids))


def _makeup(folder: Path, count: int, form: Form) -> None:
    faces = prepare_faces(FaceSet(source="faces", select=0.1, report=0.25))
    root = folder / "heavy_makeup_CelebA"
    for split, label, number, image in _chosen(faces, count):
        place = root / split / ("no_heavy_makeup", "heavy_makeup")[label]
        _save(place / f"{number:06d}.jpg", image)


def _camvid(folder: Path, count: int, form: Form) -> None:
    head = [["image", "label"]] if form.header else []
    said = {split: list(head) for split in ("train", "val")}
    for split, number, image, ids in _maps("igbp", 96, count):
        name = f"{number:04d}.png"
        _save(folder / "CamVid" / split / name, image)
        _save(folder / "CamVid" / f"{split}annot" / name, ids)
        said[split].append([f"{split}/{name}", f"{split}annot/{name}"])
    for split, rows in said.items():
        _write_csv(folder / "CamVid" / f"{split}.csv", rows, form)


_WRITERS: dict[str, Callable[[Path, int, Form], None]] = {
    "fifty": _fifty,
    "office": _office,
    "mini": _mini,
    "satellite": _satellite,
    "makeup": _makeup,
    "camvid": _camvid,
}


def _tiles(side: int, count: int) -> Iterable[tuple[str, int, int, Bytes]]:
    """Tiles of 32 pixels, enlarged to `side`: split, class, number within both, image."""
    recipe = TileSet(
        source="tiles", labels="koeppen", region="world", tile=32, stride=64, land=0.3,
        majority=0.6, least=20, block=8, select=0.1, report=0.3,
    )  # fmt: skip
    for split, label, number, tile in _chosen(prepare_tiles(recipe), count):
        image = Image.fromarray(tile).resize((side, side), Image.Resampling.BICUBIC)
        yield split, label, number, np.asarray(image)


def _chosen(prepared: Prepared, count: int) -> Iterable[tuple[str, int, int, Bytes]]:
    """Of each of the first classes that both splits have, the first images."""
    reported = prepared.roles == "report"
    both = set(prepared.labels[reported].tolist()) & set(prepared.labels[~reported].tolist())
    for number, label in enumerate(sorted(both)[:MOST]):
        own = prepared.labels == label
        for split, kept, most in (("train", ~reported, count), ("val", reported, count // 2 + 1)):
            for place, row in enumerate(np.flatnonzero(own & kept)[:most]):
                yield split, number, place, prepared.images[row]


def _maps(labels: str, tile: int, count: int) -> Iterable[tuple[str, int, Bytes, Bytes]]:
    """Tiles with label maps: split, number within the split, image, ids."""
    recipe = MapSet(
        source="maps", labels="course" if labels == "course" else "igbp", tile=tile,
        stride=tile, land=0.5, block=16, select=0.1, report=0.3,
    )  # fmt: skip
    prepared = prepare_maps(recipe)
    reported = prepared.roles == "report"
    for split, kept, most in (("train", ~reported, count), ("val", reported, count // 2 + 1)):
        rows = np.flatnonzero(kept)
        spread = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]
        for number, row in enumerate(spread):
            yield split, number, prepared.images[row], prepared.labels[row]


def _save(path: Path, pixels: Bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


def _write_csv(path: Path, rows: Sequence[Sequence[str]], form: Form) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream, lineterminator=form.line_end).writerows(rows)
