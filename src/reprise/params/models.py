"""Names of the networks, read from the modules of reprise.models without importing them.

A module declares what it builds in tuples of text: BACKBONES, CLASSIFIERS, SEGMENTERS, and, for
weights that a package carries, PACKAGED_WEIGHTS. A name belongs to the module with the longest
file name that the name begins with, so that a new file concerns no existing network.
"""

import ast
from functools import cache
from pathlib import Path

MODELS = Path(__file__).parents[1] / "models"


def names(kind: str) -> list[str]:
    """All names of a kind (BACKBONES, CLASSIFIERS or SEGMENTERS), sorted by module."""
    return [name for file in sorted(MODELS.glob("*.py")) for name in _constants(file).get(kind, ())]


def packaged_weights(model: str) -> tuple[str, ...]:
    """Names of the weights that a package carries for a network."""
    return _constants(module_file(model)).get("PACKAGED_WEIGHTS", ())


def module_file(model: str) -> Path:
    """The file that builds the network named `model`. Raises KeyError if there is none."""
    files = [file for file in MODELS.glob("*.py") if model.startswith(file.stem)]
    if not files:
        raise KeyError(model)
    return max(files, key=lambda file: len(file.stem))


@cache
def _constants(file: Path) -> dict[str, tuple[str, ...]]:
    """Tuples of text that a module assigns at its top level, by name."""
    constants = {}
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                value = ast.literal_eval(node.value)
            except ValueError:
                continue
            if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
                constants[node.targets[0].id] = value
    return constants
