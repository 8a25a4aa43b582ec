"""Names, colors and groupings of the classes of label maps, and DeepGlobe's color masks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

NamedColors = tuple[tuple[str, tuple[int, int, int]], ...]

# IGBP land cover types of MODIS MCD12C1, by code (0 to 16).
IGBP = (
    "water", "evergreen needleleaf forest", "evergreen broadleaf forest",
    "deciduous needleleaf forest", "deciduous broadleaf forest", "mixed forest",
    "closed shrubland", "open shrubland", "woody savanna", "savanna", "grassland",
    "permanent wetland", "cropland", "urban", "cropland mosaic", "snow and ice", "barren",
)  # fmt: skip

# Label maps ignore permanent wetland. DeepGlobe's definition counts it as water (Demir et al.
# 2018), but 98 % of its pixels have a color that is nearer to the mean of a land class.

# DeepGlobe's land cover classes in the course's order and colors; UNKNOWN is ignored.
DEEPGLOBE = (
    ("urban", (0, 255, 255)),
    ("agriculture", (255, 255, 0)),
    ("rangeland", (255, 0, 255)),
    ("forest", (0, 255, 0)),
    ("water", (0, 0, 255)),
    ("barren", (255, 255, 255)),
)
UNKNOWN = 6
IGBP_TO_DEEPGLOBE = (4, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, UNKNOWN, 1, 0, 1, 5, 5)

# Eleven groups, as many as CamVid has; 11 (void) is ignored.
IGBP_GROUPS = (
    ("water", (31, 119, 180)),
    ("evergreen forest", (0, 68, 27)),
    ("deciduous forest", (35, 139, 69)),
    ("mixed forest", (65, 171, 93)),
    ("shrubland", (191, 129, 45)),
    ("woody savanna", (161, 217, 155)),
    ("savanna", (223, 194, 125)),
    ("grassland", (199, 233, 100)),
    ("cropland", (255, 217, 47)),
    ("snow and ice", (240, 240, 255)),
    ("barren or built", (152, 78, 63)),
)
IGBP_GROUPS_VOID = 11
IGBP_TO_GROUPS = (0, 1, 1, 2, 2, 3, 4, 4, 5, 6, 7, IGBP_GROUPS_VOID, 8, 10, 8, 9, 10)

# The eleven groups merged into three, as the CS6550 homework does with CamVid.
THREE_GROUPS = (
    ("water", (31, 119, 180)),
    ("vegetation", (65, 171, 93)),
    ("bare or built", (152, 78, 63)),
)
GROUPS_TO_THREE = (0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2)

# CamVid in the order and colors of CS6550's starter; 11 (void) is ignored.
CAMVID = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (0, 0, 192)),
    ("tree", (128, 128, 0)),
    ("sign symbol", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)
CAMVID_VOID = 11
# Its question 2-3: three classes; void belongs to the second one and counts.
CAMVID_THREE = (
    ("sky", (128, 128, 128)),
    ("background", (128, 0, 0)),
    ("movers", (64, 0, 128)),
)
CAMVID_TO_THREE = (0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 1)


def _described(
    classes: NamedColors, ignore: int, three: NamedColors = (), table: Sequence[int] = ()
) -> dict[str, Any]:
    """The classes of label maps as dataset.json lists them.

    three: classes that they can be merged into; table: the id of each class among the three.
    """
    entries, merged = (
        [{"id": i, "name": name, "color": list(rgb)} for i, (name, rgb) in enumerate(named)]
        for named in (classes, three)
    )
    merging = {"3": {"classes": merged, "map": list(table)}} if three else {}
    return {"classes": entries, "ignore": ignore, "merged": merging}


DEEPGLOBE_MAPS = _described(DEEPGLOBE, UNKNOWN)
IGBP_MAPS = _described(IGBP_GROUPS, IGBP_GROUPS_VOID, THREE_GROUPS, GROUPS_TO_THREE)
CAMVID_MAPS = _described(CAMVID, CAMVID_VOID, CAMVID_THREE, CAMVID_TO_THREE)

# Koeppen-Geiger zones by what defines them in Peel, Finlayson and McMahon (2007), table 1, short
# enough for a legend. They do not have As (tropical with a dry summer: Kottek et al. 2006).
KOEPPEN = {
    "Af": "tropical rainforest",
    "Am": "tropical monsoon",
    "As": "tropical, dry summer",
    "Aw": "tropical savanna",
    "BSh": "hot steppe",
    "BSk": "cold steppe",
    "BWh": "hot desert",
    "BWk": "cold desert",
    "Cfa": "temperate, hot summer",
    "Cfb": "temperate, warm summer",
    "Cfc": "temperate, cold summer",
    "Csa": "temperate, dry hot summer",
    "Csb": "temperate, dry warm summer",
    "Csc": "temperate, dry cold summer",
    "Cwa": "mild dry winter, hot summer",
    "Cwb": "mild dry winter, warm summer",
    "Cwc": "mild dry winter, cold summer",
    "Dfa": "cold, hot summer",
    "Dfb": "cold, warm summer",
    "Dfc": "cold, cold summer",
    "Dfd": "very cold winter",
    "Dsa": "cold, dry hot summer",
    "Dsb": "cold, dry warm summer",
    "Dsc": "cold, dry cold summer",
    "Dsd": "very cold winter, dry summer",
    "Dwa": "cold dry winter, hot summer",
    "Dwb": "cold dry winter, warm summer",
    "Dwc": "cold dry winter, cold summer",
    "Dwd": "very cold dry winter",
    "EF": "ice cap",
    "ET": "tundra",
    "Ocean": "ocean",
}
KOEPPEN_CODES = range(1, 32)  # 32 is ocean

# DeepGlobe's masks have one bit per channel (128 and above is on). Red is not a class, and the
# course's reader leaves such a pixel uninitialized; here it is unknown, as black is.
_COLORS = np.array([*(rgb for _, rgb in DEEPGLOBE), (0, 0, 0)], np.uint8)
_IDS = np.full((2, 2, 2), UNKNOWN, np.uint8)  # by red, green and blue
_IDS[tuple((_COLORS >= 128).T.astype(int))] = np.arange(len(_COLORS))


def decode_mask(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """DeepGlobe class ids (...,) uint8, 0..6, of mask colors (..., 3) uint8; 6 is unknown."""
    red, green, blue = np.moveaxis((colors >= 128).view(np.uint8), -1, 0)
    ids: NDArray[np.uint8] = _IDS[red, green, blue]
    return ids


def encode_mask(ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mask colors (..., 3) uint8, each 0 or 255, of DeepGlobe class ids 0..6; unknown is black.

    Raises ValueError for an id above 6.
    """
    if ids.size and ids.max() > UNKNOWN:
        raise ValueError(f"id {ids.max()} has no color; the ids are 0 to {UNKNOWN}")
    return _COLORS[ids]
