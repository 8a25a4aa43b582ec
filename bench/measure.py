"""One row: its sides take turns, and every repetition is kept."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
THREADS = 2  # of torch, on both sides, where a row does not say otherwise


@dataclass
class Side:
    """One of the things compared: `run` does one repetition and gives its value in the row's unit.

    what: one sentence. most: repetitions at most, for a side that takes minutes.
    """

    what: str
    run: Callable[[], float]
    most: int | None = None
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Comparison:
    """Two sides of a row by name; `goal` is the least ratio, None where it is only shown."""

    title: str
    ours: str
    peer: str
    goal: float | None = None


@dataclass
class Table:
    """Numbers that are stated, without a peer."""

    title: str
    columns: list[str]
    rows: list[list[Any]]


@dataclass
class Measured:
    """What a row gives: raw values of each side, what they mean, and further tables.

    unit: 'images/s' (more is better) or 's' (less is better). failures: promises that do not hold.
    """

    title: str
    unit: str = "s"
    sides: dict[str, Side] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain values for bench.json."""
        sides = {
            name: {"what": side.what, "values": side.values} for name, side in self.sides.items()
        }
        return {
            "title": self.title,
            "unit": self.unit,
            "sides": sides,
            "comparisons": [asdict(one) for one in self.comparisons],
            "notes": self.notes,
            "tables": [asdict(one) for one in self.tables],
            "failures": self.failures,
        }


def interleave(sides: dict[str, Side], repetitions: int) -> None:
    """Ours, peer, ours, peer, ...: what else the machine does falls on all sides alike."""
    for number in range(repetitions):
        for side in sides.values():
            if side.most is None or number < side.most:
                side.values.append(side.run())


def better_workers(run: Callable[[int], float], more_is_better: bool) -> int:
    """The number of DataLoader workers, 0 or 2, that serves a peer better on two cores."""
    none, two = run(0), run(2)
    return 2 if (two > none) == more_is_better else 0


def median(values: list[float]) -> float:
    """The median, a float."""
    return float(statistics.median(values))
