"""Which source files of Reprise a script imports, directly or not; standard library only.

As a command it prints the script and these files, so that their digest can be taken:

    python -m reprise.closure workflow/scripts/classify.py | xargs sha256sum | sha256sum
"""

import ast
import sys
from functools import cache
from pathlib import Path


def closure(script: Path, src: Path = Path("src")) -> list[str]:
    """Files below `src` that `script` imports, transitively, package `__init__.py` files included.

    Imports are read from the syntax tree, wherever they stand in a file; nothing is executed.

    Args:
        script: a Python file.
        src: the folder that holds the packages; imports of other packages are left out.

    Returns:
        Paths that begin with `src`, in POSIX form, sorted.
    """
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        new = _imports(waiting.pop(), src) - found
        found |= new
        waiting.extend(new)
    return sorted(path.as_posix() for path in found)


@cache
def _imports(path: Path, src: Path) -> frozenset[Path]:
    """The files below `src` that one file imports."""
    files: set[Path] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_bytes(), filename=str(path))]
    while waiting:
        node = waiting.pop()
        # statements stand in statements alone; to walk all expressions too takes ten times as long
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
        place = src.joinpath(*parts[:end])
        files |= {place / "__init__.py", place.with_suffix(".py")}
    return frozenset(file for file in files if file.is_file())


if __name__ == "__main__":
    SCRIPT = Path(sys.argv[1])
    print("\n".join([SCRIPT.as_posix(), *closure(SCRIPT)]))
