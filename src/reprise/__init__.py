"""Reprise: recipes of computer vision, trained and compared in one reproducible pipeline.

As a library it offers the functions of reprise.api, which is imported when one is first used: jobs
import this package, and shall not depend on all of it.
"""

from importlib import import_module
from typing import Any

from reprise import numerics

__version__ = "0.1.0"
API = "reprise.api"
NAMES = (
    "compare_runs", "export_run", "open_dataset", "open_model", "open_run", "predict_files",
    "read_recipe", "score", "train",
)  # fmt: skip

numerics.set_variables()  # before any other module imports torch or NumPy


def __getattr__(name: str) -> Any:
    if name in NAMES:
        return getattr(import_module(API), name)
    raise AttributeError(f"module 'reprise' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *NAMES])
