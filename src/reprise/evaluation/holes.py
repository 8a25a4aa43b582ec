"""Jobs whose files are missing or cannot be read: the rest goes on, and each hole is marked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from reprise.errors import RepriseError
from reprise.evaluation.markdown import Table, document

MARK = "Missing here: "  # begins the paragraph of a hole in a readable table
REST = "; the rest is in "  # parts the hole from what was written, in the line of a command


class Holes:
    """Why jobs were left out, by the part that lacks them; with `strict`, the first one raises."""

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict
        self._reasons: dict[str, list[str]] = {}

    @contextmanager
    def leave_out(self, part: str) -> Iterator[None]:
        """Leave out what is done inside when it raises a RepriseError, and keep the reason."""
        try:
            yield
        except RepriseError as error:
            if self.strict:
                raise
            self._reasons.setdefault(part, []).append(str(error))

    def of(self, *parts: str) -> list[str]:
        """The reasons of some parts, or of all; each once, in the order in which they came up."""
        wanted = parts or tuple(self._reasons)
        return list(dict.fromkeys(why for part in wanted for why in self._reasons.get(part, [])))

    def mark(self, table: Table, *parts: str) -> Table:
        """The table with a paragraph for each job of these parts that is missing in it."""
        marks = [MARK + " ".join(why.split()) for why in self.of(*parts)]
        if not marks:
            return table
        # of a part without a job left, nothing else can be said
        return replace(table, text=document(*([] if table.frame.empty else [table.text]), *marks))


def summary(holes: list[str], written: str) -> str:
    """One line for the end of a command: the first hole, how many more, what was written."""
    more = f" ({len(holes) - 1} more)" if len(holes) > 1 else ""
    return f"{holes[0]}{more}{REST}{written}, where the hole is marked"
