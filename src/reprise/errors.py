"""The error that a user can act on, and the hint for a mistyped name."""

import difflib
from collections.abc import Iterable


class RepriseError(Exception):
    """A mistake in the user's input: one line that names the file, row or key and what to do."""


def one_line(text: object, longest: int | None = None) -> str:
    """A text on one line that every terminal shows; cut after `longest` characters."""
    line = " ".join(str(text).split())
    if longest and len(line) > longest:
        line = f"{line[:longest]}..."
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """A hint for an unknown name: the closest choice, else all choices."""
    known = list(choices)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"choose from {', '.join(known)}"
