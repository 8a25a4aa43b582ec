"""Names of the networks, read from the modules of reprise.models without importing them.

A module declares the names that it builds in BACKBONES, CLASSIFIERS and SEGMENTERS, tuples or
mappings of literals; in PACKAGED_WEIGHTS, by network, the weights that a package carries; and in
IMAGE_SIZES, by network, the smallest image that it takes and what its size is a multiple of, where
not every size will do. A module with LIBRARY builds all networks whose names begin with that; see
params/libraries.py.
"""

import ast
from functools import cache
from pathlib import Path
from typing import Any

from reprise import plugins
from reprise.errors import did_you_mean
from reprise.params import libraries

MODELS = Path(__file__).parents[1] / "models"
KINDS = ("BACKBONES", "CLASSIFIERS", "SEGMENTERS")


def names(kind: str) -> list[str]:
    """All names of a kind (BACKBONES, CLASSIFIERS or SEGMENTERS), sorted by module."""
    files = [*sorted(MODELS.glob("*.py")), *plugins.files("models")]
    return [name for file in files for name in _constants(file).get(kind, ())]


def unknown(name: str, kind: str) -> str | None:
    """Why a name is not that of a network of a kind, and what to write; None if it is one."""
    prefix = libraries.prefix_of(name)
    if prefix is None:
        known = names(kind)
        if name in known:
            return None
        of_library = next(prefix for prefix, kinds in libraries.KINDS.items() if kind in kinds)
        hint = f"{did_you_mean(name, known)}, or a network of {of_library}"
        return f"'{name}' is not in src/reprise/models; {hint}..."
    if kind not in libraries.KINDS[prefix]:
        return f"'{name}' cannot be used here; {prefix}... is for {_uses(prefix)}"
    missing = libraries.unknown_part(name)
    if missing is None:
        return None
    reason, nearest = missing
    return f"'{name}': {reason}; the nearest are {', '.join(nearest)}"


def _uses(prefix: str) -> str:
    """What the networks of a library are for."""
    return "segment" if prefix == libraries.SMP else "pretrain, finetune and classify"


def packaged_weights(model: str) -> tuple[str, ...]:
    """Names of the weights that a package carries for a network."""
    file = module_file(model)
    weights: tuple[str, ...] = ()
    if file is not None:
        weights = _constants(file).get("PACKAGED_WEIGHTS", {}).get(model, ())
    return weights


def image_sizes(model: str) -> tuple[int, int]:
    """The smallest height and width that a network takes, and what they are multiples of."""
    file = module_file(model)
    sizes = _constants(file).get("IMAGE_SIZES", {}) if file else {}
    least, step = sizes.get(model, libraries.image_sizes(model))
    return least, step


def module_file(model: str, folder: Path = MODELS) -> Path | None:
    """The file of `folder`, or of another package, that declares a network; None if none does."""
    prefix = libraries.prefix_of(model)
    for file in [*sorted(folder.glob("*.py")), *plugins.files("models")]:
        constants = _constants(file)
        if prefix and constants.get("LIBRARY") == prefix:
            return file
        if any(model in constants.get(kind, ()) for kind in KINDS):
            return file
    return None


@cache
def _constants(file: Path) -> dict[str, Any]:
    """What a module assigns at its top level, by name, as far as it is written out."""
    constants = {}
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                constants[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return constants
