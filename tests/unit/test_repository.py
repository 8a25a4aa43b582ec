"""The README shows the tables of the last run; `make lint` fails if it does not."""

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
