"""The preset smoke, built with Snakemake once in a run of the tests, whatever the workers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from reprise.engines.verify import clone, environment
from support import prestarted
from support.shared import made_once

ROOT = Path(__file__).parents[2]


def smoke_build(factory: pytest.TempPathFactory) -> Path:
    """A clone with every result; not to be changed."""

    def make(folder: Path) -> None:
        clone(ROOT, folder, "smoke")
        call(folder, "snakemake", "--cores", "2", "--quiet", "rules", ok=True)

    return made_once(factory, "smoke", make)


def smoke_copy(factory: pytest.TempPathFactory) -> Path:
    """A copy of the built clone, which tests may change; both engines know its results."""
    folder = smoke_build(factory)
    return Path(shutil.copytree(folder, factory.mktemp("copy") / "smoke", symlinks=True))


def call(
    folder: Path, *command: str, ok: bool | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a clone, prestarted; it must succeed if `ok`, fail if False."""
    ended = subprocess.run(
        prestarted.words(command), cwd=folder, capture_output=True, text=True, check=False,
        env=environment(folder, PATH=prestarted.path(), **variables),
    )  # fmt: skip
    if ok is not None:
        assert (ended.returncode == 0) is ok, ended.stdout[-3000:] + ended.stderr[-3000:]
    return ended
