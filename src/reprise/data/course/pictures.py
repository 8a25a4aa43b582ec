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


def read_picture(path: Path, size: int | None) -> Bytes:
    """An image as (H, W, 3) uint8; grey is repeated, transparency dropped.

    size: as torchvision's Resize(size) and CenterCrop(size); None leaves it as it is.
    Raises RepriseError for a file that does not decode or has more than 8 bits a channel.
    """
    image = _load(path)
    if image.mode not in EIGHT_BITS:
        raise RepriseError(
            f"{path}: mode {image.mode} has more than 8 bits a channel; save it with 8"
        )
    return np.asarray(_square(image.convert("RGB"), size, Image.Resampling.BILINEAR))


def read_colour_mask(path: Path, size: int | None) -> Bytes:
    """A mask in the palette as (H, W) uint8 ids 0..6 (see `reprise.palette`).

    Raises RepriseError for a file that does not decode or has no colours.
    """
    image = _load(path)
    if image.mode not in COLOURED:
        raise RepriseError(f"{path}: mode {image.mode}; a mask has colours, save it as RGB")
    return decode_mask(np.asarray(_square(image.convert("RGB"), size, Image.Resampling.NEAREST)))


def read_id_mask(path: Path, size: int | None, most: int) -> Bytes:
    """A mask whose values are class ids, (H, W) uint8.

    Raises RepriseError for a file that does not decode, has colours, or an id above `most`.
    """
    image = _load(path)
    if image.mode not in ("L", "P"):
        raise RepriseError(f"{path}: mode {image.mode}; a label map holds ids, save it as grey")
    ids = np.asarray(_square(image, size, Image.Resampling.NEAREST))
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
    except (OSError, SyntaxError, ValueError) as error:
        raise RepriseError(f"{path}: does not decode as an image ({error}); replace it") from None


def _square(image: Image.Image, size: int | None, resample: Image.Resampling) -> Image.Image:
    if size is None:
        return image
    short = min(image.size)
    width, height = (int(size * side / short) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    if (width, height) != image.size:
        image = image.resize((width, height), resample)
    return image.crop((left, top, left + size, top + size))
