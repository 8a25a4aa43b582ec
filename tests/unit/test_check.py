"""`make data` refuses what `prepare` would refuse, and shows what the labels are."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.course_folders import Folders, load_folder

from reprise.atomic_io import sha256
from reprise.datasets.check import Findings, check, identical_files
from reprise.datasets.layouts import list_folder
from reprise.datasets.writer import write_dataset
from reprise.errors import RepriseError


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory.mktemp("folders"))


@pytest.fixture
def copy(folders: Folders, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a layout that a test may change."""
    return lambda layout: Path(shutil.copytree(folders(layout), tmp_path / layout))


def findings(folder: Path, layout: str) -> Findings:
    return check(layout, list_folder(folder, layout))


def no_class(folder: Path) -> None:
    for path in folder.rglob("train_50/3_*.png"):
        path.unlink()


def class_63(folder: Path) -> None:
    path = next(folder.rglob("train_50/3_1.png"))
    path.rename(path.with_name("63_1.png"))


def other_size(folder: Path) -> None:
    Image.new("RGB", (40, 32)).save(next(folder.rglob("train_50/2_1.png")))


def damaged(folder: Path) -> None:
    path = next(folder.rglob("val_50/2_1.png"))
    path.write_bytes(path.read_bytes()[:100])


def map_of_another_size(folder: Path) -> None:
    Image.new("L", (7, 5), 1).save(next(folder.rglob("trainannot/0001.png")))


def unknown_id(folder: Path) -> None:
    Image.new("L", (96, 96), 12).save(next(folder.rglob("valannot/0001.png")))


def colors_for_ids(folder: Path) -> None:
    Image.new("RGB", (96, 96)).save(next(folder.rglob("valannot/0001.png")))


def gray_mask(folder: Path) -> None:
    Image.new("L", (128, 128)).save(next(folder.rglob("train/0001_mask.png")))


SPOILED = [
    ("dlcv_50", no_class, "class '3' has no image in the train split"),
    ("dlcv_50", class_63, "class '62' has no image in the train split"),
    ("dlcv_50", other_size, r"2_1.png: \(40, 32\) \(width, height\), most are \(32, 32\)"),
    ("dlcv_50", damaged, "2_1.png: cannot be decoded"),
    ("camvid", map_of_another_size, r"0001.png: \(7, 5\) \(width, height\), its image"),
    ("camvid", unknown_id, "0001.png: has id 12; the ids are 0 to 11"),
    ("camvid", colors_for_ids, "0001.png: mode RGB; a label map has ids"),
    ("deepglobe", gray_mask, "0001_mask.png: mode L; a mask has colors"),
]


@pytest.mark.parametrize(("layout", "spoil", "problem"), SPOILED)
def test_what_prepare_refuses_is_a_problem(
    copy: Callable[[str], Path],
    tmp_path: Path,
    layout: str,
    spoil: Callable[[Path], None],
    problem: str,
) -> None:
    folder = copy(layout)
    assert findings(folder, layout).problems == []
    write_dataset(tmp_path / "good", layout, load_folder(folder, layout))
    spoil(folder)
    assert any(re.search(problem, line) for line in findings(folder, layout).problems)
    with pytest.raises(RepriseError):
        write_dataset(tmp_path / "out", layout, load_folder(folder, layout))


def test_names_of_classes_that_differ_in_case_are_a_problem(copy: Callable[[str], Path]) -> None:
    folder = copy("celeba_makeup")
    train = next(folder.rglob("train"))
    shutil.copytree(train / "heavy_makeup", train / "Heavy_makeup")
    (line,) = findings(folder, "celeba_makeup").problems
    assert "classes 'Heavy_makeup' and 'heavy_makeup' differ only in case" in line


def test_a_split_with_one_class_is_a_problem(copy: Callable[[str], Path]) -> None:
    folder = copy("celeba_makeup")
    shutil.rmtree(next(folder.rglob("val/no_heavy_makeup")))
    (line,) = findings(folder, "celeba_makeup").problems
    assert line == "celeba_makeup: val: has only the class 'heavy_makeup'; add the others"


def test_a_split_without_images_is_a_problem_whatever_is_accepted(
    copy: Callable[[str], Path],
) -> None:
    folder = copy("dlcv_50")
    for path in folder.rglob("val_50/*.png"):
        path.unlink()
    next(folder.rglob("val_gt.csv")).unlink()
    (line,) = findings(folder, "dlcv_50").problems
    assert line == "dlcv_50: val: 0 of 2500 images; unpack the archive again"


def test_counts_and_classes_are_noted(copy: Callable[[str], Path]) -> None:
    of_faces = findings(copy("celeba_makeup"), "celeba_makeup")
    assert of_faces.notes == [
        "celeba_makeup: train: 8 of 2000 images: heavy_makeup 4, no_heavy_makeup 4",
        "celeba_makeup: val: 6 of 400 images: heavy_makeup 3, no_heavy_makeup 3",
    ]
    assert of_faces.wrong_counts == [
        "celeba_makeup: train: 8 images, the course published 2000",
        "celeba_makeup: val: 6 images, the course published 400",
    ]
    assert findings(copy("mini_imagenet"), "mini_imagenet").notes[0].endswith("images, no labels")


def test_the_share_of_unknown_pixels_is_shown(copy: Callable[[str], Path]) -> None:
    folder = copy("deepglobe")
    for path in folder.rglob("validation/*_mask.png"):
        mask = np.full((128, 128, 3), 255, np.uint8)
        mask[:, :80] = (255, 0, 0)
        Image.fromarray(mask).save(path)
    shown = findings(folder, "deepglobe")
    assert "62.50% of the pixels unknown" in shown.notes[1]
    assert shown.warnings == ["deepglobe: val: 62.5% of the pixels are unknown"]
    assert shown.problems == []


def test_masks_of_ids_and_of_mixed_colors_are_warned_of(copy: Callable[[str], Path]) -> None:
    folder = copy("deepglobe")
    path = next(folder.rglob("train/0001_mask.png"))
    Image.fromarray(np.full((128, 128, 3), 3, np.uint8)).save(path)
    other = next(folder.rglob("train/0002_mask.png"))
    Image.open(other).convert("RGB").save(other.with_suffix(".jpg"), quality=60)
    other.with_suffix(".jpg").rename(other)
    pure = (np.asarray(Image.open(other)) % 255 == 0).all()
    ids, *colors = findings(folder, "deepglobe").warnings
    assert ids == f"deepglobe: train: masks that hold ids, not colors: 1, e.g. {path}"
    assert pure or ("not in the palette" in colors[0] and str(other) in colors[0])


def test_masks_without_a_known_pixel_are_a_problem(copy: Callable[[str], Path]) -> None:
    folder = copy("deepglobe")
    for path in folder.rglob("train/*_mask.png"):
        Image.fromarray(np.full((128, 128, 3), 3, np.uint8)).save(path)
    (line,) = findings(folder, "deepglobe").problems
    assert line.startswith("deepglobe: train: every pixel is unknown")


def test_identical_images_are_named_by_splits_and_classes(copy: Callable[[str], Path]) -> None:
    folder = copy("dlcv_50")
    root = next(folder.rglob("train_50")).parent
    shutil.copy(root / "train_50/0_1.png", root / "train_50/1_1.png")
    shutil.copy(root / "train_50/2_1.png", root / "train_50/2_2.png")
    shutil.copy(root / "train_50/3_1.png", root / "val_50/3_1.png")
    listing = list_folder(folder, "dlcv_50")
    digests = {path: sha256(path) for path in listing.files}
    assert identical_files(listing, digests) == [
        "1 pairs of identical images in two splits: train_50/3_1.png = val_50/3_1.png",
        "1 pairs of identical images of one class, if any: train_50/2_1.png = train_50/2_2.png",
        "1 pairs of identical images of two classes: train_50/0_1.png = train_50/1_1.png",
    ]
