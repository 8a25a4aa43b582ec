"""Tiles of the Earth: split by place, labelled by what covers them."""

from pathlib import Path

import numpy as np
import pytest

from reprise.datasets.earth import prepare
from reprise.datasets.prepared import SPLITS
from reprise.datasets.writer import Dataset, write_dataset
from reprise.params.datasets import MapDataset, TileDataset

TILES = TileDataset(
    source="earth_tiles", labels="koeppen", region="world", tile=32, stride=64,
    min_land_fraction=0.3, min_majority_fraction=0.6, min_images_per_class=20, block_degrees=8,
    val=0.15, test=0.2,
)  # fmt: skip
MAPS = MapDataset(
    source="earth_maps", labels="igbp", tile=64, stride=64, min_land_fraction=0.3,
    block_degrees=24, val=0.1, test=0.2,
)  # fmt: skip


@pytest.fixture(scope="module")
def tiles() -> Dataset:
    return prepare(TILES)


def test_a_block_of_the_globe_is_in_one_split_and_tiles_stay_in_it(tiles: Dataset) -> None:
    side = TILES.block_degrees
    half = TILES.tile / 2 / 15
    north = 75 - np.array(tiles.columns["lat"])
    west = np.array(tiles.columns["lon"]) + 180
    splits: dict[tuple[int, int], set[str]] = {}
    for y, x, split in zip(north, west, tiles.splits, strict=True):
        block = (int(y // side), int(x // side))
        assert block == ((y - half + 1e-3) // side, (x - half + 1e-3) // side)
        assert block == ((y + half - 1e-3) // side, (x + half - 1e-3) // side)
        splits.setdefault(block, set()).add(split)
    assert all(len(in_block) == 1 for in_block in splits.values())
    assert {split for in_block in splits.values() for split in in_block} == set(SPLITS)


def test_a_tiles_class_covers_most_of_it_and_the_split_is_balanced(tiles: Dataset) -> None:
    train = np.bincount(tiles.labels[tiles.splits == "train"])
    test = np.bincount(tiles.labels[tiles.splits == "test"], minlength=len(train))
    assert len(tiles.classes) == len(train)
    assert (np.bincount(tiles.labels) >= TILES.min_images_per_class).all()
    shares = train / train.sum() - test / test.sum()
    assert np.abs(shares).max() < 0.15


def test_preparing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_dataset(tmp_path / name, "igbp", prepare(MAPS))
    for path in sorted((tmp_path / "first").iterdir()):
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_label_maps_have_eleven_classes_that_merge_into_three() -> None:
    maps = prepare(MAPS)
    assert maps.images.shape[:3] == maps.labels.shape
    assert maps.labels.max() <= 10 and len(maps.classes) == 11 and maps.ignore == 11
    assert set(maps.merged["3"]["map"]) == {0, 1, 2}


def test_old_and_new_world_have_no_place_in_common() -> None:
    old, new = (
        prepare(TILES.model_copy(update={"region": region})) for region in ("oldworld", "newworld")
    )
    assert len(old.images) > len(new.images) > 0
    places = [set(zip(d.columns["lat"], d.columns["lon"], strict=True)) for d in (old, new)]
    assert not places[0] & places[1]


def test_max_train_images_leaves_the_other_splits_complete(tiles: Dataset) -> None:
    few = prepare(TILES.model_copy(update={"max_train_images": 50}))
    assert (few.splits == "train").sum() == 50
    for split in ("val", "test"):
        assert np.array_equal(few.images[few.splits == split], tiles.images[tiles.splits == split])
