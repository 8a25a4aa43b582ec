"""engines/show: the tables in the terminal."""

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from reprise.engines.show import print_tables
from reprise.errors import RepriseError
from reprise.params.load import Params
from reprise.report.html_tables import cells, headline_columns


def printed(results: Path, params: Params, terminal: bool, width: int = 160) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal, highlight=False)
    print_tables(results, params, console)
    return stream.getvalue()


def test_columns_are_aligned_and_a_file_gets_no_colour(whole_results: Path, params: Params) -> None:
    text = printed(whole_results, params, terminal=False)
    assert "\x1b" not in text
    lines = text.splitlines()
    start = lines.index("finetune tiny") + 1
    heading = next(i for i in range(start, len(lines)) if lines[i].startswith("Run"))
    ends = {line.rstrip().rindex(" ") for line in lines[heading + 1 : heading + 6]}
    assert len(ends) == 1  # the last column, the seeds, begins at one place
    assert text.rstrip().endswith("report.html")


def test_every_training_task_has_its_table(whole_results: Path, params: Params) -> None:
    lines = printed(whole_results, params, terminal=False).splitlines()
    tasks = ["finetune tiny", "classify baseline", "classify transfer", "segment baseline",
             "segment skips", "pretrain tiny"]  # fmt: skip
    assert [line for line in lines if line in tasks] == tasks


def test_no_cell_is_cut_in_a_narrow_terminal(whole_results: Path, params: Params) -> None:
    text = printed(whole_results, params, terminal=False, width=60)
    table = (whole_results / "tables" / "finetune_tiny.md").read_text()
    lines = [cells(line) for line in table.splitlines()[:7]]
    few = headline_columns("finetune_tiny", lines[0])
    for line in lines[2:]:
        shown = [line[place] for place in few]
        assert any(all(cell in out for cell in shown) for out in text.splitlines())


def test_the_questions_are_at_the_end_within_a_hundred_letters(
    whole_results: Path, params: Params
) -> None:
    lines = printed(whole_results, params, terminal=False, width=100).splitlines()
    table = pd.read_csv(whole_results / "tables" / "answers.csv").head(6)
    start = next(i for i, line in enumerate(lines) if line.startswith("Question"))
    assert start >= len(lines) - 9 and all(len(line.rstrip()) <= 100 for line in lines)
    for row, line in zip(table.to_dict("records"), lines[start + 1 :], strict=False):
        assert row["question"] in line and row["answer"] in line and row["certainty"] in line


def test_a_changed_row_changes_what_is_printed(results: Path, params: Params) -> None:
    path = results / "tables" / "answers.csv"
    table = pd.read_csv(path)
    table.loc[0, ["answer", "certainty"]] = ["C is better", "significant"]
    table.to_csv(path, index=False)
    assert "C is better" in printed(results, params, terminal=False)


def test_a_preset_whose_numbers_mean_nothing_says_so(whole_results: Path, params: Params) -> None:
    warned = params.model_copy(update={"warning": "The numbers mean nothing."})
    assert "The numbers mean nothing." in printed(whole_results, warned, terminal=False)


def test_a_terminal_gets_colour(whole_results: Path, params: Params) -> None:
    assert "\x1b[" in printed(whole_results, params, terminal=True)


def test_a_name_in_brackets_is_printed_as_it_is(results: Path, params: Params) -> None:
    path = results / "tables" / "classify_baseline.md"
    path.write_text(path.read_text().replace("| cnn |", "| [red]cnn[/red] |"))
    assert "[red]cnn[/red]" in printed(results, params, terminal=False)


def test_a_missing_table_is_named(results: Path, params: Params) -> None:
    (results / "tables" / "segment_skips.md").unlink()
    with pytest.raises(RepriseError, match=r"segment_skips\.md: not found; run `make run` first"):
        printed(results, params, terminal=False)
