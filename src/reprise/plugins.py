"""Other packages that add ways to pretrain, networks, sources of datasets and metrics.

An entry point of the group `reprise.plugins` names such a package. It has folders and files as
Reprise has them, of which each may be absent: `params/<name>.py` with the class `Recipe` of a
method or `Dataset` of a source, `ssl/<method>.py`, `models/<file>.py`, `datasets/<source>.py`,
`metrics/<name>.py`.
"""

import os
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reprise.errors import RepriseError

GROUP = "reprise.plugins"
OWN = {
    "params": "reprise.params",
    "ssl": "reprise.training.ssl",
    "models": "reprise.models",
    "datasets": "reprise.datasets",
    "metrics": "reprise.metrics",
}


@cache
def packages() -> dict[str, Path]:
    """The folder of each package by its name. Raises RepriseError for one that cannot be found."""
    folders = {}
    for name in sorted({entry.value for entry in entry_points(group=GROUP)}):
        spec = find_spec(name) if name.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            raise RepriseError(
                f"the entry point {GROUP} names '{name}', which is not an installed package; "
                "remove the distribution that has it, or install it again"
            )
        folders[name] = Path(spec.submodule_search_locations[0])
    return folders


def files(kind: str, marker: str = "") -> list[Path]:
    """The modules of a kind (a key of OWN) in all packages, sorted; those that contain `marker`."""
    modules = [
        file for folder in packages().values() for file in sorted(folder.glob(f"{kind}/*.py"))
    ]
    return [
        file for file in modules if file.stem != "__init__" and marker in file.read_text("utf-8")
    ]


def module_name(kind: str, stem: str) -> str:
    """The dotted name of a module of a kind: that of Reprise, or of the package that has it."""
    for package, folder in packages().items():
        if (folder / kind / f"{stem}.py").is_file() and not _is_own(kind, stem):
            return f"{package}.{kind}.{stem}"
    return f"{OWN[kind]}.{stem}"


def load(kind: str, stem: str) -> Any:
    """The imported module of a kind. Raises ModuleNotFoundError if there is none."""
    return import_module(module_name(kind, stem))


def added(kind: str) -> dict[str, Path]:
    """The modules of a kind that packages add, by name; none that Reprise has."""
    first = {file.stem: file for file in reversed(files(kind))}
    return {name: file for name, file in sorted(first.items()) if not _is_own(kind, name)}


def file_of(kind: str, stem: str) -> Path | None:
    """The file of a module of a kind that a package adds; None if none does, or Reprise has it."""
    return added(kind).get(stem)


def sources(file: Path) -> list[Path]:
    """All modules of the package that a file belongs to, as paths from the current folder."""
    folders = [folder for folder in packages().values() if folder in file.parents]
    return [
        Path(os.path.relpath(path)) for folder in folders for path in sorted(folder.rglob("*.py"))
    ]


def _is_own(kind: str, stem: str) -> bool:
    """Whether Reprise has such a module; nothing is imported."""
    below = OWN[kind].split(".")[1:]
    return Path(__file__).parent.joinpath(*below, f"{stem}.py").is_file()
