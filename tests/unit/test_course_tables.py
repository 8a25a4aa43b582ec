"""The csv files of the courses' folders."""

from pathlib import Path

import pytest

from reprise.datasets.tables import class_label, read_labels, read_rows, safe_join
from reprise.errors import RepriseError


@pytest.mark.parametrize("name", ["", "../a", "/a", "C:\\a", "a\\b", "a\0b", "b/../../a"])
def test_a_name_that_leaves_the_folder_is_refused(name: str) -> None:
    assert safe_join(Path("folder"), name) is None
    assert safe_join(Path("folder"), "b/a.png") == Path("folder/b/a.png")


def test_rows_have_their_lines_and_stripped_cells(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("\ufeffid, label\r\n\r\n1 ,\tx\r\n".encode())
    assert read_rows(path) == [(1, ["id", "label"]), (3, ["1", "x"])]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RepriseError, match="rows.csv: not a readable csv file"):
        read_rows(path)
    path.unlink()
    with pytest.raises(RepriseError, match="rows.csv: not found; restore it, or pass another path"):
        read_rows(path)


@pytest.mark.parametrize(
    ("text", "label"),
    [("7", "7"), ("07", "7"), ("00", "0"), ("24.0", "24"), ("24.5", "24.5"), ("Couch", "Couch")],
)
def test_a_label_has_one_form(text: str, label: str) -> None:
    assert class_label(text) == label


@pytest.mark.parametrize(
    "text",
    [
        "id,filename,label\n0,a.png,3\n",
        "0,a.png,3\n",
        "a.png,3\n",
        "3,a.png\n",
        "label,filename\n3,a.png\n",
        "index,id,filename,label\n0,0,a.png,3\n",
        "name,label,extra\na.png,3,x\n",
        "FileName , Label\r\na.png, 3.0\r\n\r\n",
    ],
)
def test_the_columns_are_those_of_the_header_or_of_the_content(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode())
    rows, problems = read_labels(path)
    assert problems == [] and [(row.file, row.label) for row in rows] == [("a.png", "3")]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "a.png\n", "id,filename\n0,a\n"])
def test_a_file_that_labels_nothing_is_a_problem(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    rows, (problem,) = read_labels(path)
    assert rows == [] and problem.startswith(f"{path}: line 1: no ")
