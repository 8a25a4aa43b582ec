"""Tables for readers: GitHub markdown with fixed number formats, and notes of what is missing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd

from reprise.errors import RepriseError

Cell = Callable[[pd.Series], str]
NO_RUN = "No runs in params.yaml.\n"
MARK = "Missing here: "  # begins the note about a missing file in a markdown table
REST = "; the rest is in "  # separates the error from what was written, in a command's last line


@dataclass(frozen=True)
class Table:
    """One table: `frame` is written as csv in full precision, `markdown` is for readers."""

    frame: pd.DataFrame
    markdown: str


@dataclass(frozen=True)
class Column:
    """A column of a markdown table: its heading, the text of a row's cell, its alignment."""

    heading: str
    cell: Cell
    align: str = "---:"  # in markdown: right; "---" is left


def text(name: str) -> Cell:
    """The value as text."""
    return lambda row: str(row[name])


def number(name: str, form: str = ".4f", scale: int = 1) -> Cell:
    """`scale` times the value in a format of Python; a dash for a missing one."""
    return lambda row: "-" if pd.isna(row[name]) else format(scale * row[name], form)


def interval(name: str, form: str = ".3f", scale: int = 1) -> Cell:
    """The interval of the columns <name>_low and <name>_high, formatted as by `number`."""
    low, high = (number(f"{name}_{end}", form, scale) for end in ("low", "high"))
    return lambda row: "-" if low(row) == "-" else f"{low(row)} to {high(row)}"


def named(cell: Callable[[str], Cell], *names: str, align: str = "---:") -> list[Column]:
    """Columns headed by their names, all with the same kind of cell."""
    return [Column(name.replace("_", " ").capitalize(), cell(name), align) for name in names]


def left(*names: str) -> list[Column]:
    """Left-aligned text columns, headed by their names."""
    return named(text, *names, align="---")


def table(frame: pd.DataFrame, columns: Sequence[Column]) -> str:
    """A GitHub markdown table; the first column is left-aligned, a `|` in a name is escaped."""
    lines = ["| " + " | ".join(_escape(column.heading) for column in columns) + " |"]
    lines.append("|" + "|".join(["---", *(column.align for column in columns[1:])]) + "|")
    for _, row in frame.iterrows():
        lines.append("| " + " | ".join(_escape(column.cell(row)) for column in columns) + " |")
    return "\n".join(lines) + "\n"


def _escape(cell: str) -> str:
    return " ".join(cell.replace("\\", "\\\\").replace("|", "\\|").split())


def groups(frame: pd.DataFrame, *keys: str) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """The rows of each combination of the keys' values, in order of appearance."""
    for values, rows in frame.groupby(list(keys), sort=False) if len(frame) else ():
        yield tuple(str(value) for value in values), rows


def sections(
    frame: pd.DataFrame, keys: Sequence[str], content: Callable[[pd.DataFrame], Sequence[str]]
) -> list[str]:
    """A heading for each combination of the keys' values, followed by the content of its rows."""
    blocks = []
    for names, rows in groups(frame, *keys):
        blocks += ["### " + ", ".join(names), *content(rows)]
    return blocks


def seeds_note(seeds: int) -> str:
    """What the mean and the sd of a table are of."""
    return "One seed, so no sd." if seeds == 1 else f"Mean and sd of {seeds} seeds."


def document(*blocks: str) -> str:
    """Blocks of text with a blank line between them; empty ones are left out."""
    return "\n\n".join(block.strip("\n") for block in blocks if block) + "\n"


def page(frame: pd.DataFrame, blocks: Sequence[str], *notes: str, empty: str = NO_RUN) -> Table:
    """A table with its blocks and notes for readers; the text `empty` if it has no rows."""
    return Table(frame, document(*blocks, *notes) if len(frame) else empty)


class Missing:
    """Why outputs were left out, by what lacks them; with `strict`, the first error is raised."""

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict
        self._reasons: dict[str, list[str]] = {}

    @contextmanager
    def collecting(self, *keys: str) -> Iterator[None]:
        """Skip the rest of the block at a RepriseError, and keep its message for each key."""
        try:
            yield
        except RepriseError as error:
            if self.strict:
                raise
            for key in keys:
                self._reasons.setdefault(key, []).append(str(error))

    def reasons(self, *keys: str) -> list[str]:
        """The messages of some keys, or of all; each once, in order of appearance."""
        chosen = keys or tuple(self._reasons)
        return list(dict.fromkeys(why for key in chosen for why in self._reasons.get(key, [])))

    def mark(self, table: Table, keys: Sequence[str]) -> Table:
        """The table with a note for each message of these keys; an empty table has only notes."""
        notes = [MARK + " ".join(why.split()) for why in (self.reasons(*keys) if keys else ())]
        if not notes:
            return table
        shown = "" if table.frame.empty else table.markdown
        return Table(table.frame, document(shown, *notes))


def summary(reasons: Sequence[str], written: str) -> str:
    """The last line of a command: the first message, how many more, and what was written."""
    more = f" ({len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}{REST}{written}, where missing results are noted"
