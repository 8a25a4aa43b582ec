"""README.md and docs/results.md show the last run's tables; `make lint` fails if they do not."""

from pathlib import Path

import pytest

from reprise.engines import repository
from reprise.errors import RepriseError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["repository", "readme"])
    (tmp_path / "results" / "tables").mkdir(parents=True)
    (tmp_path / "results" / "tables" / "classify_transfer.md").write_text(
        "| Run |\n|---|\n| new |\n"
    )
    (tmp_path / "README.md").write_text(
        "a\n<!-- results/tables/classify_transfer.md -->\nold\n<!-- end -->\nb\n"
    )
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "results.md").write_text("c\n")
    return tmp_path


def test_a_table_replaces_the_old_one(folder: Path) -> None:
    repository.main()
    text = (folder / "README.md").read_text()
    assert text == (
        "a\n<!-- results/tables/classify_transfer.md -->\n\n"
        "| Run |\n|---|\n| new |\n\n<!-- end -->\nb\n"
    )


def test_a_readme_with_other_numbers_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["repository", "readme", "--check"])
    with pytest.raises(RepriseError, match="README.md: out of date; run `make readme`"):
        repository.main()
    assert "old" in (folder / "README.md").read_text()
    monkeypatch.setattr("sys.argv", ["repository", "readme"])
    repository.main()
    monkeypatch.setattr("sys.argv", ["repository", "readme", "--check"])
    repository.main()


def test_the_first_rows_of_a_table_are_shown_without_its_notes(folder: Path) -> None:
    table = folder / "results" / "tables" / "answers.md"
    table.write_text("| Question |\n|---|\n| one |\n| two |\n| three |\n\nA note.\n")
    page = folder / "docs" / "results.md"
    page.write_text("<!-- results/tables/answers.md, first 2 rows -->\n<!-- end -->\n")
    repository.main()
    assert page.read_text() == (
        "<!-- results/tables/answers.md, first 2 rows -->\n\n"
        "| Question |\n|---|\n| one |\n| two |\n\n<!-- end -->\n"
    )


def test_results_with_other_numbers_are_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.main()
    marked = "<!-- results/tables/classify_transfer.md -->\nold\n<!-- end -->\n"
    (folder / "docs" / "results.md").write_text(marked)
    monkeypatch.setattr("sys.argv", ["repository", "readme", "--check"])
    with pytest.raises(RepriseError, match="docs/results.md: out of date; run `make readme`"):
        repository.main()
