"""Tables that a person reads, as GitHub markdown in fixed number formats."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Table:
    """One table: `frame` goes to csv in full precision, `text` is the same for a reader."""

    frame: pd.DataFrame
    text: str


@dataclass(frozen=True)
class Column:
    """A column of the readable table: its heading, how a row is written in it, its alignment."""

    heading: str
    cell: Callable[[pd.Series], str]
    align: str = "---:"  # as markdown writes it: right; "---" is left


def text(name: str) -> Callable[[pd.Series], str]:
    """A cell as it is."""
    return lambda row: str(row[name])


def number(name: str) -> Callable[[pd.Series], str]:
    """A whole number; a dash for none."""
    return lambda row: "-" if pd.isna(row[name]) else str(int(row[name]))


def share(name: str) -> Callable[[pd.Series], str]:
    """A number in 0..1 with four digits; a dash for none."""
    return lambda row: "-" if pd.isna(row[name]) else f"{row[name]:.4f}"


def between(low: str, high: str) -> Callable[[pd.Series], str]:
    """An interval of two numbers in 0..1; a dash for none."""
    return lambda r: "-" if pd.isna(r[low]) else f"{r[low]:.3f} to {r[high]:.3f}"


def both(metric: str) -> Callable[[pd.Series], str]:
    """The 95 % interval over images and seeds of a metric; a dash with one seed."""
    return between(f"{metric}_both_low", f"{metric}_both_high")


def counts(row: pd.Series) -> str:
    """k/n, all seeds together."""
    return f"{row['correct']}/{row['n']}"


def markdown(frame: pd.DataFrame, columns: Sequence[Column]) -> str:
    """A GitHub markdown table; the first column is left-aligned, a `|` in a name is escaped."""
    lines = ["| " + " | ".join(_escape(column.heading) for column in columns) + " |"]
    lines.append("|" + "|".join(["---", *(column.align for column in columns[1:])]) + "|")
    for _, row in frame.iterrows():
        lines.append("| " + " | ".join(_escape(column.cell(row)) for column in columns) + " |")
    return "\n".join(lines) + "\n"


def _escape(cell: str) -> str:
    return " ".join(cell.replace("\\", "\\\\").replace("|", "\\|").split())


def document(*parts: str) -> str:
    """Blocks of text with a blank line between them."""
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"
