"""The README shows the tables that were made, and says so when it does not."""

from pathlib import Path

import pytest

from reprise.errors import RepriseError
from reprise.pipeline import readme


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["readme"])
    (tmp_path / "results" / "tables").mkdir(parents=True)
    (tmp_path / "results" / "tables" / "faces.md").write_text("| Run |\n|---|\n| new |\n")
    (tmp_path / "README.md").write_text(
        "a\n<!-- results/tables/faces.md -->\nold\n<!-- end -->\nb\n"
    )
    return tmp_path


def test_a_table_replaces_what_stood_in_its_place(folder: Path) -> None:
    readme.main()
    text = (folder / "README.md").read_text()
    assert text == (
        "a\n<!-- results/tables/faces.md -->\n\n| Run |\n|---|\n| new |\n\n<!-- end -->\nb\n"
    )


def test_a_readme_with_other_numbers_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["readme", "--check"])
    with pytest.raises(RepriseError, match="its tables are not those of results/"):
        readme.main()
    assert "old" in (folder / "README.md").read_text()
    monkeypatch.setattr("sys.argv", ["readme"])
    readme.main()
    monkeypatch.setattr("sys.argv", ["readme", "--check"])
    readme.main()
