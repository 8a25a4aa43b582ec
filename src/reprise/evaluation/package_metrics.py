"""Metrics of other packages (see reprise.plugins): scored and tabulated next to Reprise's own.

A module `metrics/<name>.py` of a package has KIND, classification or segmentation; TITLE, the
heading of its column; and `score`, from the counts of a job to a Score.
"""

from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from reprise import plugins
from reprise.datasets.prepared import Kind
from reprise.errors import RepriseError
from reprise.evaluation import markdown as md

if TYPE_CHECKING:  # which imports this module
    from reprise.evaluation.scores import ClassCounts, MaskCounts, Score

OWN = ("accuracy", "ece", "miou", "pixel_accuracy")  # begin the names of Reprise's metrics
ENDS = ("_groups_low", "_groups_high", "_ci_low", "_ci_high")  # of a metric's intervals


def added_scores(kind: Kind, counts: "ClassCounts | MaskCounts") -> "dict[str, Score]":
    """The scores of the added metrics of this kind, by name.

    Raises RepriseError for a score that is neither NaN nor in 0..1, as intervals need, and for
    columns that are not whole numbers, a row for each test image.
    """
    scores = {name: module.score(counts) for name, module in _modules(kind).items()}
    for name, score in scores.items():
        rows = len(counts.groups)
        if not (isnan(score.value) or 0 <= score.value <= 1):
            raise _wrong(name, f"its value is {score.value}; it must be in 0..1, or NaN")
        if score.columns.shape[:1] != (rows,) or not np.issubdtype(score.columns.dtype, np.integer):
            raise _wrong(name, f"columns: must be whole numbers, one row for each of {rows} images")
    return scores


def frame_columns(kind: Kind) -> list[str]:
    """The columns of a task's table for the added metrics of this kind."""
    return [f"test_{name}{end}" for name in _modules(kind) for end in ("", *ENDS)]


def page_columns(kind: Kind) -> list[md.Column]:
    """Those columns for readers: each value, and its interval over images."""
    columns = []
    for name, module in _modules(kind).items():
        columns.append(md.Column(module.TITLE, md.number(f"test_{name}")))
        columns.append(md.Column("95 % CI (images)", md.interval(f"test_{name}_groups")))
    return columns


def _modules(kind: Kind) -> dict[str, Any]:
    """The modules of this kind by name. Raises RepriseError for one that is not of a metric."""
    modules = {}
    for name in plugins.added("metrics"):
        if name.startswith(OWN):
            raise _wrong(name, f"names of Reprise begin with {', '.join(OWN)}; rename it")
        module = plugins.load("metrics", name)
        if lacks := [key for key in ("KIND", "TITLE", "score") if not hasattr(module, key)]:
            raise _wrong(name, f"has no {lacks[0]}; see docs/add-a-method.md")
        if kind == module.KIND:
            modules[name] = module
    return modules


def _wrong(name: str, reason: str) -> RepriseError:
    return RepriseError(f"{plugins.file_of('metrics', name)}: {reason}")
