"""Csv files are read with one line for what is wrong: file, row, column."""

from pathlib import Path

import pandas as pd
import pytest

from reprise.csv_io import check_rows, read_csv
from reprise.errors import RepriseError


def test_text_stays_text_and_an_empty_cell_is_an_empty_text(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("id,run,value\n0012,NA,1.5\n0013,,\n")
    table = read_csv(path, ["id", "value"], ["run"])
    assert table["id"].tolist() == ["0012", "0013"]
    assert table["run"].tolist() == ["NA", ""]
    assert table["value"].isna().tolist() == [False, True]


def test_a_missing_file_column_or_no_csv_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with pytest.raises(RepriseError, match="table.csv: not found"):
        read_csv(path, ["id"])
    path.write_text("id\n1\n")
    with pytest.raises(RepriseError, match="column 'split' is missing; the file needs id, split"):
        read_csv(path, ["id", "split"])
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RepriseError, match="not a readable csv file"):
        read_csv(path, ["id"])


def test_the_first_wrong_row_is_named_as_an_editor_counts(tmp_path: Path) -> None:
    table = pd.DataFrame({"split": ["train", "dev", "dev"]})
    with pytest.raises(RepriseError, match="index.csv: row 3: split 'dev': use train"):
        check_rows(Path("index.csv"), table, "split", table["split"] != "train", "use train")
    check_rows(Path("index.csv"), table, "split", table["split"] == "test", "use train")
