"""The courses' data: decoded and split, and only as it was registered."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.course_folders import Folders, load_folder, recipe

from reprise.datasets.course import prepare
from reprise.datasets.label_maps import read_mask
from reprise.datasets.layouts import LAYOUTS, list_folder
from reprise.datasets.prepared import read_prepared
from reprise.datasets.registry import register
from reprise.datasets.rows import LazyRows
from reprise.datasets.synthetic import LayoutVariant
from reprise.datasets.writer import write_dataset
from reprise.errors import RepriseError
from reprise.training.classification import require_all_classes
from reprise.training.job import JobContext
from reprise.training.ssl import evaluate_knn


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory.mktemp("folders"))


def decoded(folder: Path, layout: str) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of a folder, all of them read."""
    dataset = load_folder(folder, layout)
    return np.asarray(dataset.images), np.asarray(dataset.labels)


def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_becomes_a_prepared_dataset(
    layout: str, tmp_path: Path, folders: Folders
) -> None:
    size = 48 if layout == "office_home" else None
    write_dataset(tmp_path, layout, load_folder(folders(layout), layout, size=size))
    data = read_prepared(tmp_path, LAYOUTS[layout].kind)
    images = data.info["images"]
    assert images["train"] > images["val"] > 0
    assert (images["test"] > 0) == (layout != "mini_imagenet")
    assert data.index["id"].is_unique and data.unlabelled == (layout == "mini_imagenet")
    if data.kind == "classification":
        assert data.index["group"].tolist() == data.index["id"].tolist()
    else:
        assert data.group_words["one"] != "image" and "test_groups_touching_train" in data.info
    assert data.scaling == ("cut" if data.kind == "segmentation" else "resized")
    assert data.info["split"]["seed"] == 0


def test_label_maps_of_a_size_are_resized(folders: Folders) -> None:
    assert load_folder(folders("deepglobe"), "deepglobe", size=64).scaling == "resized"


def test_the_courses_val_split_is_test_and_val_is_cut_from_train(folders: Folders) -> None:
    dataset = load_folder(folders("dlcv_50"), "dlcv_50")
    ids = dataset.ids or []
    for file, name, split in zip(dataset.columns["file"], ids, dataset.splits, strict=True):
        in_test = split == "test"
        assert in_test == file.startswith("val_50/") == (not name.startswith("train_"))
    val = dataset.labels[dataset.splits == "val"]
    assert np.bincount(val).tolist() == [1] * 8  # a quarter of each class's 4
    other_seed = load_folder(folders("dlcv_50"), "dlcv_50", seed=1)
    assert not np.array_equal(dataset.splits, other_seed.splits)


def test_labels_are_those_of_names_and_csv_files(folders: Folders) -> None:
    dlcv = load_folder(folders("dlcv_50"), "dlcv_50")
    assert [str(label) for label in dlcv.labels] == [
        Path(file).name.split("_")[0] for file in dlcv.columns["file"]
    ]
    numbers = load_folder(folders("office_home"), "office_home", size=32)
    variant = LayoutVariant(word_labels=True)
    words = load_folder(folders("office_home", variant), "office_home", size=32)
    assert np.array_equal(numbers.labels, words.labels)
    assert np.array_equal(numbers.images, words.images)
    assert [entry["name"] for entry in words.classes] == [f"Thing{i}" for i in range(8)]
    variant = LayoutVariant(labels=True)
    labelled = load_folder(folders("mini_imagenet", variant), "mini_imagenet")
    assert not labelled.unlabelled and len(labelled.classes) == 8
    faces = load_folder(folders("celeba_makeup"), "celeba_makeup")
    assert [entry["name"] for entry in faces.classes] == ["heavy_makeup", "no_heavy_makeup"]


def test_masks_come_with_their_own_image_whatever_the_order_of_files(folders: Folders) -> None:
    dataset = load_folder(folders("deepglobe"), "deepglobe")
    root = list_folder(folders("deepglobe"), "deepglobe").root
    for row, file in enumerate(dataset.columns["file"]):
        image = np.asarray(Image.open(root / file))
        mask = np.asarray(Image.open(root / file.replace("_sat.jpg", "_mask.png")))
        assert np.array_equal(dataset.images[row], image)
        assert np.array_equal(dataset.labels[row] == 4, (mask == (0, 0, 255)).all(axis=-1))


def test_red_pixels_are_unknown(folders: Folders, tmp_path: Path) -> None:
    folder = copy(folders("deepglobe"), tmp_path)
    path = next(folder.rglob("validation/0000_mask.png"))
    mask = np.array(Image.open(path))
    mask[:5] = (255, 0, 0)
    Image.fromarray(mask).save(path)
    dataset = load_folder(folder, "deepglobe")
    assert (dataset.labels[(dataset.ids or []).index("0000")][:5] == dataset.ignore).all()


def test_camvid_is_the_same_with_and_without_a_header(folders: Folders) -> None:
    with_header, without = (
        load_folder(folders("camvid", LayoutVariant(header=header)), "camvid")
        for header in (True, False)
    )
    assert np.array_equal(with_header.images, without.images)
    assert np.array_equal(with_header.labels, without.labels)
    assert (with_header.splits == "test").sum() == 3
    assert with_header.merged["3"]["map"] == [0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 1]


def test_line_ends_do_not_matter(folders: Folders) -> None:
    dos, unix = (
        load_folder(folders("office_home", LayoutVariant(line_end=end)), "office_home", size=32)
        for end in ("\r\n", "\n")
    )
    assert np.array_equal(dos.labels, unix.labels)


def test_sizes_and_modes_of_masks_are_checked(folders: Folders, tmp_path: Path) -> None:
    folder = copy(folders("deepglobe"), tmp_path)
    path = next(folder.rglob("train/0001_mask.png"))
    Image.new("RGB", (64, 128)).save(path)
    with pytest.raises(RepriseError, match=r"0001_mask.png: \(64, 128\).*its image \(128, 128\)"):
        decoded(folder, "deepglobe")
    Image.new("L", (128, 128), 12).save(path)
    with pytest.raises(RepriseError, match="0001_mask.png: mode L; a mask has colors"):
        decoded(folder, "deepglobe")
    with pytest.raises(RepriseError, match="has id 12; the ids are 0 to 11"):
        read_mask(path, "camvid", None)
    Image.new("RGB", (128, 128)).save(path)
    with pytest.raises(RepriseError, match="mode RGB; a label map has ids"):
        read_mask(path, "camvid", None)


def test_images_of_different_sizes_need_a_size(folders: Folders) -> None:
    with pytest.raises(RepriseError, match=r"office.*set `size` in params.yaml, datasets"):
        decoded(folders("office_home"), "office_home")


def test_a_class_without_a_training_image_is_named(folders: Folders, tmp_path: Path) -> None:
    folder = copy(folders("dlcv_50"), tmp_path)
    for path in folder.rglob("train_50/3_*.png"):
        path.unlink()
    with pytest.raises(RepriseError, match="class '3' has no image in the train split"):
        load_folder(folder, "dlcv_50")


def test_what_was_registered_is_what_is_read(folders: Folders, tmp_path: Path) -> None:
    raw, folder = tmp_path / "raw", copy(folders("office_home"), tmp_path)
    with pytest.raises(RepriseError, match=r"not registered; run `make data FROM=<folder>` with"):
        prepare(recipe("office_home"), raw)
    digest = register(folder, "here", raw, accept_counts=True).digest
    dataset = prepare(recipe("office_home", size=32, sha256=digest), raw)
    unregistered = load_folder(folder, "office_home", size=32)
    assert np.array_equal(dataset.images, unregistered.images)
    assert "verified" not in dataset.details  # synthetic images are those of no archive
    with pytest.raises(RepriseError, match="params.yaml has 000"):
        prepare(recipe("office_home", size=32, sha256="0" * 64), raw)
    Image.new("RGB", (70, 70)).save(next(folder.rglob("train/0_0.jpg")))
    with pytest.raises(RepriseError, match="0_0.jpg: changed since it was registered"):
        prepare(recipe("office_home", size=32, sha256=digest), raw)


def test_a_size_can_squash_and_images_can_be_bicubic(folders: Folders) -> None:
    folder = folders("office_home")
    path = next(folder.rglob("train/0_1.jpg"))
    image = Image.open(path)
    assert image.width != image.height
    for name, resample in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
        values = {"size": 24, "resize": "squash", "interpolation": name}
        dataset = load_folder(folder, "office_home", **values)
        row = (dataset.ids or []).index("train_0_1")
        assert np.array_equal(dataset.images[row], np.asarray(image.resize((24, 24), resample)))
        assert dataset.details == {k: v for k, v in values.items() if v in ("squash", "bicubic")}
    assert load_folder(folder, "office_home", size=24).details == {}


def test_label_maps_are_squashed_like_their_images(folders: Folders, tmp_path: Path) -> None:
    folder = copy(folders("camvid"), tmp_path)
    for path in folder.rglob("*.png"):
        image = Image.open(path)
        image.resize((96, 48), Image.NEAREST).save(path)
    dataset = load_folder(folder, "camvid", size=16, resize="squash")
    row = (dataset.ids or []).index("0000")
    mask = Image.open(next(folder.rglob("valannot/0000.png"))).resize((16, 16), Image.NEAREST)
    assert np.array_equal(dataset.labels[row], np.asarray(mask))


def test_val_is_cut_by_groups_and_groups_that_touch_train_are_counted(
    folders: Folders, tmp_path: Path
) -> None:
    segnet = LayoutVariant(clips=True, segnet=True)
    write_dataset(tmp_path / "a", "a", load_folder(folders("camvid", segnet), "camvid"))
    data = read_prepared(tmp_path / "a", "segmentation")
    groups = data.index.groupby("group")["split"].nunique()
    assert (groups == 1).all() and set(data.index["split"]) == {"train", "val", "test"}
    assert data.group_words["many"] == "blocks of frames"
    assert data.info["test_groups_touching_train"] == data.info["split"]["groups"]["test"]
    write_dataset(
        tmp_path / "b", "b", load_folder(folders("camvid", segnet), "camvid_segnet", val=0)
    )
    whole = read_prepared(tmp_path / "b", "segmentation").info
    assert whole["images"] == {"train": 4, "val": 3, "test": 3}
    assert whole["test_groups_touching_train"] == 0 < whole["val_groups_touching_train"]


def test_a_dataset_is_written_image_by_image(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LazyRows, "__array__", None)  # it would read all images
    for layout in ("deepglobe", "camvid", "dlcv_50"):
        write_dataset(tmp_path / layout, layout, load_folder(folders(layout), layout))
        assert len(read_prepared(tmp_path / layout).images)


def test_classes_cannot_be_learned_from_a_dataset_without_labels(
    tmp_path: Path, folders: Folders
) -> None:
    write_dataset(tmp_path, "mini", load_folder(folders("mini_imagenet"), "mini_imagenet"))
    data = read_prepared(tmp_path, "classification")
    with pytest.raises(RepriseError, match="has no labels to learn"):
        require_all_classes(data)
    unused: Any = None
    context = JobContext(unused, "", 0, data, unused, unused)
    assert np.isnan(evaluate_knn(context, unused))
