"""The data sets: what each is cut from, and the shares of the roles."""

from typing import Annotated, Literal

from pydantic import Field

from reprise.params.block import Block, Name, Positive, Share


class FaceSet(Block):
    """ORL faces, split by person; shares are of the persons."""

    source: Literal["faces"]
    select: Share
    report: Share
    seed: int = 0


class Grid(Block):
    """How the globe is cut: `tile` and `stride` in pixels, `block` in degrees."""

    tile: Positive
    stride: Positive
    land: Share
    block: Positive
    select: Share
    report: Share
    seed: int = 0
    train: Positive | None = None


class TileSet(Grid):
    """Tiles with one class each, the commonest one of the tile."""

    source: Literal["tiles"]
    labels: Literal["koeppen", "igbp"]
    region: Literal["world", "oldworld", "newworld"]
    majority: Share
    least: Positive


class MapSet(Grid):
    """Tiles with a label map each."""

    source: Literal["maps"]
    labels: Literal["course", "igbp"]


class CourseSet(Block):
    """Data as a course hands it out; its val split is the report role."""

    source: Literal["course"]
    layout: Literal["fifty", "office", "mini", "satellite", "makeup", "camvid"]
    folder: Name  # as `make data` registered it
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None  # as `make data` said it
    size: Positive | None = None  # pixels: shorter side, then a square from the middle; null: as is
    select: Share  # of the train split
    seed: int = 0
    sample: Positive | None = None  # in its place so many embedded images a class, in its layout


DataSet = TileSet | MapSet | FaceSet | CourseSet


class Prepare(Block):
    """The data sets."""

    sets: list[Name]
    recipes: dict[
        str, Annotated[TileSet | MapSet | FaceSet | CourseSet, Field(discriminator="source")]
    ]
