"""Label maps of the courses' folders: colors of DeepGlobe's masks, ids of CamVid's."""

from pathlib import Path

import numpy as np
from PIL import Image

from reprise.datasets import classes
from reprise.datasets.prepared import Bytes
from reprise.errors import RepriseError
from reprise.images import Resize, image_size, open_image, resized


def open_mask(path: Path, layout: str) -> Image.Image:
    """The file of a label map, decoded: RGB for deepglobe, ids (L or P) for camvid.

    Raises RepriseError for a file that cannot be decoded, or has colors where ids are needed or
    none.
    """
    image = open_image(path)
    if layout == "deepglobe":
        if image.mode not in ("P", "RGB", "RGBA"):
            raise RepriseError(f"{path}: mode {image.mode}; a mask has colors, save it as RGB")
        return image.convert("RGB")
    if image.mode not in ("L", "P"):
        raise RepriseError(f"{path}: mode {image.mode}; a label map has ids, save it as grayscale")
    return image


def decode(pixels: Bytes, layout: str, path: Path) -> Bytes:
    """Class ids (H, W) uint8 of the pixels of `open_mask`. Raises RepriseError for another id."""
    if layout == "deepglobe":
        return classes.decode_mask(pixels)
    if pixels.max() > classes.CAMVID_VOID:
        last = classes.CAMVID_VOID
        raise RepriseError(f"{path}: has id {pixels.max()}; the ids are 0 to {last}")
    return pixels


def read_mask(path: Path, layout: str, size: int | None, resize: Resize = "cover") -> Bytes:
    """A label map as (H, W) uint8 class ids, scaled as `read_rgb` does, nearest neighbor.

    Raises RepriseError as `open_mask` and `decode` do.
    """
    image = resized(open_mask(path, layout), size, resize, Image.Resampling.NEAREST)
    return decode(np.asarray(image), layout, path)


def check_same_size(image: Path, mask: Path) -> None:
    """Raise RepriseError when an image and its label map differ in size."""
    sizes = [image_size(path) for path in (image, mask)]
    if sizes[0] != sizes[1]:
        raise RepriseError(
            f"{mask}: {sizes[1]} (width, height), its image {sizes[0]}; the sizes must be equal"
        )
