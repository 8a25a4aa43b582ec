"""Print the tables of results/ in the terminal: aligned, and coloured on a terminal alone."""

from pathlib import Path
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.figures.page import cells

TABLES = ("finetune", "classify", "faces", "segment", "street", "pretrain")


def main() -> None:
    show(Path("results"), Console(highlight=False))


def show(results: Path, console: Console) -> None:
    """Print the main tables below `results`, each with what it was measured on.

    Raises:
        RepriseError: a table is missing.
    """
    for name in TABLES:
        path = results / "tables" / f"{name}.md"
        if not path.is_file():
            raise RepriseError(f"{path}: not found; run `make run` first")
        console.print(Text(name, style="bold"))
        for block in path.read_text().strip().split("\n\n"):
            if block.startswith("|"):
                table, width = _table(block)
                console.print(table, width=max(width, console.width), crop=False)
            else:
                console.print(_note(block))
        console.print()
    page = results / "report.html"
    console.print(f"The report with all tables and figures: {page}", soft_wrap=True)


def _table(block: str) -> tuple[Table, int]:
    """A markdown table, right-aligned where it is so there; and the width that cuts no cell."""
    heading, rule, *rows = [cells(line) for line in block.splitlines()]
    table = Table(box=None, pad_edge=False, header_style="cyan")
    least = 0
    for name, align, column in zip(heading, rule, zip(*rows, strict=True), strict=True):
        side: Literal["right", "left"] = "right" if align.endswith(":") else "left"
        width = max(cell_len(word) for word in [*column, *name.split()])
        table.add_column(Text(name), justify=side, min_width=width)
        least += width + 2
    for row in rows:
        # Text: a name in brackets is no markup
        table.add_row(*(Text(cell) for cell in row))
    return table, least


def _note(block: str) -> Padding:
    return Padding(Text(block, style="dim"), (0, 0, 0, 2))


if __name__ == "__main__":
    run(main)
