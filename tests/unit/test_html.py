"""Parts of the page, what it reads of the results, and the notes about what is missing."""

from pathlib import Path

import pytest

from reprise.errors import RepriseError
from reprise.evaluation.markdown import MARK, Missing
from reprise.report import html
from reprise.report.html import ResultsReader


def test_a_cell_is_read_as_it_was_written() -> None:
    assert html.cells(r"| a\|b | c\\ | <d> |  |") == ["a|b", "c\\", "<d>", ""]


def test_markdown_becomes_headings_tables_and_notes() -> None:
    blocks = ["### a & b", "| x | y |\n|---|---:|\n| 1 | 2 |", "A note."]
    heading, table, note = html.markdown(blocks, "name")
    assert heading == "<h3>a &amp; b</h3>"
    assert 'aria-label="a &amp; b"' in table
    assert '<tr><th scope="row">1</th><td>2</td></tr>' in table
    assert note == '<p class="note">A note.</p>'


def test_an_svg_without_a_size_is_refused() -> None:
    assert html.svg_size(b'<svg a="b" width="72pt" height="36pt">') == (96, 48)
    with pytest.raises(RepriseError, match="no width and height"):
        html.svg_size(b"<svg>")


def test_a_chart_cannot_end_its_script(tmp_path: Path) -> None:
    chart = ResultsReader(tmp_path).chart("name", "help", lambda _: {"data": "</script><b>"})
    assert chart.count("</script>") == 1


def test_the_script_of_charts_brings_vega_and_cannot_end_itself() -> None:
    with_charts, without = html.scripts(True), html.scripts(False)
    assert "data-drawn" in with_charts and "vega" not in without
    assert "</script" not in with_charts + without and "<!--" not in with_charts


def test_a_table_that_is_missing_is_noted_once(tmp_path: Path) -> None:
    reader = ResultsReader(tmp_path)
    first, second = reader.table("classify_a"), reader.table("classify_a")
    assert first == second and 'class="missing"' in first
    assert len(reader.missing) == 1 and "tables/classify_a.md: not found" in reader.missing[0]


def test_the_marks_of_a_table_become_notes(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    text = f"| Run |\n|---|\n| cnn |\n\n{MARK}x/predictions.csv: not found\n"
    (tmp_path / "tables" / "classify_a.md").write_text(text)
    reader = ResultsReader(tmp_path)
    shown = reader.table("classify_a")
    assert '<th scope="row">cnn</th>' in shown and shown.count(MARK) == 1
    assert reader.missing == ["x/predictions.csv: not found"]


def test_a_csv_that_is_missing_is_empty(tmp_path: Path) -> None:
    reader = ResultsReader(tmp_path)
    table = reader.csv("tables/a.csv", ["x", "y"])
    assert table.empty and list(table.columns) == ["x", "y"]
    assert "tables/a.csv: not found" in reader.missing[0]


def test_a_chart_notes_what_it_lacks_or_why_there_is_none(tmp_path: Path) -> None:
    reader = ResultsReader(tmp_path)

    def partial(missing: Missing) -> dict[str, int]:
        with missing.collecting("mask"):
            raise RepriseError("a.png: not found")
        return {"mark": 1}

    def none(missing: Missing) -> None:
        raise RepriseError("b.csv: not found")

    text = reader.chart("name", "help", partial)
    assert 'class="chart-block"' in text and f"{MARK}a.png: not found" in text
    assert 'class="chart-block"' not in reader.chart("name", "help", none)
    assert reader.missing == ["a.png: not found", "b.csv: not found"]
    assert reader.chart("name", "help", lambda _: None) == ""
