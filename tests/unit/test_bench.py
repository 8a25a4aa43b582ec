"""The page of benchmarks contains what follows from the raw values, and nothing else."""

import copy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.delitem(sys.modules, "bench", raising=False)
    from bench import report

    return report


def row(unit, ours, peer, goal, failures=()):
    sides = {
        "ours": {"what": "Reprise: a sentence", "values": ours},
        "peer": {"what": "another sentence", "values": peer},
    }
    comparison = {"title": "the peer's way", "ours": "ours", "peer": "peer", "goal": goal}
    share = {"title": "Shares", "columns": ["side", "share"], "rows": [["ours", 0.25]]}
    return {
        "title": f"A thing in {unit}", "unit": unit, "sides": sides, "comparisons": [comparison],
        "notes": ["A note."], "tables": [share], "failures": list(failures),
    }  # fmt: skip


MACHINE = {
    "cpu": "a CPU", "family": "a family", "cores": 2, "memory_gib": 4.0,
    "flags": {"avx2": True, "amx_bf16": False}, "python": "3.11.0", "threads": 2,
    "versions": {"torch": "2.0"}, "matrix_gflops": {"float32": 100.0, "bfloat16": 180.0},
}  # fmt: skip


def result(*rows):
    return {"quick": False, "machine": MACHINE, "rows": {str(n): r for n, r in enumerate(rows)}}


@pytest.mark.parametrize(
    ("unit", "ours", "peer", "ratio"),
    [
        ("s", [1.0, 9.0, 2.0], [6.0, 8.0, 7.0], "3.50"),  # less is better
        ("images/s", [10.0, 90.0, 20.0], [4.0, 5.0, 60.0], "4.00"),  # more is better
    ],
)
def test_a_ratio_is_that_of_the_medians_and_above_one_where_reprise_is_faster(
    report, unit, ours, peer, ratio
):
    line = next(
        line for line in report.page(result(row(unit, ours, peer, 3))).splitlines() if "way" in line
    )
    assert f"| {ratio} |" in line and "| 3 | 3 | yes |" in line


def test_a_missed_goal_is_named_twice(report):
    page = report.page(result(row("s", [1.0], [2.5], 3)))
    assert "| **no** |" in page and "- A thing in s, the peer's way (peer): 2.50, goal 3" in page
    assert "Every goal is met" not in page


def test_a_failed_guarantee_is_not_a_met_goal(report):
    page = report.page(result(row("s", [1.0], [5.0], 3, ["plot.py imports torch"])))
    assert "- plot.py imports torch" in page and "Every goal is met" not in page


def test_a_side_with_fewer_repetitions_has_another_count(report):
    page = report.page(result(row("s", [1.0, 2.0], [9.0], None)))
    assert "| 2, 1 | - | - |" in page and "Every goal is met" in page


def test_tables_of_one_title_become_one(report):
    page = report.page(result(row("s", [1.0], [5.0], 3), row("images/s", [5.0], [1.0], 3)))
    assert page.count("## Shares") == 1 and page.count("| ours | 0.25 |") == 2


def test_the_same_values_give_the_same_page_without_a_path(report):
    values = result(row("s", [1.0], [5.0], 3))
    page = report.page(copy.deepcopy(values))
    assert page == report.page(values)
    assert str(ROOT) not in page and "/home" not in page
