"""A user's registered images become a prepared dataset: pixels, classes, splits and groups."""

import gc
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from support.own_folders import (
    class_folders,
    mask_folders,
    picture,
    prepared,
    recipe_of,
    register,
    save,
)

from reprise.datasets.image_files import ImageFile
from reprise.datasets.image_splits import image_splits
from reprise.datasets.images import prepare
from reprise.datasets.prepared import read_prepared
from reprise.datasets.writer import write_dataset
from reprise.errors import RepriseError
from reprise.images import read_rgb
from reprise.params.datasets import ImagesDataset


def dataset(**values: Any) -> ImagesDataset:
    known = {"source": "images", "kind": "classification", "registered_as": "mine", "size": 32}
    return ImagesDataset.model_validate(known | values)


def test_images_with_classes(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "mine", 10)
    data = prepared(folder, tmp_path, origin="drawn", licence="CC0")
    assert data.classes.names == ("disc", "square", "stripe") and data.images.shape[1:3] == (32, 32)
    assert (data.info["source"], data.info["licence"]) == ("drawn", "CC0")
    assert data.info["images"] == {"train": 18, "val": 6, "test": 6}
    for row in (0, 17, 29):
        file = data.index["file"][row]
        assert np.array_equal(data.images[row], read_rgb(folder / file, 32))
        assert data.classes.names[data.labels[row]] == Path(file).parent.name
    assert data.info["split"]["missing_classes"] == {"train": [], "val": [], "test": []}


@pytest.mark.parametrize("resize", ["cover", "squash", "crop"])
def test_images_and_masks_are_brought_to_size_in_the_same_way(resize: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(9):
        image, inside = picture("square", rng, 60)
        image, inside = image[:50], inside[:50]
        image[~inside], image[inside] = 0, 255  # so that images are their masks
        save(tmp_path / "mine" / "images" / f"{number}.png", image)
        save(tmp_path / "mine" / "masks" / f"{number}.png", inside * np.uint8(7))
    data = prepared(tmp_path / "mine", tmp_path, resize=resize, size=25)
    assert data.classes.names == ("class_0", "class_7") and data.labels.shape == (9, 25, 25)
    assert ((data.images[..., 0] > 127) == (data.labels == 1)).mean() > 0.97
    if resize == "crop":
        assert ((data.images[..., 0] == 255) == (data.labels == 1)).all()
    assert data.scaling == ("cut" if resize == "crop" else "resized")
    assert data.info.get("resize", "cover") == resize


def test_masks_of_colors_have_the_colors_and_names_of_their_legend(tmp_path: Path) -> None:
    data = prepared(mask_folders(tmp_path / "mine"), tmp_path, size=None)
    assert data.classes.names == ("ground", "disc", "square") and data.classes.ignore is None
    assert data.classes.colors[1] == (255, 0, 0)
    row = data.index["id"].tolist().index("000")
    mask = np.asarray(Image.open(tmp_path / "mine" / "masks" / "000.png"))
    assert np.array_equal(data.labels[row] == 1, mask[..., 0] == 255)


def test_ignored_pixels_have_an_id_of_their_own(tmp_path: Path) -> None:
    folder = mask_folders(tmp_path / "mine")
    registered = register(folder, tmp_path / "raw")
    legend = {"disc": [255, 0, 0], "square": [0, 0, 255]}
    recipe = recipe_of(registered, legend=legend, ignore=[[0, 0, 0]])
    write_dataset(tmp_path / "mine2", "mine", prepare(recipe, tmp_path / "raw"))
    data = read_prepared(tmp_path / "mine2", "segmentation")
    assert data.classes.ignore == 2 and set(np.unique(data.labels)) == {0, 1, 2}


def test_images_without_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(20):
        save(tmp_path / "mine" / f"{number}.png", picture("disc", rng)[0])
    data = prepared(tmp_path / "mine", tmp_path)
    assert data.unlabelled and data.info["images"] == {"train": 17, "val": 3, "test": 0}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
def test_every_format_is_read(suffix: str, tmp_path: Path) -> None:
    assert len(prepared(class_folders(tmp_path / "mine", 3, suffix=suffix), tmp_path).images) == 9


def test_a_gray_image_of_16_bits_keeps_its_high_bits(tmp_path: Path) -> None:
    values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    for name in ("a.png", "a.tif"):
        save(tmp_path / name, values)
        gray = (values >> 8).astype(np.uint8)
        assert np.array_equal(read_rgb(tmp_path / name, None), np.dstack([gray] * 3))


def test_more_than_256_classes_have_labels_of_16_bits(tmp_path: Path) -> None:
    rows = ["path,label"]
    for number in range(900):
        pixels = np.full((4, 4, 3), number % 251, np.uint8)
        pixels[0, 0] = number // 251
        save(tmp_path / "mine" / f"{number:03d}.png", pixels)
        rows.append(f"{number:03d}.png,{number // 3}")
    (tmp_path / "mine" / "list.csv").write_text("\n".join(rows))
    data = prepared(tmp_path / "mine", tmp_path, size=4)
    assert data.labels.dtype == np.uint16 and len(data.classes.names) == 300
    assert data.classes.names[299] == "299" and data.labels.max() == 299
    assert data.info["images"] == {"train": 300, "val": 300, "test": 300}
    for row in (0, 450, 899):
        assert data.labels[row] == int(data.index["id"][row]) // 3


def test_what_changed_since_it_was_registered_is_refused(tmp_path: Path) -> None:
    folder, raw = class_folders(tmp_path / "mine", 4), tmp_path / "raw"
    recipe = recipe_of(register(folder, raw))
    save(folder / "disc" / "00.png", np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(RepriseError, match=r"disc/00.png: changed since it was registered"):
        write_dataset(tmp_path / "out", "mine", prepare(recipe, raw))
    (folder / "disc" / "00.png").unlink()
    with pytest.raises(RepriseError, match=r"disc/00.png: not found; restore it"):
        write_dataset(tmp_path / "out", "mine", prepare(recipe, raw))
    assert not (tmp_path / "out").exists()
    with pytest.raises(RepriseError, match=r"its sha256 is .*, but params.yaml has 0000"):
        prepare(recipe.model_copy(update={"sha256": "0" * 64}), raw)
    with pytest.raises(RepriseError, match="not registered; run `make data NAME=other FROM="):
        prepare(recipe.model_copy(update={"registered_as": "other"}), raw)


def test_images_of_several_sizes_need_a_size(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "mine", 3)
    save(folder / "disc" / "other.png", np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(RepriseError, match=r"set `size` in params.yaml, datasets"):
        prepared(folder, tmp_path, size=None)


def items(count: int, group: int = 1, split: str = "", classes: int = 2) -> list[ImageFile]:
    return [
        ImageFile(
            f"{n}.png", "here", f"c{n // group % classes}", split=split,
            group=f"g{n // group}" if group > 1 else "",
        )
        for n in range(count)
    ]  # fmt: skip


def test_groups_are_in_one_split_and_classes_in_all() -> None:
    images = items(240, group=4)
    splits = image_splits(images, dataset(), ["c0", "c1"])
    for group in {item.group for item in images}:
        assert len({s for s, i in zip(splits, images, strict=True) if i.group == group}) == 1
    shares = {split: (splits == split).mean() for split in ("train", "val", "test")}
    assert abs(shares["val"] - 0.15) < 0.03 and abs(shares["test"] - 0.2) < 0.03
    labels = np.array([item.label for item in images])
    assert all({"c0", "c1"} == set(labels[splits == split]) for split in shares)
    again = image_splits(images, dataset(seed=1), ["c0", "c1"])
    assert (again != splits).any()


def test_an_image_more_moves_no_other_one_far_and_splits_that_are_named_stay() -> None:
    splits = image_splits(items(200), dataset(), ["c0", "c1"])
    more = image_splits(items(202), dataset(), ["c0", "c1"])
    assert (splits != more[:200]).mean() < 0.03
    named = [*items(100, split="train"), *(replace(i, split="test") for i in items(120)[100:])]
    cut = image_splits(named, dataset(), ["c0", "c1"])
    assert (cut[100:] == "test").all() and (cut[:100] == "val").sum() == 16
    assert "test" not in cut[:100]


def test_a_class_of_three_images_is_in_every_split_and_one_of_one_in_train() -> None:
    splits = image_splits(items(7, classes=2)[:4], dataset(), ["c0", "c1"])
    assert sorted(splits) == ["train"] * 4  # of two images a class, none is left for others
    three = [ImageFile(f"{n}.png", "", "c") for n in range(3)]
    assert sorted(image_splits(three, dataset(), ["c"])) == ["test", "train", "val"]
    assert image_splits(three[:1], dataset(), ["c"]).tolist() == ["train"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "segmentation"}, "legend: is for segmentation, which needs one"),
        ({"legend": {"a": 1}}, "legend: is for segmentation"),
        ({"kind": "segmentation", "legend": {"a": 1, "b": [1, 2, 3]}}, "has ids and colors"),
        ({"kind": "segmentation", "legend": {"a": 1}, "ignore": [1]}, "two classes have one id"),
        ({"kind": "segmentation", "legend": {"a": 1, "b": 1}}, "two classes have one id"),
        ({"kind": "segmentation", "legend": {"a": 1}, "colors": {"b": [1, 2, 3]}}, "'b' is not in"),
        ({"kind": "segmentation", "legend": {"${x}": 1}}, "use plain text"),
        ({"kind": "segmentation", "legend": {"a": 65536}}, "less than or equal to 65535"),
        ({"resize": "crop", "size": None}, "resize: crop needs the side"),
        ({"val": 0.5, "test": 0.5}, "leaves no image for train"),
        ({"origin": "a\nb"}, "use plain text"),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        dataset(**values)


def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    one_image = 400 * 400 * 3
    peaks = []
    for name, a_class in (("few", 1), ("mine", 10)):
        folder = class_folders(tmp_path / name, a_class, side=400)
        gc.collect()
        tracemalloc.start()
        recipe = recipe_of(register(folder, tmp_path / "raw"), size=400)
        data = prepare(recipe, tmp_path / "raw")
        tracemalloc.reset_peak()
        for _ in data.images:
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 27 images more; a few may wait for the garbage collector
    assert peaks[1] - peaks[0] < 5 * one_image
