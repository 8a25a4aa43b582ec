"""The table of the spread counts what its rows say, and the docs repeat it."""

from typing import Any

import pandas as pd
import pytest

from bench import spread

ROW = {"stage": "finetune", "task": "earth", "a": "B", "b": "A", "ci_low": -0.1, "ci_high": 0.1}


def rows(**differences: float) -> pd.DataFrame:
    """One comparison in each build of seed 0, whose differences are by kind of build."""
    builds = {"one": (1, "auto"), "two": (2, "auto"), "float32": (1, "float32")}
    names: dict[Any, str] = {same: name for name, same in spread.BUILDS.items()}
    made = [
        ROW | {"build": names[(*kind, 0)], "difference": differences[name]}
        for name, kind in builds.items()
    ]
    return pd.DataFrame(made)


@pytest.mark.parametrize(
    ("two", "float32", "counts"),
    [
        (0.02, 0.03, ["| 2 | 0 (0.0%) |", "| 2 | 0 (0.0%) |", "| 4 | 0 (0.0%) |"]),
        (0.15, 0.03, ["| 2 | 1 (50.0%) |", "| 2 | 0 (0.0%) |", "| 4 | 1 (25.0%) |"]),
        # the same training: float32 was what `auto` chose, so nothing was compared
        (0.02, 0.01, ["| 2 | 0 (0.0%) |", "| 0 | | | |", "| 2 | 0 (0.0%) |"]),
    ],
)
def test_a_difference_outside_the_interval_of_the_other_is_counted(
    two: float, float32: float, counts: list[str]
) -> None:
    lines = spread.table(rows(one=0.01, two=two, float32=float32)).splitlines()[2:]
    for line, count in zip(lines, counts, strict=True):
        assert count in line


@pytest.mark.skipif(not spread.CSV.exists(), reason="not yet run")
def test_the_docs_have_the_committed_table() -> None:
    table = spread.table(pd.read_csv(spread.CSV))
    assert table in (spread.CSV.parent / "determinism.md").read_text()
