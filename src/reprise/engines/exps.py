"""`reprise exps`: the experiments of DVC, with the parameters and numbers that differ.

`dvc exp show` has a column for every value; here are those that an experiment changed.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reprise.cli import run
from reprise.compare import flattened_values
from reprise.errors import RepriseError, one_line

WIDTH = 160  # columns of the terminal at most
NAME = 24  # of an experiment, in letters
CELL = 18


@dataclass(frozen=True)
class Experiment:
    """A commit, an experiment or the workspace; its values as text, by dotted names."""

    name: str
    parameters: dict[str, str]
    numbers: dict[str, str]


@dataclass(frozen=True)
class Shown:
    """Experiments with the values that differ, and the names of those for which there is no room.

    rows: the name of an experiment, and a value for each of `columns`.
    """

    columns: list[str]
    rows: list[list[str]]
    left_out: list[str]


def main() -> None:
    """Print the experiments of DVC: the parameters and numbers that differ between them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--num", type=int, default=1, help="commits to look back; default 1")
    args = parser.parse_args()
    console = Console(highlight=False)
    print_experiments(shown(experiments(args.num), min(console.width, WIDTH)), console)


def experiments(num: int) -> list[Experiment]:
    """What DVC knows of the experiments since `num` commits; RepriseError if it refuses."""
    from dvc.exceptions import DvcException  # here: it takes a second to import
    from dvc.repo import Repo
    from scmrepo.exceptions import SCMError

    try:
        with Repo.open(None) as repo:
            return list(_experiments(repo.experiments.show(num=num)))
    except (DvcException, SCMError) as error:
        raise RepriseError(f"dvc exp show: {one_line(error, 200)}") from None


def _experiments(states: Iterable[Any]) -> Iterator[Experiment]:
    """The states of DVC in their order: each commit before the experiments that began there."""
    for state in states:
        if state.data is not None:
            sides = []
            for files in (state.data.params, state.data.metrics):
                values: dict[str, str] = {}
                for content in files.values():
                    values |= dict(flattened_values(content.get("data", {})))
                sides.append(values)
            yield Experiment(state.name or state.rev[:9], *sides)  # "workspace" is a revision
        for group in state.experiments or ():
            yield from _experiments(group.revs)


def shown(listed: Sequence[Experiment], width: int) -> Shown:
    """The values that differ: parameters first, then numbers, those that change most at first.

    As many as fit a width; the others are named.
    """
    parameters = differing([one.parameters for one in listed])
    numbers = differing([one.numbers for one in listed])
    numbers.sort(key=lambda name: -_spread([one.numbers.get(name) for one in listed]))  # stable
    columns = [*parameters, *numbers]
    room = max(1, (width - NAME) // (CELL + 2))
    rows = []
    for one in listed:
        values = one.numbers | one.parameters
        rows.append([one.name, *(_cell(values.get(name)) for name in columns[:room])])
    return Shown(list(map(_heading, columns[:room])), rows, columns[room:])


def differing(values: Sequence[dict[str, str]]) -> list[str]:
    """The names whose values are not the same in all of these."""
    names = dict.fromkeys(name for one in values for name in one)
    return [name for name in names if len({one.get(name) for one in values}) > 1]


def print_experiments(table: Shown, console: Console) -> None:
    """Print a row for each experiment."""
    if not table.columns:
        console.print(
            "No two experiments differ. One is made by `dvc exp run -S "
            "finetune.earth.recipes.B.learning_rate=0.001`.",
            soft_wrap=True,
        )
        return
    drawn = Table(box=None, pad_edge=False, header_style="cyan")
    drawn.add_column("Experiment", max_width=NAME, no_wrap=True)
    for name in table.columns:
        drawn.add_column(Text(name), justify="right", max_width=CELL)
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    console.print(drawn, width=min(console.width, WIDTH))
    if table.left_out:
        listed = ", ".join(table.left_out[:4]) + (", ..." if len(table.left_out) > 4 else "")
        count = len(table.left_out)
        console.print(f"{count} more that differ: {listed}; `dvc exp show --only-changed` has them",
                      soft_wrap=True)  # fmt: skip


def _heading(name: str) -> str:
    """A name on lines that fit a column, broken after dots."""
    lines = [""]
    for word in name.split("."):
        if lines[-1] and len(lines[-1]) + len(word) + 1 > CELL:
            lines.append("")
        lines[-1] += ("." if lines[-1] else "") + word
    return "\n".join(line[:CELL] for line in lines)


def _spread(values: Sequence[str | None]) -> float:
    """How far the values of a number are apart; infinite where an experiment lacks it."""
    known = [float(value) for value in values if value is not None]
    return max(known) - min(known) if len(known) == len(values) else float("inf")


def _cell(value: str | None) -> str:
    """A value in at most CELL letters."""
    text = "-" if value is None else value.strip('"')
    return text if len(text) <= CELL else f"{text[: CELL - 1]}\u2026"


if __name__ == "__main__":
    run(main)
