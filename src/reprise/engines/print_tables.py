"""Print the tables of results/ in the terminal: aligned, with colour if it is a terminal."""

from pathlib import Path
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.jobs import tasks
from reprise.params.load import Params, load_params
from reprise.report.html import cells

STAGES = ("finetune", "classify", "segment", "pretrain")


def main() -> None:
    """Print the tables."""
    print_tables(Path("results"), load_params(), Console(highlight=False))


def print_tables(results: Path, params: Params, console: Console) -> None:
    """Print the table of every training task. Raises RepriseError if one is missing."""
    for stage, task, _ in tasks(params, *STAGES):
        path = results / "tables" / f"{stage}_{task}.md"
        if not path.is_file():
            raise RepriseError(f"{path}: not found; run `make run` first")
        console.print(Text(f"{stage} {task}", style="bold"))
        for block in path.read_text().strip().split("\n\n"):
            if block.startswith("|"):
                table, width = _table(block)
                console.print(table, width=max(width, console.width), crop=False)
            else:
                console.print(Padding(Text(block, style="dim"), (0, 0, 0, 2)))
        console.print()
    console.print(f"The report with everything: {results / 'report.html'}", soft_wrap=True)


def _table(block: str) -> tuple[Table, int]:
    """A markdown table, right-aligned where it is so there; and the width that cuts no cell."""
    heading, rule, *rows = [cells(line) for line in block.splitlines()]
    table = Table(box=None, pad_edge=False, header_style="cyan")
    total = 0
    for name, align, column in zip(heading, rule, zip(*rows, strict=True), strict=True):
        side: Literal["right", "left"] = "right" if align.endswith(":") else "left"
        width = max(cell_len(word) for word in [*column, *name.split()])
        table.add_column(Text(name), justify=side, min_width=width)
        total += width + 2
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a name in brackets is not markup
    return table, total


if __name__ == "__main__":
    run(main)
