"""Image files: one place for finding, opening and scaling them, with its errors and limits."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from reprise.atomic_io import check_file
from reprise.errors import RepriseError

Resize = Literal["cover", "squash", "crop"]
Interpolation = Literal["bilinear", "bicubic"]
RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")
LITTER = "__MACOSX"  # what macOS archivers leave behind
# what an image from outside may be: Pillow has decoders that run other programs
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
PACKAGED_FORMATS = (*FORMATS, "PPM")  # of the pinned data packages
MAX_PIXELS = 50_000_000  # of an image from outside: 150 MB as RGB
Image.MAX_IMAGE_PIXELS = None  # `_opened` checks the number before anything is decoded
MODES_OF_8_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
MODES_OF_16_BITS = ("I;16", "I;16L", "I;16B", "I")  # gray; Pillow reads colors of 16 bits as 8
# what makes an image upright, by its EXIF orientation; 1 is upright
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder (not of folders below it), sorted by name.

    Raises RepriseError when there is no such folder, or a name is not UTF-8.
    """
    names = _visible(folder)
    names = [name for name in names if name.lower().endswith(IMAGE_SUFFIXES)]
    for name in names:
        check_utf8(folder, name)
    return [folder / name for name in names]


def list_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted by name; raises as `list_images`."""
    paths = [folder / name for name in _visible(folder)]
    paths = [path for path in paths if path.is_dir() and path.name != LITTER]
    for path in paths:
        check_utf8(folder, path.name)
    return paths


def _visible(folder: Path) -> list[str]:
    """The names in a folder that are not hidden, sorted."""
    try:
        return sorted(name for name in os.listdir(folder) if name[0] != ".")
    except OSError as error:
        raise RepriseError(f"{folder}: cannot be listed ({error.strerror}); replace it") from None


def check_utf8(folder: Path, name: str) -> None:
    """Raise RepriseError for a name that cannot be written to a csv file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise RepriseError(f"{folder}: {name!a}: the name is not UTF-8; rename it") from None


def open_image(path: Path, advice: str = "replace it", packaged: bool = False) -> Image.Image:
    """A decoded image, turned upright as its EXIF orientation says.

    packaged: whether it belongs to a pinned data package; then it may be large, and in other
    formats. Raises RepriseError, ending in `advice`, when the file is missing, has another format,
    is too large or cannot be decoded.
    """
    with _opened(path, advice, packaged) as image:
        image.load()
        method = UPRIGHT.get(_orientation(image))
        return image if method is None else image.transpose(method)


def image_size(path: Path, advice: str = "replace it") -> tuple[int, int]:
    """Width and height of an image as `open_image` gives it, without decoding a JPEG file.

    Raises RepriseError as `open_image` does, but for pixels that cannot be decoded.
    """
    with _opened(path, advice) as image:
        width, height = image.size
        return (height, width) if _orientation(image) >= 5 else (width, height)


@contextmanager
def _opened(path: Path, advice: str, packaged: bool = False) -> Iterator[Image.Image]:
    check_file(path, advice)
    try:
        with Image.open(path, formats=PACKAGED_FORMATS if packaged else FORMATS) as image:
            if image.width * image.height > MAX_PIXELS and not packaged:
                raise ValueError(f"{image.width} x {image.height} pixels are more than 50 million")
            # MPO: a camera's JPEG file, with a preview after the image
            if image.format != "MPO" and getattr(image, "is_animated", False):
                raise ValueError("it has several images; save one")
            yield image
    except RepriseError:
        raise
    except UnidentifiedImageError:
        raise RepriseError(
            f"{path}: cannot be decoded as an image (not {', '.join(FORMATS)}); {advice}"
        ) from None
    except Exception as error:  # Pillow decides what a damaged file raises
        raise RepriseError(f"{path}: cannot be decoded as an image ({error}); {advice}") from None


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where an image has none or its EXIF block is damaged."""
    # ImageOps.exif_transpose fails on a damaged block, though the pixels can be read
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # as in `_opened`
        return 1
    return value if value in UPRIGHT else 1


def read_image(
    path: Path,
    mode: str | None = None,
    size: tuple[int, int] | None = None,
    resample: Image.Resampling = Image.Resampling.BILINEAR,
    advice: str = "replace it",
    packaged: bool = False,
) -> NDArray[np.uint8]:
    """Pixels of an image file, uint8: (H, W) or (H, W, channels), as its mode has them.

    mode: Pillow's name of the mode to convert to, such as RGB or L; None keeps the file's. size:
    (width, height) to resize to, before the mode is converted, where the image differs. packaged:
    see `open_image`. Of 16 bits, the high 8 are kept. Raises RepriseError as `open_image` does, and
    for an image with more than 16 bits per channel.
    """
    image = _of_8_bits(path, advice, packaged)
    if size and image.size != size:
        image = image.resize(size, resample)
    return np.asarray(image.convert(mode) if mode else image, np.uint8)


def _of_8_bits(path: Path, advice: str = "replace it", packaged: bool = False) -> Image.Image:
    """`open_image` with 8 bits per channel; raises as `read_image`."""
    image = open_image(path, advice, packaged)
    if image.mode in MODES_OF_16_BITS:
        return _eight_bits(image, path)
    if image.mode not in MODES_OF_8_BITS:
        raise RepriseError(
            f"{path}: mode {image.mode} has more than 16 bits per channel; save it with 8 or 16"
        )
    return image


def _eight_bits(image: Image.Image, path: Path) -> Image.Image:
    """The high bits of a gray image of 16 bits, as Pillow keeps them of colors."""
    pixels = np.asarray(image)
    if pixels.size and not 0 <= pixels.min() <= pixels.max() < 2**16:
        raise RepriseError(f"{path}: has values outside 0 to 65535; save it with 8 or 16 bits")
    return Image.fromarray((pixels.astype(np.uint16) >> 8).astype(np.uint8))


def read_rgb(
    path: Path,
    size: int | tuple[int, int] | None,
    resize: Resize = "cover",
    interpolation: Interpolation = "bilinear",
) -> NDArray[np.uint8]:
    """An image as (H, W, 3) uint8; gray is repeated, transparency dropped.

    size: a side or (height, width) to bring it to, see `resized`; None keeps it. Raises
    RepriseError as `read_image` does.
    """
    image = _of_8_bits(path)
    image = image if image.mode == "RGB" else image.convert("RGB")
    if resize == "crop":
        check_crop(path, image.size, size)
    return np.asarray(resized(image, size, resize, RESAMPLING[interpolation]))


def check_crop(path: Path, stored: tuple[int, int], size: int | tuple[int, int] | None) -> None:
    """Raise RepriseError if an image, stored: (width, height), is smaller than a crop of it."""
    height, width = (size, size) if isinstance(size, int) or size is None else size
    if stored[0] < (width or 0) or stored[1] < (height or 0):
        raise RepriseError(
            f"{path}: {stored[0]} x {stored[1]} (width, height), smaller than the crop of "
            f"{width} x {height}; use a smaller size, or resize: cover"
        )


def resized(
    image: Image.Image,
    size: int | tuple[int, int] | None,
    resize: Resize,
    resample: Image.Resampling,
) -> Image.Image:
    """An image of `size`, a side or (height, width); None keeps it.

    cover: see `resize_and_crop`. squash: height and width are scaled each by its factor, as
    torchvision's Resize((height, width)) does. crop: the center, at the image's own scale.
    """
    if size is not None and resize == "crop":
        height, width = (size, size) if isinstance(size, int) else size
        return image.crop(_center(image.size, width, height))
    if size is None or resize == "cover":
        return resize_and_crop(image, size, resample)
    height, width = (size, size) if isinstance(size, int) else size
    return image if image.size == (width, height) else image.resize((width, height), resample)


def resize_and_crop(
    image: Image.Image, size: int | tuple[int, int] | None, resample: Image.Resampling
) -> Image.Image:
    """torchvision's Resize(size) and CenterCrop(size), or the same for a height and width."""
    if size is None:
        return image
    height, width = (size, size) if isinstance(size, int) else size
    scaled = cover_size(image.size, height, width)
    if scaled != image.size:
        image = image.resize(scaled, resample)
    return image.crop(_center(scaled, width, height))


def _center(size: tuple[int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the center of an image of `size`, as torchvision rounds."""
    left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
    return left, top, left + width, top + height


def cover_size(size: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """Width and height of an image of `size` (width, height), scaled to just cover another."""
    if size[0] * height <= size[1] * width:
        return width, int(width * size[1] / size[0])
    return int(height * size[0] / size[1]), height
