"""The datasets: what each is cut from, and the shares of its splits."""

from typing import TYPE_CHECKING, Annotated, Literal, Self, Union

from pydantic import AfterValidator, Field, model_validator

from reprise import plugins
from reprise.params.base import Block, Name, Pixels, Positive, Seed, Share, invalid

PIXELS_PER_DEGREE = 15  # of the globe that tiles are cut from
MAX_MAP_CLASSES = 255  # of label maps, whose ids are uint8; one id is left for unlabelled pixels


def _text(text: str) -> str:
    if not text.isprintable() or "${" in text:  # DVC puts values in place of ${...}
        raise invalid("has characters that are not shown, or ${; use plain text")
    return text


Text = Annotated[str, AfterValidator(_text), Field(max_length=300)]
ClassName = Annotated[str, AfterValidator(_text), Field(min_length=1, max_length=80)]
Byte = Annotated[int, Field(ge=0, le=255)]
Color = Annotated[tuple[Byte, Byte, Byte], Field(strict=False)]  # YAML has lists
MaskId = Annotated[int, Field(ge=0, le=65_535)]  # as a mask of 8 or 16 bits has them
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class OrlDataset(Block):
    """ORL faces, split by person.

    val, test: shares of the persons. seed: the first of the seeds that are tried for an even split.
    """

    source: Literal["orl"]
    val: Share
    test: Share
    seed: Seed = 0


class Grid(Block):
    """How the globe is cut into tiles.

    tile, stride: pixels. min_land_fraction: of a tile's pixels. block_degrees: side of the blocks
    that belong to one split as a whole. val, test: shares of the tiles, in whole blocks. seed: the
    first of the seeds that are tried for an even split. max_train_images: at most this many
    training tiles are used; null: all.
    """

    tile: Pixels
    stride: Pixels
    min_land_fraction: Share
    block_degrees: Annotated[int, Field(gt=0, le=90)]
    val: Share
    test: Share
    seed: Seed = 0
    max_train_images: Positive | None = None

    @model_validator(mode="after")
    def _tile_fits_into_a_block(self) -> Self:
        side = self.block_degrees * PIXELS_PER_DEGREE
        if self.tile > side:
            raise invalid(f"tile: {self.tile} pixels are more than the {side} of block_degrees")
        return self


class TileDataset(Grid):
    """Tiles with one class each: the most frequent label of the tile."""

    source: Literal["earth_tiles"]
    labels: Literal["koeppen", "igbp"]
    region: Literal["world", "oldworld", "newworld"]
    min_majority_fraction: Share
    min_images_per_class: Positive


class MapDataset(Grid):
    """Tiles with a label map each."""

    source: Literal["earth_maps"]
    labels: Literal["deepglobe", "igbp"]


class CourseDataset(Block):
    """Images as a course hands them out; the course's val split is our test split.

    registered_as, sha256: as `make data` wrote them; a null sha256 accepts any list of files.
    size: null keeps the images as they are; otherwise a square of this side. resize: how they come
    to that size: cover scales the shorter side to it and cuts the center, squash scales each side
    by its factor. interpolation: of images; label maps take the nearest pixel. val: share of the
    course's train split, in whole groups; 0 for camvid_segnet, which has its val and test.
    synthetic_per_class: this many embedded images a class in the course's layout replace the
    course's.
    """

    source: Literal["course"]
    layout: Literal[
        "dlcv_50",
        "office_home",
        "mini_imagenet",
        "deepglobe",
        "celeba_makeup",
        "camvid",
        "camvid_segnet",
    ]
    registered_as: Name
    sha256: Sha256 | None = None
    size: Pixels | None = None
    resize: Literal["cover", "squash"] = "cover"
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    val: Share
    seed: Seed = 0
    synthetic_per_class: Positive | None = None

    @model_validator(mode="after")
    def _val_is_cut_once(self) -> Self:
        if self.layout == "camvid_segnet" and self.val:
            raise invalid("val: camvid_segnet has a val split in its folder; set val: 0")
        return self


class ImagesDataset(Block):
    """Your own images, as `make data` registered them.

    kind: a class for each image, a label map for each, or neither. registered_as, sha256: as `make
    data` wrote them; a null sha256 accepts any list of files. origin, licence: what dataset.json
    and the report say of the images. size, resize, interpolation: as of `CourseDataset`, and crop
    cuts the center at the image's own scale. val, test, seed: shares of the images, in whole
    groups, of the splits that the folders or the csv do not name.

    legend: of label maps, the id or the color of each class in the masks, in the order of the
    classes. ignore: ids or colors of pixels that have no class. colors: of classes in figures,
    where the legend has ids.
    """

    source: Literal["images"]
    kind: Literal["classification", "segmentation", "unlabelled"]
    registered_as: Name
    sha256: Sha256 | None = None
    origin: Text = ""
    licence: Text = ""
    size: Pixels | None = None
    resize: Literal["cover", "squash", "crop"] = "cover"
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    val: Share = 0.15
    test: Share = 0.2
    seed: Seed = 0
    legend: dict[ClassName, MaskId | Color] = {}
    ignore: list[MaskId | Color] = []
    colors: dict[ClassName, Color] = {}

    @model_validator(mode="after")
    def _legend_is_complete(self) -> Self:
        values = [*self.legend.values(), *self.ignore]
        if (self.kind == "segmentation") != bool(self.legend):
            raise invalid("legend: is for segmentation, which needs one; write `name: id` or color")
        if len({isinstance(value, int) for value in values}) > 1:
            raise invalid("legend: has ids and colors; use one kind, also for ignore")
        if len(set(values)) < len(values):
            raise invalid("legend: two classes have one id or color; use each once, also in ignore")
        if len(self.legend) > MAX_MAP_CLASSES:
            raise invalid(f"legend: more than {MAX_MAP_CLASSES} classes of label maps")
        if unknown := self.colors.keys() - self.legend.keys():
            raise invalid(f"colors: '{min(unknown)}' is not in legend; remove it")
        if self.resize == "crop" and self.size is None:
            raise invalid("size: is null, but resize: crop needs the side of the squares")
        if self.val + self.test >= 1:
            raise invalid("val: with test it leaves no image for train; lower one of them")
        return self


def _of_plugins() -> tuple[type[Block], ...]:
    """The classes `Dataset` of other packages (see reprise.plugins)."""
    modules = plugins.files("params", "\nclass Dataset(")
    return tuple(plugins.load("params", file.stem).Dataset for file in modules)


OWN = TileDataset | MapDataset | OrlDataset | CourseDataset | ImagesDataset
if TYPE_CHECKING:
    DatasetRecipe = Annotated[OWN, Field(discriminator="source")]
else:
    DatasetRecipe = Annotated[Union[(OWN, *_of_plugins())], Field(discriminator="source")]
