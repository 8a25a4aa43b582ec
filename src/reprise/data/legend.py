"""Class names, colours and groupings of label maps."""

Named = tuple[tuple[str, tuple[int, int, int]], ...]

# IGBP land cover types of MODIS MCD12C1, by code (0 to 16).
IGBP = (
    "water",
    "evergreen needleleaf forest",
    "evergreen broadleaf forest",
    "deciduous needleleaf forest",
    "deciduous broadleaf forest",
    "mixed forest",
    "closed shrubland",
    "open shrubland",
    "woody savanna",
    "savanna",
    "grassland",
    "permanent wetland",
    "cropland",
    "urban",
    "cropland mosaic",
    "snow and ice",
    "barren",
)

# The satellite set's classes in the course's order and colours; palette.UNKNOWN is ignored.
COURSE = (
    ("urban", (0, 255, 255)),
    ("agriculture", (255, 255, 0)),
    ("rangeland", (255, 0, 255)),
    ("forest", (0, 255, 0)),
    ("water", (0, 0, 255)),
    ("barren", (255, 255, 255)),
)
COURSE_OF_IGBP = (4, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 4, 1, 0, 1, 5, 5)

# Eleven groups, as many as CamVid has; 11 (void) is ignored.
STREET = (
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
STREET_VOID = 11
STREET_OF_IGBP = (0, 1, 1, 2, 2, 3, 4, 4, 5, 6, 7, 0, 8, 10, 8, 9, 10)

# The same eleven merged into three, as the CS6550 report does with CamVid.
THREE = (
    ("water", (31, 119, 180)),
    ("vegetation", (65, 171, 93)),
    ("bare or built", (152, 78, 63)),
)
THREE_OF_STREET = (0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2)

# CamVid in the order and colours of CS6550's starter; 11 (void) is ignored.
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
THREE_OF_CAMVID = (0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 1)

# Koeppen-Geiger codes that can be trusted: 29 and 30 (ice caps, tundra) look shifted by one
# against the package's own table, 31 is not in it, and 32 is ocean.
KOEPPEN_CODES = range(1, 29)


def coloured(classes: Named) -> list[dict[str, object]]:
    """Classes as dataset.json lists them: id, name, colour."""
    return [{"id": i, "name": name, "color": list(rgb)} for i, (name, rgb) in enumerate(classes)]
