"""What Snakemake remembers of files: it takes some as made by its rules, and forgets others."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from reprise.errors import RepriseError


def adopt(paths: Sequence[str]) -> None:
    """Snakemake takes these files, and what they depend on, as made by its present rules.

    Raises RepriseError when it can not.
    """
    if not paths:
        return
    made = _snakemake("--touch", "--forceall", "--quiet", "all", "--", *paths)
    if made.returncode:
        said = made.stderr.strip().splitlines()
        raise RepriseError(f"snakemake --touch: {said[-1] if said else 'failed'}")


def forget(paths: Sequence[str]) -> None:
    """Snakemake makes these files again: it knows no job for them, and they are older than all."""
    there = [path for path in paths if os.path.exists(path)]
    if not there:
        return
    _snakemake("--cleanup-metadata", *there)  # exit status 1 when it knew none
    for path in there:
        for file in [*Path(path).rglob("*"), Path(path)]:
            os.utime(file, (1, 1))  # 0 would be no time to Snakemake


def _snakemake(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["snakemake", "--cores", "1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
