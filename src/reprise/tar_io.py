"""Tar archives that other programs made, extracted so that nothing leaves its folder."""

import tarfile
from pathlib import Path


def extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Extract an archive to a folder: files, folders, and links that stay inside it.

    Raises tarfile.TarError, or OSError, for anything else.
    """
    if hasattr(tarfile, "data_filter"):  # since Python 3.11.4
        archive.extractall(folder, filter="data")
        return
    root = folder.resolve()
    for member in archive:
        place = (root / member.name).resolve()
        target = (place.parent / member.linkname).resolve() if member.issym() else place
        known = member.isfile() or member.isdir() or member.issym()
        if not (known and place.is_relative_to(root) and target.is_relative_to(root)):
            raise tarfile.TarError(f"{member.name}: leaves the folder")
        archive.extract(member, root)
