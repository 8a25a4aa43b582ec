"""Image files of a hand-out as arrays; each fault names the file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reprise.errors import RepriseError
from reprise.palette import decode_mask

Bytes = NDArray[np.uint8]
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
COLOURED = ("P", "RGB", "RGBA")


def read_picture(path: Path, size: int | tuple[int, int] | None) -> Bytes:
    """An image as (H, W, 3) uint8; grey is repeated, transparency dropped.

    size: as torchvision's Resize(size) and CenterCrop(size), or the same for a height and width;
    None leaves it as it is.
    Raises RepriseError for a file that does not decode or has more than 8 bits a channel.
    """
    image = _load(path)
    if image.mode not in EIGHT_BITS:
        raise RepriseError(
            f"{path}: mode {image.mode} has more than 8 bits a channel; save it with 8"
        )
    return np.asarray(_cut(image.convert("RGB"), size, Image.Resampling.BILINEAR))


def read_colour_mask(path: Path, size: int | None) -> Bytes:
    """A mask in the palette as (H, W) uint8 ids 0..6 (see `reprise.palette`).

    Raises RepriseError for a file that does not decode or has no colours.
    """
    image = _load(path)
    if image.mode not in COLOURED:
        raise RepriseError(f"{path}: mode {image.mode}; a mask has colours, save it as RGB")
    return decode_mask(np.asarray(_cut(image.convert("RGB"), size, Image.Resampling.NEAREST)))


def read_id_mask(path: Path, size: int | None, most: int) -> Bytes:
    """A mask whose values are class ids, (H, W) uint8.

    Raises RepriseError for a file that does not decode, has colours, or an id above `most`.
    """
    image = _load(path)
    if image.mode not in ("L", "P"):
        raise RepriseError(f"{path}: mode {image.mode}; a label map holds ids, save it as grey")
    ids = np.asarray(_cut(image, size, Image.Resampling.NEAREST))
    if ids.max() > most:
        raise RepriseError(f"{path}: holds id {ids.max()}; the ids are 0 to {most}")
    return ids


def same_size(image: Path, mask: Path) -> None:
    """Raise RepriseError when an image and its label map differ in size."""
    sizes = [_load(path, decode=False).size for path in (image, mask)]
    if sizes[0] != sizes[1]:
        raise RepriseError(
            f"{mask}: {sizes[1]} (width, height), its image {sizes[0]}; they must be of one size"
        )


def _load(path: Path, decode: bool = True) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.copy() if decode else image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RepriseError(f"{path}: does not decode as an image ({error}); replace it") from None


def covering(size: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """Width and height of an image of the size (width, height), scaled to just cover another."""
    if size[0] * height <= size[1] * width:
        return width, int(width * size[1] / size[0])
    return int(height * size[0] / size[1]), height


def _cut(
    image: Image.Image, size: int | tuple[int, int] | None, resample: Image.Resampling
) -> Image.Image:
    if size is None:
        return image
    height, width = (size, size) if isinstance(size, int) else size
    scaled = covering(image.size, height, width)
    left, top = round((scaled[0] - width) / 2), round((scaled[1] - height) / 2)
    if scaled != image.size:
        image = image.resize(scaled, resample)
    return image.crop((left, top, left + width, top + height))
