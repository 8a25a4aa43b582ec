"""The satellite set's mask colours: one bit a channel, 128 and more is on; code = 4R + 2G + B."""

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 6
# Class ids by code. Red (code 4) is no class and the course's reader leaves such a pixel to
# whatever lies in memory; here it is unknown, as black is.
ID_OF_CODE = np.array([UNKNOWN, 4, 3, 0, UNKNOWN, 2, 1, 5], np.uint8)
_BITS = np.array([4, 2, 1], np.uint8)


def decode_mask(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Class ids (..., ) uint8, 0..6, of mask colours (..., 3) uint8."""
    codes = ((colours >= 128) * _BITS).sum(axis=-1, dtype=np.uint8)
    ids: NDArray[np.uint8] = ID_OF_CODE[codes]
    return ids


def encode_mask(ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mask colours (..., 3) uint8, each 0 or 255, of class ids 0..6; unknown is black.

    Raises ValueError for an id above 6.
    """
    if ids.size and ids.max() > UNKNOWN:
        raise ValueError(f"id {ids.max()} has no colour; the ids are 0 to {UNKNOWN}")
    codes = np.zeros(UNKNOWN + 1, np.uint8)
    codes[ID_OF_CODE[::-1]] = np.arange(8, dtype=np.uint8)[::-1]  # black, not red, wins as unknown
    colours: NDArray[np.uint8] = ((codes[ids][..., None] & _BITS) > 0) * np.uint8(255)
    return colours
