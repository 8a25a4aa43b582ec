"""The rows by name; as a command it runs one row.

python -m bench.registry NAME RESULT.json [--quick]
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

# name -> module and function of (name, quick); imported when they run
ROWS = {
    "byol_resnet18": ("byol", "row"),
    "byol_resnet18_torchvision": ("byol", "row"),
    "byol_resnet50": ("byol", "row"),
    "simclr": ("methods", "row"),
    "barlow_twins": ("methods", "row"),
    "vicreg": ("methods", "row"),
    "convolution": ("convolution", "row"),
    "frozen": ("frozen", "row"),
    "epoch": ("epoch", "row"),
    "masks": ("masks", "row"),
    "trivial_augment": ("policies", "row"),
    "auto_augment": ("policies", "row"),
    "own_images": ("own_images", "row"),
    "table": ("a_to_e", "row"),
    "cores": ("cores", "row"),
    "engines": ("engines", "row"),
    "imports": ("jobs", "imports"),
    "jobs": ("jobs", "jobs"),
}


def measure(name: str, quick: bool) -> dict[str, Any]:
    """Run a row; returns its values, its time and the load before it."""
    module, function = ROWS[name]
    row: Callable[[str, bool], Any] = getattr(import_module(f"bench.{module}"), function)
    load, start = os.getloadavg()[0], time.perf_counter()
    measured: dict[str, Any] = row(name, quick).as_json()
    seconds = round(time.perf_counter() - start, 1)
    return measured | {"name": name, "seconds": seconds, "load_before": round(load, 2)}


if __name__ == "__main__":
    result = measure(sys.argv[1], "--quick" in sys.argv[3:])
    Path(sys.argv[2]).write_text(json.dumps(result))
