"""Promises of the tables in the terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from reprise.errors import RepriseError
from reprise.figures.page import cells
from reprise.pipeline.show import show


def printed(results: Path, terminal: bool, width: int = 160) -> str:
    stream = io.StringIO()
    show(results, Console(file=stream, width=width, force_terminal=terminal, highlight=False))
    return stream.getvalue()


def test_columns_are_aligned_and_a_file_gets_no_colour(whole_results: Path) -> None:
    said = printed(whole_results, terminal=False)
    assert "\x1b" not in said
    lines = said.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Setting"))
    ends = {line.rstrip().rindex(" ") for line in lines[start + 1 : start + 6]}
    assert len(ends) == 1  # the last column, the seeds, begins at one place
    assert said.rstrip().endswith("report.html")


def test_no_cell_is_cut_in_a_narrow_terminal(whole_results: Path) -> None:
    said = printed(whole_results, terminal=False, width=60)
    for line in (whole_results / "tables" / "finetune.md").read_text().splitlines()[2:7]:
        assert any(all(cell in out for cell in cells(line)) for out in said.splitlines())


def test_a_terminal_gets_colour_and_the_same_words(whole_results: Path) -> None:
    assert "\x1b[" in printed(whole_results, terminal=True)


def test_a_name_in_brackets_is_printed_as_it_is(results: Path) -> None:
    path = results / "tables" / "classify.md"
    path.write_text(path.read_text().replace("| cnn |", "| [red]cnn[/red] |"))
    assert "[red]cnn[/red]" in printed(results, terminal=False)


def test_a_missing_table_is_named(results: Path) -> None:
    (results / "tables" / "street.md").unlink()
    with pytest.raises(RepriseError, match=r"street\.md: not found; run `make run` first"):
        printed(results, terminal=False)
