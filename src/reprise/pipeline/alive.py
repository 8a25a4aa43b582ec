"""Locks that a killed Snakemake left behind; standard library only."""

import fcntl
from pathlib import Path
from typing import IO


def drop_stale_locks(folder: Path = Path(".snakemake")) -> tuple[IO[bytes], bool]:
    """Delete Snakemake's locks when no Snakemake that is alive can own them.

    Each run holds a shared lock of the operating system on one file, which ends with the process,
    however it ends.

    Returns:
        The file, to be kept for as long as the run lasts, and whether this is the only run.
    """
    alone = True
    folder.mkdir(exist_ok=True)
    alive = (folder / "alive").open("ab")
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for lock in (folder / "locks").glob("*"):
            lock.unlink()
    except BlockingIOError:
        alone = False  # another one runs: its locks hold
    fcntl.flock(alive, fcntl.LOCK_SH)
    return alive, alone
