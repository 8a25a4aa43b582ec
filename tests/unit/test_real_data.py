"""The page on the courses' own images says what the rows of its tables say."""

import json
import shutil

import pandas as pd
import pytest

from bench import real_data


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(real_data.FOLDER, tmp_path / "real-data")


def test_the_committed_page_is_what_its_tables_say(folder):
    assert real_data.page(folder) == (folder / "README.md").read_text()


def test_the_readme_has_the_number_of_the_table():
    numbers = pd.read_csv(real_data.FOLDER / "dlcv2022" / "numbers.csv").set_index("run")
    readme = " ".join((real_data.ROOT / "README.md").read_text().split())
    ours, printed = numbers.loc["cnn", ["ours", "published"]]
    sentence = f"an accuracy of {ours:.4f} over three seeds; the homework printed {printed:.4f}"
    assert sentence in readme


def test_a_changed_number_changes_its_row(folder):
    path = folder / "dlcv2022" / "numbers.csv"
    numbers = pd.read_csv(path)
    numbers.loc[0, ["ours", "ci_low", "ci_high", "differs"]] = [0.1234, 0.1, 0.15, "3 epochs (90)"]
    numbers.to_csv(path, index=False)
    assert "| 0.5544 | 0.1234 | 0.100 to 0.150 | 2500 | 3 | 3 epochs (90) |" in real_data.page(
        folder
    )


def test_the_interval_of_one_training_is_marked(folder):
    path = folder / "dlcv2022" / "numbers.csv"
    pd.read_csv(path).assign(seeds=1).to_csv(path, index=False)
    assert "| 0.537 to 0.571 * | 2500 | 1 |" in real_data.page(folder)


def test_images_that_are_not_verified_are_not_called_the_homeworks(folder):
    path = folder / "dlcv2022" / "facts.json"
    facts = json.loads(path.read_text())
    facts["datasets"]["dlcv_50"]["verified"] = False
    path.write_text(json.dumps(facts))
    assert "`dlcv_50`: not verified as NTU DLCV 2022 HW1" in real_data.page(folder)
    assert "`dlcv_50`: the SHA-256" not in real_data.page(folder)
