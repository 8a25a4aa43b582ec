"""Synthetic folders in the courses' layouts, and the mistakes that a user can make in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reprise.datasets.course import load
from reprise.datasets.layouts import list_folder
from reprise.datasets.synthetic import LayoutVariant, write_synthetic
from reprise.datasets.writer import Dataset
from reprise.params.datasets import CourseDataset

COUNT = 4  # training images a class
PLAIN = LayoutVariant()
Give = Callable[..., Path]


def recipe(layout: str, **more: Any) -> CourseDataset:
    """A recipe of a registered folder; a quarter of the course's train split is val."""
    val = 0 if layout == "camvid_segnet" else 0.25
    values = {"source": "course", "layout": layout, "registered_as": "here", "val": val} | more
    return CourseDataset.model_validate(values)


def load_folder(folder: Path, layout: str, **more: Any) -> Dataset:
    """The dataset of a folder that need not be registered."""
    return load(list_folder(folder, layout), recipe(layout, **more))


class Folders:
    """Synthetic folders, each written once; not to be changed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, layout: str, variant: LayoutVariant = PLAIN) -> Path:
        folder = self.root / f"{layout}_{hash(variant):x}"
        if not folder.exists():
            folder.mkdir()
            write_synthetic(folder, layout, COUNT, variant)
        return folder


def spoil_office_home(folder: Path, fault: str) -> None:
    """Make one mistake in a folder of the layout office_home."""
    train, val = (next(folder.rglob(f"office/{name}.csv")) for name in ("train", "val"))
    if fault == "outside":
        rows = ("99,../train/0_0.jpg,0", "98,/etc/passwd,0", "97,C:\\x.jpg,0", "")
        val.write_text(val.read_text() + "\n".join(rows))
    elif fault == "twice":
        val.write_text(val.read_text() + val.read_text().splitlines()[1] + "\n")
    elif fault == "no label":
        train.write_text("id,filename,label\n0,0_0.jpg,None\n")
    elif fault == "mixed labels":
        train.write_text(train.read_text().replace(",0_1.jpg,0", ",0_1.jpg,Couch"))
    elif fault == "no file":
        next(folder.rglob("office/train/3_1.jpg")).unlink()
    elif fault == "no row":
        image = next(folder.rglob("office/train/3_1.jpg"))
        image.with_name("new.jpg").write_bytes(image.read_bytes())
    elif fault == "no header":
        train.write_text(train.read_text().replace("filename", "a").replace(".jpg", ""))
