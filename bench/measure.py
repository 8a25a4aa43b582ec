"""One row: its sides take turns, and every repetition is recorded."""

import json
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
THREADS = 2  # of torch, on both sides, unless a row says otherwise


@dataclass
class Side:
    """One of the things compared: `run` does one repetition and gives its value in the row's unit.

    what: one sentence. max_repetitions: for a side that takes minutes.
    """

    what: str
    run: Callable[[], float]
    max_repetitions: int | None = None
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Comparison:
    """Two sides of a row by name; `goal` is the minimum ratio, None where there is none."""

    title: str
    ours: str
    peer: str
    goal: float | None = None


@dataclass
class Table:
    """Numbers without a peer."""

    title: str
    columns: list[str]
    rows: list[list[Any]]


@dataclass
class Measured:
    """The result of a row: raw values of each side, what they mean, and further tables.

    unit: 'images/s' (more is better) or 's' (less is better). failures: guarantees that do not
    hold.
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
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "notes": self.notes,
            "tables": [asdict(table) for table in self.tables],
            "failures": self.failures,
        }


def interleave(sides: dict[str, Side], repetitions: int) -> None:
    """Ours, peer, ours, peer, ...: other load on the machine affects all sides alike."""
    for number in range(repetitions):
        for side in sides.values():
            if side.max_repetitions is None or number < side.max_repetitions:
                side.values.append(side.run())


def better_workers(run: Callable[[int], float], more_is_better: bool) -> int:
    """The number of DataLoader workers, 0 or 2, with which a peer is faster on two cores."""
    without, with_two = run(0), run(2)
    return 2 if (with_two > without) == more_is_better else 0


def median(values: list[float]) -> float:
    """The median, a float."""
    return float(statistics.median(values))


def facts_of_run(project: Path) -> dict[str, Any]:
    """The commit of a clone, and the machine and CPU minutes of the jobs of its last run."""
    records = [json.loads(path.read_text()) for path in sorted((project / "logs").rglob("*.json"))]
    described = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=project, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    seconds = sum(record["resources"]["cpu_seconds"] for record in records)
    return {
        "commit": described.stdout.strip(),
        "cpu_minutes": round(seconds / 60),
        "machine": json.loads((project / "results" / "intervals.json").read_text())["machine"],
    }
