"""Parts of the page, what it reads of the results, and the notes about what is missing."""

import base64
import gzip
from pathlib import Path

import pytest

from reprise.errors import RepriseError
from reprise.evaluation.markdown import MARK, Missing
from reprise.report import html, html_tables
from reprise.report.html import ResultsReader


def test_a_cell_is_read_as_it_was_written() -> None:
    assert html_tables.cells(r"| a\|b | c\\ | <d> |  |") == ["a|b", "c\\", "<d>", ""]


def test_markdown_becomes_headings_tables_and_notes() -> None:
    blocks = ["### a & b", "| x | y |\n|---|---:|\n| 1 | 2 |", "A note."]
    heading, table, notes = html_tables.markdown(blocks, "name", html.macro)
    assert heading == "<h3>a &amp; b</h3>"
    assert 'aria-label="a &amp; b"' in table
    assert '<tr><th scope="row">1</th><td data-label="y">2</td></tr>' in table
    assert '<p class="note">A note.</p>' in notes and "<details" in notes
    (alone,) = html_tables.markdown(["A note."], "name", html.macro)
    assert alone == '<p class="note">A note.</p>'


def test_a_wide_table_shows_six_columns_and_the_others_on_a_click() -> None:
    headings = ["Run", "Pretraining", "Weights", "Fine-tuning", "Test accuracy", "sd"]
    headings += ["95 % CI (images + seeds)", "k/n", "Seeds"]
    line = "| " + " | ".join(headings) + " |"
    block = f"{line}\n|{'---|' * len(headings)}\n{line}"
    few, every = html_tables.markdown([block], "finetune_x", html.macro)
    assert few.count('<th scope="col"') == html_tables.MOST_COLUMNS
    assert "Test accuracy" in few and "k/n" not in few and "<details" not in few
    assert every.count('<th scope="col"') == len(headings)
    assert 'class="screen-only"' in every  # on paper it would be cut


@pytest.mark.parametrize("table", html_tables.HEADLINES)
def test_the_first_columns_of_a_table_are_columns_of_it(table: str, whole_results: Path) -> None:
    for path in sorted((whole_results / "tables").glob(f"{table}*.md")):
        lines = path.read_text().splitlines()
        headings = html_tables.cells(next(line for line in lines if line.startswith("| ")))
        places = html_tables.headline_columns(path.stem, headings)
        assert [headings[p] for p in places] == list(html_tables.HEADLINES[table])


def test_an_svg_without_a_size_is_refused() -> None:
    assert html.svg_size(b'<svg a="b" width="72pt" height="36pt">') == (96, 48)
    with pytest.raises(RepriseError, match="no width and height"):
        html.svg_size(b"<svg>")


def test_a_chart_cannot_end_its_script(tmp_path: Path) -> None:
    chart = ResultsReader(tmp_path).chart(
        "scatter", "name", "help", lambda _: {"data": "</script><b>"}
    )
    assert chart.count("</script>") == 1


def test_the_scripts_cannot_end_themselves_and_vega_is_packed() -> None:
    with_maps, without = html.scripts(frozenset({"scatter", "maps"})), html.scripts()
    assert "DRAW.maps" in with_maps and "DRAW.maps" not in without
    assert "</script" not in with_maps + without and "<!--" not in with_maps
    assert len(with_maps) < 20_000
    bundle = gzip.decompress(base64.b64decode(html.packed_script())).decode()
    assert "vega" in bundle and "DRAW.scatter" in bundle
    assert html.packed_script.__wrapped__() == html.packed_script()  # no time in it


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

    text = reader.chart("scatter", "name", "help", partial)
    assert 'class="chart-block"' in text and f"{MARK}a.png: not found" in text
    assert 'class="chart-block"' not in reader.chart("scatter", "name", "help", none)
    assert reader.missing == ["a.png: not found", "b.csv: not found"]
    assert reader.chart("scatter", "name", "help", lambda _: None) == ""
