"""`reprise compare A B`: which numbers differ in two results, and which may by chance.

A and B are folders of results, or files: metrics.json, intervals.json, or copies of one of them.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot
from pathlib import Path
from typing import Any

import pandas as pd

from reprise.atomic_io import read_json
from reprise.errors import RepriseError, one_line

Key = tuple[str, ...]  # such as ("finetune", "earth", "B", "test_accuracy")

METRICS, INTERVALS = "metrics.json", "intervals.json"
MACHINE = "machine"  # a key of intervals.json among the stages; see evaluation/job_outputs.py
ALL, GROUPS = "groups and seeds", "groups only"
ENDS = {ALL: ("ci_low", "ci_high"), GROUPS: ("groups_low", "groups_high")}  # the first that exists
ABOUT = "Compare two results: the numbers that differ, and which differences their intervals allow."
PATH = "folder of results, or a file: metrics.json or intervals.json, also under another name"
SHOWN = 5  # names of numbers that only one side has
COLUMNS = ["number", "A", "B", "B - A", "95 % CI of B - A", "over", "allowed"]
NOTE = """\
Allowed: the 95 % CI of B - A includes 0. It is computed from the intervals of A and of B as if they
were independent; on the same test images it is wider than needed. An interval over groups only
holds for the trained networks: another training may differ by more.
"""


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval, and what it is over: ALL or GROUPS."""

    low: float
    high: float
    over: str


@dataclass(frozen=True)
class Results:
    """The numbers of one results folder by their keys, and the intervals of some of them.

    machine: how many jobs were trained with each value of cpu_capability, device, precision, torch
    and threads; empty if that is not recorded.
    """

    numbers: dict[Key, float]
    intervals: dict[Key, Interval]
    machine: dict[str, dict[str, int]]


def main() -> None:
    """Print the numbers that differ."""
    parser = argparse.ArgumentParser(description=ABOUT)
    for name in "AB":
        parser.add_argument(name, type=Path, help=PATH)
    args = parser.parse_args()
    print(comparison(args.A, args.B), end="")


def comparison(a: Path, b: Path) -> str:
    """The text that the command prints. Raises RepriseError where there is nothing to compare."""
    one, two = read_results(a), read_results(b)
    common = [key for key in one.numbers if key in two.numbers]
    if not common:
        raise RepriseError(f"{b}: has no number in common with {a}; compare results of one preset")
    table = differences(one, two)
    with_interval = table[table["allowed"] != ""]
    outside = int((with_interval["allowed"] == "no").sum())
    blocks = [f"A: {a}: {machine_line(one.machine)}\nB: {b}: {machine_line(two.machine)}\n"]
    if len(table):
        blocks.append(aligned(table))
    counts = f"{len(table)} of {len(common)} numbers differ"
    if len(table):
        counts += f", {len(with_interval)} of them with intervals"
    if len(with_interval):
        counts += f"; the intervals do not allow {outside} of these differences"
    blocks.append(f"{counts}.\n")
    for name, path, keys in (("A", a, one.numbers), ("B", b, two.numbers)):
        if only := [".".join(key) for key in keys if key not in common]:
            more = f" and {len(only) - SHOWN} more" if len(only) > SHOWN else ""
            blocks.append(f"Only in {name} ({path}): {', '.join(only[:SHOWN])}{more}\n")
    if len(with_interval):
        blocks.append(NOTE)
    return "\n".join(blocks)


def aligned(table: pd.DataFrame) -> str:
    """A table of text in columns, the first one aligned at the left."""
    first = table.columns[0]
    width = table[first].str.len().max()
    table = table.assign(**{first: table[first].str.ljust(width)})
    return f"{table.rename(columns={first: first.ljust(width)}).to_string(index=False)}\n"


def differences(one: Results, two: Results) -> pd.DataFrame:
    """COLUMNS, as text: a row for each number that both have and that differs, in A's order."""
    rows = []
    for key, a in one.numbers.items():
        b = two.numbers.get(key, a)
        if a == b:
            continue
        row = [".".join(key), f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}", "", "", ""]
        of_a, of_b = one.intervals.get(key), two.intervals.get(key)
        if of_a and of_b:
            low, high = difference_interval(a, of_a, b, of_b)
            over = GROUPS if GROUPS in (of_a.over, of_b.over) else ALL
            allowed = "yes" if low <= 0 <= high else "no"
            row[4:] = [f"{low:+.4f} to {high:+.4f}", over, allowed]
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def difference_interval(a: float, of_a: Interval, b: float, of_b: Interval) -> tuple[float, float]:
    """The ends of the interval of b - a, from the intervals of two independent estimates.

    Method MOVER of Zou and Donner (Statistics in Medicine 27, 2008, p. 1693): the distances from
    each value to its limits add as variances do. For symmetric intervals the half width is the root
    of the sum of the squared half widths.
    """
    low = b - a - hypot(b - of_b.low, of_a.high - a)
    high = b - a + hypot(of_b.high - b, a - of_a.low)
    return low, high


def read_results(path: Path) -> Results:
    """Read a folder of results, or a file and the one that belongs to it in the same folder.

    Raises RepriseError when a file is missing, is not JSON, or is not one of Reprise.
    """
    if os.path.isdir(path):
        paths = [path / METRICS, *existing(path / INTERVALS)]
    else:
        partner = {METRICS: INTERVALS, INTERVALS: METRICS}.get(path.name)
        paths = [path, *(existing(path.with_name(partner)) if partner else [])]
    machine: dict[str, Any] = {}
    every: dict[Key, float] = {}
    headlines: set[Key] = set()
    for file in paths:
        tree = read_json(file)
        if not isinstance(tree, dict) or not all(isinstance(v, dict) for v in tree.values()):
            raise RepriseError(f"{file}: not numbers by stage and task; pass results of `make run`")
        machine |= machine_counts(tree, file)
        try:
            numbers = dict(flattened(tree, file))
        except RecursionError:
            raise RepriseError(f"{file}: nested too deeply; pass results of `make run`") from None
        every |= numbers
        # the file of intervals has many other numbers, such as counts
        if not any(key[-1].endswith(ENDS[ALL] + ENDS[GROUPS]) for key in numbers):
            headlines |= numbers.keys()
    intervals = {key: interval for key in every if (interval := interval_of(key, every))}
    shown = {key: every[key] for key in every if key in headlines or key in intervals}
    return Results(shown, intervals, machine)


def machine_counts(tree: dict[str, Any], file: Path) -> dict[str, dict[str, int]]:
    """What a file says about machines, which is removed from its tree; RepriseError if wrong."""
    machine: dict[str, dict[str, int]] = tree.pop(MACHINE, {})
    for name, counts in machine.items():
        if not isinstance(counts, dict):
            raise RepriseError(
                f"{file}: {MACHINE}.{name}: {counts!r} is not a count of jobs by value"
            )
    return machine


def existing(path: Path) -> list[Path]:
    """The path, if there is such a file."""
    return [path] if os.path.lexists(path) else []


def flattened(tree: dict[str, Any], file: Path, above: Key = ()) -> Iterator[tuple[Key, float]]:
    """The numbers of a nested dictionary by their keys. Raises RepriseError for anything else."""
    for name, value in tree.items():
        key = (*above, name)
        if isinstance(value, dict):
            yield from flattened(value, file, key)
        elif (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and abs(value) <= sys.float_info.max  # false for NaN
        ):
            yield key, value
        else:
            shown = one_line(repr(value), 80)
            raise RepriseError(f"{file}: {'.'.join(key)}: {shown} is not a finite number")


def interval_of(key: Key, numbers: dict[Key, float]) -> Interval | None:
    """The interval of a number, if it has one.

    The ends of a score are next to it (`test_miou`, `test_miou_ci_low`), those of a comparison are
    below its pair (`B-A`, `B-A.ci_low`), where the difference itself may be (`B-A.difference`).
    """
    *above, name = key
    places = [(*above, f"{name}_"), (*key, "")] + [(*above, "")] * (name == "difference")
    for over, ends in ENDS.items():
        for *place, start in places:
            low, high = (numbers.get((*place, start + end)) for end in ends)
            if low is not None and high is not None:
                return Interval(low, high, over)
    return None


def machine_line(machine: dict[str, dict[str, int]]) -> str:
    """On which kinds of machine jobs were trained; see `Results`."""
    fields = [f"{name} {' and '.join(count)}" for name, count in machine.items() if count]
    return ", ".join(fields) or "machine not recorded"
