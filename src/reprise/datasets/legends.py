"""Label maps of a user's images: masks of ids or of colors, and the legend that names them."""

import colorsys
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reprise.datasets.prepared import Bytes
from reprise.datasets.tables import read_rows
from reprise.errors import RepriseError
from reprise.images import open_image
from reprise.params.datasets import MAX_MAP_CLASSES, Color

Value = int | Color  # of a pixel of a mask
Values = NDArray[np.int64]  # ids, or colors as numbers: red * 65536 + green * 256 + blue
ID_MODES = ("1", "L", "P", "I;16", "I;16L", "I;16B", "I")
COLOR_MODES = ("P", "RGB", "RGBA")
USUAL_VOID = 255  # the id of pixels without a class, where masks have no legend
MOST_COLORS = 64  # of masks without a legend; a JPEG file has thousands
IGNORED = ("ignore", "void", "unlabelled", "unlabeled")  # names in a legend of pixels without class


def open_mask(path: Path, colors: bool) -> Image.Image:
    """A mask: RGB with `colors`, otherwise ids. Raises RepriseError if it has the other kind."""
    image = open_image(path)
    if colors and image.mode in COLOR_MODES:
        return image.convert("RGB")
    if not colors and image.mode in ID_MODES:
        return image.convert("L") if image.mode == "1" else image
    needed = "colors; save it as RGB" if colors else "ids; save it as grayscale"
    raise RepriseError(f"{path}: mode {image.mode}, but the legend has {needed}")


def mask_values(mask: Image.Image) -> Values:
    """The values of a mask's pixels, (H, W) int64."""
    pixels = np.asarray(mask).astype(np.int64)
    if pixels.ndim == 2:
        return pixels
    return pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]


def as_number(value: Value) -> int:
    """A value of a legend as `mask_values` has it."""
    return value if isinstance(value, int) else value[0] << 16 | value[1] << 8 | value[2]


def as_text(number: int, colors: bool) -> str:
    """A value of `mask_values` for a message."""
    return f"color #{number:06x}" if colors else f"id {number}"


class Decoder:
    """Class ids of masks: class i is the i-th of the legend; ignored pixels have the id after."""

    def __init__(self, legend: Mapping[str, Value], ignore: Sequence[Value]) -> None:
        self.colors = not all(isinstance(value, int) for value in [*legend.values(), *ignore])
        self.ignore = len(legend) if ignore else None
        ids = {as_number(value): number for number, value in enumerate(legend.values())}
        ids |= {as_number(value): len(legend) for value in ignore}
        self.values = np.array(sorted(ids), np.int64)
        self.ids = np.array([ids[value] for value in self.values.tolist()], np.uint8)

    def decode(self, values: Values, path: Path) -> Bytes:
        """Class ids (H, W) uint8. Raises RepriseError for a value outside the legend."""
        places = np.searchsorted(self.values, values).clip(max=len(self.values) - 1)
        outside = self.values[places] != values
        if outside.any():
            number = int(values[outside].min())
            raise RepriseError(
                f"{path}: has {as_text(number, self.colors)}, which is not in the legend; add it, "
                "or add it to ignore"
            )
        decoded: Bytes = self.ids[places]
        return decoded


def read_legend(path: Path) -> tuple[dict[str, Value], list[Value]]:
    """A csv file `name,value`: the legend, and the values of pixels without a class.

    A value is an id, #rrggbb, or three numbers. Pixels without a class are named ignore or void.
    Raises RepriseError with the line of the first fault.
    """
    legend: dict[str, Value] = {}
    ignore: list[Value] = []
    for line, cells in read_rows(path):
        if [cell.lower() for cell in cells[:2]] in (["name", "value"], ["name", "id"]):
            continue
        name, *rest = cells
        value = _value(" ".join(rest))
        where = f"{path}: line {line}"
        if not name or value is None:
            raise RepriseError(f"{where}: write name,id or name,#rrggbb or name,red,green,blue")
        if name.lower() in IGNORED:
            ignore.append(value)
        elif name in legend:
            raise RepriseError(f"{where}: '{name}' is there twice; name each class once")
        else:
            legend[name] = value
    if not legend:
        raise RepriseError(f"{path}: names no class; write a line name,value for each")
    return legend, ignore


def _value(text: str) -> Value | None:
    words = text.split()
    if re.fullmatch("#[0-9a-fA-F]{6}", text):
        number = int(text[1:], 16)
        return number >> 16, number >> 8 & 255, number & 255
    if not all(word.isdecimal() and len(word) < 6 and int(word) < 2**16 for word in words):
        return None
    if len(words) == 3 and all(int(word) < 256 for word in words):
        return int(words[0]), int(words[1]), int(words[2])
    return int(words[0]) if len(words) == 1 else None


def generated_legend(numbers: Iterable[int], colors: bool) -> tuple[dict[str, Value], list[Value]]:
    """A legend for masks that come without one: a class for each value that they have.

    Id 255 has no class. Raises RepriseError for too many values.
    """
    values = sorted(numbers)
    most = MOST_COLORS if colors else MAX_MAP_CLASSES
    ignore: list[Value] = []
    if not colors and USUAL_VOID in values and len(values) > 1:
        values.remove(USUAL_VOID)
        ignore = [USUAL_VOID]
    if len(values) > most:
        raise RepriseError(
            f"the masks have {len(values)} {'colors' if colors else 'ids'}, more than {most}; pass "
            "a LEGEND, and masks as PNG files"
        )
    if colors:
        rgb = [(number >> 16, number >> 8 & 255, number & 255) for number in values]
        return {f"color_{n:06x}": c for n, c in zip(values, rgb, strict=True)}, ignore
    return {f"class_{number}": number for number in values}, ignore


def class_colors(legend: Mapping[str, Value], colors: Mapping[str, Color]) -> list[list[int]]:
    """The color of each class in figures: the user's, the legend's, or one of a wheel of hues."""
    wheel = []
    for number, (name, value) in enumerate(legend.items()):
        color = colors.get(name) or (None if isinstance(value, int) else value)
        if color is None:
            hue = number * 0.618034 % 1  # the golden ratio: neighbors in the list differ most
            red, green, blue = colorsys.hsv_to_rgb(hue, 0.65 + 0.3 * (number % 2), 0.9)
            color = round(red * 255), round(green * 255), round(blue * 255)
        wheel.append(list(color))
    return wheel
