"""Tiles of the Earth: split by place, labelled by what covers them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reprise.csv_io import read_csv
from reprise.datasets import classes
from reprise.datasets.earth import prepare
from reprise.datasets.packages import BLUE_MARBLE, KOEPPEN, KOEPPEN_NAMES, MODIS, package_file
from reprise.datasets.prepared import SPLITS
from reprise.datasets.splits import class_counts, class_distance
from reprise.datasets.writer import Dataset, write_dataset
from reprise.errors import RepriseError
from reprise.images import read_image
from reprise.params.datasets import MapDataset, TileDataset

NEAREST = Image.Resampling.NEAREST

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
    assert len(splits) == len(np.unique(np.asarray(tiles.groups)))
    assert {split for in_block in splits.values() for split in in_block} == set(SPLITS)


def test_a_tiles_class_covers_most_of_it_and_the_split_is_balanced(tiles: Dataset) -> None:
    train = np.bincount(tiles.labels[tiles.splits == "train"])
    test = np.bincount(tiles.labels[tiles.splits == "test"], minlength=len(train))
    assert len(tiles.classes) == len(train)
    assert (np.bincount(tiles.labels) >= TILES.min_images_per_class).all()
    shares = train / train.sum() - test / test.sum()
    assert np.abs(shares).max() < 0.15


def test_codes_of_the_climate_map_are_those_of_known_places() -> None:
    """The review of 2026 found ice and tundra left out as if their codes were shifted."""
    places = {  # zone: latitude, longitude
        "Af": (1.4, 103.8),  # Singapore
        "BWh": (30.0, 31.2),  # Cairo
        "Cfb": (51.5, -0.1),  # London
        "Csa": (41.9, 12.5),  # Rome
        "Dfd": (67.5, 133.4),  # Verkhoyansk
        "Dwc": (52.0, 113.5),  # Chita
        "EF": (72.0, -40.0),  # Greenland
        "ET": (71.2, -156.7),  # Barrow
    }
    codes = read_image(package_file(*KOEPPEN), "L", (5400, 2700), NEAREST, packaged=True)
    zones = read_csv(package_file(*KOEPPEN_NAMES), ["zoneNum", "kg_zone"]).set_index("zoneNum")
    for zone, (latitude, longitude) in places.items():
        code = codes[int((90 - latitude) * 15), int((longitude + 180) * 15)]
        assert zones.loc[code, "kg_zone"] == zone
    assert set(zones["kg_zone"]) == set(classes.KOEPPEN)
    assert set(zones.index) - set(classes.KOEPPEN_CODES) == {32}
    rows, columns = np.nonzero(codes == 29)  # Dwd is found in the east of Siberia alone
    assert len(rows) and (columns / 15 - 180 > 120).mean() > 0.99


def test_classes_have_names_that_a_reader_knows(tiles: Dataset) -> None:
    names = [entry["name"] for entry in tiles.classes]
    assert "Af tropical rainforest" in names and "ET tundra" in names


def test_tiles_of_different_splits_are_apart(tiles: Dataset) -> None:
    """The least gap, measured in degrees from the centers of the tiles."""
    places = np.stack([tiles.columns["lat"], tiles.columns["lon"]], axis=1) * 15.0
    apart = np.abs(places[:, None] - places[None])
    apart[..., 1] = np.minimum(apart[..., 1], 5400 - apart[..., 1])
    gaps = apart.max(axis=2) - TILES.tile
    gaps[tiles.splits[:, None] == tiles.splits[None]] = np.inf
    assert tiles.split["least_gap_pixels"] == round(gaps.min()) > 0


def test_wetland_has_the_colors_of_land() -> None:
    size = (5400, 2700)
    codes = read_image(package_file(*MODIS), "L", size, NEAREST, packaged=True)[225:1980]
    colors = read_image(package_file(*BLUE_MARBLE), "RGB", size, packaged=True)[225:1980].astype(
        float
    )
    others = [code for code in range(17) if classes.IGBP[code] != "permanent wetland"]
    means = np.stack([colors[codes == code].mean(axis=0) for code in others])
    wetland = colors[codes == 11]
    nearest = ((wetland[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert round(100 * (nearest > 0).mean()) == 98  # the docs' number; class 0 is water


def test_maps_say_what_became_of_wetland() -> None:
    maps = prepare(MAPS)
    assert (maps.labels == maps.ignore).any()
    assert "Permanent wetland (IGBP class 11) has no label" in maps.note
    assert maps.scaling == "cut" and maps.group["many"] == "blocks"


def test_preparing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_dataset(tmp_path / name, "igbp", prepare(MAPS))
    for path in sorted((tmp_path / "first").iterdir()):
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_label_maps_have_eleven_classes_that_merge_into_three() -> None:
    maps = prepare(MAPS)
    assert maps.images.shape[:3] == maps.labels.shape
    assert maps.labels.max() == 11 and len(maps.classes) == 11 and maps.ignore == 11
    assert set(maps.merged["3"]["map"]) == {0, 1, 2}


def test_old_and_new_world_have_no_place_in_common() -> None:
    old, new = (
        prepare(TILES.model_copy(update={"region": region})) for region in ("oldworld", "newworld")
    )
    assert len(old.images) > len(new.images) > 0
    places = [set(zip(d.columns["lat"], d.columns["lon"], strict=True)) for d in (old, new)]
    assert not places[0] & places[1]


def test_max_train_images_leaves_out_training_tiles_alone(tiles: Dataset) -> None:
    few = prepare(TILES.model_copy(update={"max_train_images": 50}))
    assert (few.splits == "train").sum() == 50
    for dataset in (few, tiles):
        counts = class_counts(dataset.labels)[:, : len(dataset.classes)]
        assert class_distance(dataset.splits, counts) < 0.15
        for split, share in (("val", TILES.val), ("test", TILES.test)):
            assert abs((dataset.splits == split).sum() / len(tiles.splits) - share) < 0.05
    many = prepare(TILES.model_copy(update={"max_train_images": 10**6}))
    assert np.array_equal(many.splits, tiles.splits)


@pytest.mark.parametrize(
    ("changed", "keys"),
    [
        ({"min_land_fraction": 1.0}, "min_land_fraction or tile"),
        ({"min_images_per_class": 10**6}, "min_majority_fraction or min_images_per_class"),
    ],
)
def test_no_tile_left_is_refused_with_the_keys_to_lower(changed: dict[str, Any], keys: str) -> None:
    recipe = TileDataset.model_validate({**TILES.model_dump(), **changed})
    with pytest.raises(RepriseError, match=f"no tile of the globe is left; lower {keys}"):
        prepare(recipe)
    if "min_land_fraction" in changed:
        with pytest.raises(RepriseError, match=f"lower {keys}"):
            prepare(MapDataset.model_validate({**MAPS.model_dump(), **changed}))
