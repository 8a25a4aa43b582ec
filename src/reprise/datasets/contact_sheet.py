"""A page of small images, to see at once whether classes and masks are what they should be."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reprise.datasets.prepared import Bytes
from reprise.errors import one_line

SIDE, GAP, CAPTION = 96, 4, 16  # pixels
COLUMNS = 8
ROWS = 24
TEXT_LENGTH = 110


def contact_sheet(rows: Sequence[tuple[str, Sequence[Bytes]]]) -> Image.Image:
    """A caption and at most COLUMNS images, (H, W, 3) uint8, in each of at most ROWS rows."""
    shown = rows[:ROWS]
    width = COLUMNS * (SIDE + GAP) + GAP
    sheet = Image.new("RGB", (width, len(shown) * (SIDE + CAPTION + GAP) + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, (caption, images) in enumerate(shown):
        top = GAP + number * (SIDE + CAPTION + GAP)
        draw.text((GAP, top), one_line(caption, TEXT_LENGTH), "black", font)
        for column, pixels in enumerate(images[:COLUMNS]):
            image = Image.fromarray(pixels)
            image.thumbnail((SIDE, SIDE))
            sheet.paste(image, (GAP + column * (SIDE + GAP), top + CAPTION))
    return sheet


def small(image: Bytes) -> Bytes:
    """An image (H, W, 3) at the size of the sheet, so that few bytes are kept."""
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE, SIDE))
    return np.asarray(picture)


def painted(ids: Bytes, colors: Sequence[Sequence[int]]) -> Bytes:
    """A label map (H, W) in the colors of its classes, (H, W, 3); other ids are black."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colors)] = colors
    picture: Bytes = palette[ids]
    return picture
