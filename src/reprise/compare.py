"""Which numbers differ in two results, and which may by chance; see reprise.engines.compare.

A and B are folders of results, or files: metrics.json, intervals.json, or copies of one of them.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
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
ABSENT = "-"
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
    path: Path


@dataclass(frozen=True)
class Side:
    """One of two results: its name, where it is, and the params.yaml that it was made of.

    `params` is None where no such file is known.
    """

    name: str
    results: Path
    params: Path | None = None


def comparison(a: Path, b: Path, names: Sequence[str] | None = None) -> str:
    """The text that the command prints; `names` of the sides are their paths by default.

    Raises RepriseError where there is nothing to compare.
    """
    one, two = read_results(a), read_results(b)
    table = differences(one, two)
    names = [name or str(path) for name, path in zip(names or ("", ""), (a, b), strict=True)]
    machines = [machine_line(side.machine) for side in (one, two)]
    blocks = [f"A: {names[0]}: {machines[0]}\nB: {names[1]}: {machines[1]}\n"]
    if len(table):
        blocks.append(aligned(table))
    blocks.append(f"{counts_sentence(one, two, table)}\n")
    blocks += [f"{line}\n" for line in only_in(one, two, *names)]
    if (table["allowed"] != "").any():
        blocks.append(NOTE)
    return "\n".join(blocks)


def counts_sentence(one: Results, two: Results, table: pd.DataFrame) -> str:
    """How many numbers differ, and how many of them by more than the intervals allow."""
    common = one.numbers.keys() & two.numbers.keys()
    counts = f"{len(table)} of {len(common)} numbers differ"
    with_interval = table[table["allowed"] != ""]
    if len(table):
        counts += f", {len(with_interval)} of them with intervals"
    if len(with_interval):
        outside = int((with_interval["allowed"] == "no").sum())
        counts += f"; the intervals do not allow {outside} of these differences"
    return f"{counts}."


def only_in(one: Results, two: Results, a: str, b: str) -> list[str]:
    """A line for each side with numbers that the other lacks: the names of the first of them."""
    lines = []
    for side, name, these, other in (("A", a, one, two), ("B", b, two, one)):
        if only := [".".join(key) for key in these.numbers if key not in other.numbers]:
            more = f" and {len(only) - SHOWN} more" if len(only) > SHOWN else ""
            lines.append(f"Only in {side} ({name}): {', '.join(only[:SHOWN])}{more}")
    return lines


def aligned(table: pd.DataFrame) -> str:
    """A table of text in columns, the first one aligned at the left."""
    first = table.columns[0]
    width = table[first].str.len().max()
    table = table.assign(**{first: table[first].str.ljust(width)})
    return f"{table.rename(columns={first: first.ljust(width)}).to_string(index=False)}\n"


def differences(one: Results, two: Results) -> pd.DataFrame:
    """COLUMNS, as text: a row for each number that both have and that differs, in A's order.

    Raises RepriseError where they have no number in common.
    """
    if not one.numbers.keys() & two.numbers.keys():
        raise RepriseError(
            f"{two.path}: has no number in common with {one.path}; compare results of one preset"
        )
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
    return Results(shown, intervals, machine, path)


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


def flattened_values(values: Any, above: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and values as text; a list is one value."""
    if isinstance(values, Mapping) and (values or not above):
        for key, value in values.items():
            yield from flattened_values(value, f"{above}.{key}" if above else str(key))
    else:
        yield above, json.dumps(values, ensure_ascii=False)


def changed_parameters(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[list[str]]:
    """A row for each key whose value differs: the key, and the value on each side."""
    one, two = dict(flattened_values(a)), dict(flattened_values(b))
    for key in dict.fromkeys([*one, *two]):
        values = [side.get(key, ABSENT) for side in (one, two)]
        if values[0] != values[1]:
            yield [key, *values]


def machine_line(machine: dict[str, dict[str, int]]) -> str:
    """On which kinds of machine jobs were trained; see `Results`."""
    fields = [f"{name} {' and '.join(count)}" for name, count in machine.items() if count]
    return ", ".join(fields) or "machine not recorded"
