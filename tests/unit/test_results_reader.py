"""Reading results for the page, and the notes about what is missing."""

from pathlib import Path

from reprise.errors import RepriseError
from reprise.evaluation.markdown import MARK, Missing
from reprise.report.results_reader import ResultsReader


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
    html = reader.table("classify_a")
    assert '<th scope="row">cnn</th>' in html and html.count(MARK) == 1
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

    html = reader.chart("name", "help", partial)
    assert 'class="chart-block"' in html and f"{MARK}a.png: not found" in html
    assert 'class="chart-block"' not in reader.chart("name", "help", none)
    assert reader.missing == ["a.png: not found", "b.csv: not found"]
    assert reader.chart("name", "help", lambda _: None) == ""
