"""Values of nested mappings by dotted keys such as `classify.baseline.seeds`."""

from typing import Any


def value_at(mapping: Any, key: str) -> Any:
    """The value at a dotted key; None if a name on the way is missing."""
    for name in key.split("."):
        mapping = mapping.get(name) if isinstance(mapping, dict) else None
    return mapping
