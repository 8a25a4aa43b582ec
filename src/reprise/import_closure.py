"""Which source files of Reprise a script uses: what it imports, and what it loads by name.

As a command it prints a script and the files that it imports:

    python -m reprise.import_closure workflow/scripts/classify.py | xargs sha256sum | sha256sum
"""

import ast
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from reprise import plugins
from reprise.params.models import module_file

SRC = Path("src")
DATASETS = SRC / "reprise/datasets"
MODELS = SRC / "reprise/models"
METHODS = (SRC / "reprise/params", SRC / "reprise/training/ssl")


def closure(script: Path, by_name: Iterable[Path] = (), src: Path = SRC) -> list[str]:
    """Files below `src` that `script` imports, transitively, package `__init__.py` files included.

    Imports are read from the syntax tree, wherever they are in a file; nothing is executed. Modules
    below `src` that the script loads by name, and their imports, count too. The paths begin with
    `src`, in POSIX form, sorted.
    """
    ours = [module for module in by_name if src in module.parents]
    names = [".".join(module.relative_to(src).with_suffix("").parts) for module in ours]
    files = {file for name in names for file in _files(name, src)}
    files |= set(by_name) - set(ours)  # of other packages
    waiting = [script, *files]
    while waiting:
        new = _imports(waiting.pop(), src) - files
        files |= new
        waiting.extend(new)
    return sorted(path.as_posix() for path in files)


def loaded_by_name(task: Any, run: str) -> list[Path]:
    """The modules that a stage's script loads by name for one run of a task.

    Its network is built by the file of reprise.models that declares its name; a method of
    pretraining has a module for its options and one for its training.
    """
    recipe = task.recipes[run]
    blocks, keys = (recipe, getattr(task, "common", None)), ("model", "backbone")
    networks = [getattr(block, key) for block in blocks for key in keys if hasattr(block, key)]
    modules = [module_file(network, MODELS) for network in networks]
    if hasattr(recipe, "method"):
        modules += [folder / f"{recipe.method}.py" for folder in METHODS]
        modules += [plugins.file_of(kind, recipe.method) for kind in ("params", "ssl")]
    return with_packages(module for module in modules if module and module.is_file())


def dataset_modules(source: str) -> list[Path]:
    """The files that prepare datasets of a source, such as datasets/earth.py for earth_tiles."""
    stem = source.partition("_")[0]
    return with_packages([plugins.file_of("datasets", stem) or DATASETS / f"{stem}.py"])


def with_packages(modules: Iterable[Path]) -> list[Path]:
    """Files of Reprise as they are; for one of another package, all modules of that package."""
    files = [path for module in modules for path in plugins.sources(module) or [module]]
    return list(dict.fromkeys(files))


@cache
def _imports(path: Path, src: Path) -> frozenset[Path]:
    """The files below `src` that one file imports."""
    files: set[Path] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_bytes(), filename=str(path))]
    while waiting:
        node = waiting.pop()
        # only statements contain statements; walking all expressions too takes ten times as long
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting.extend(getattr(node, block, ()))
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from a.b import c`: c is a module of the package a.b, or a name inside it
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            files |= _files(name, src)
    return frozenset(files)


@cache
def _files(name: str, src: Path) -> frozenset[Path]:
    """The files that importing the dotted `name` runs."""
    parts = name.split(".")
    files: set[Path] = set()
    for end in range(1, len(parts) + 1):
        path = src.joinpath(*parts[:end])
        files |= {path / "__init__.py", path.with_suffix(".py")}
    return frozenset(file for file in files if file.is_file())


if __name__ == "__main__":
    SCRIPT = Path(sys.argv[1])
    print("\n".join([SCRIPT.as_posix(), *closure(SCRIPT)]))
