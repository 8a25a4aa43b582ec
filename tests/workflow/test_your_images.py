"""docs/your-images.md from beginning to end, on three small made folders."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from support.own_folders import class_folders, mask_folders
from support.smoke import call

from reprise.atomic_io import read_json
from reprise.engines.verify import clone
from reprise.params.load import load_params

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.workflow, pytest.mark.slow]
PAGE = (ROOT / "docs" / "your-images.md").read_text()
COMMANDS = re.findall(r"^\$ (make .*)$", PAGE, re.M)


def test_the_page_names_every_argument_that_the_makefile_passes() -> None:
    (rule,) = re.findall(r"^data: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    passed = set(re.findall(r"\$\(if \$\(([A-Z]+)\)", rule)) - {"FOLDER", "ACCEPT", "ALL"}
    named = set(re.findall(r"\b([A-Z]{4,})=?\b", PAGE)) - {"FROM", "JPEG", "TIFF", "EXIF", "PRESET"}
    assert passed == named & passed and {"KIND", "TASK", "START", "LEGEND", "SIZE"} <= passed


def make(folder: Path, command: str, images: Path) -> None:
    """A command of the page, with the modules of the clone; `make` would install it."""
    _, target, *variables = shlex.split(command.replace("/path/to", str(images)))
    values = dict(variable.split("=", 1) for variable in variables)
    arguments = ["python", "-m"]
    if target == "preset":
        arguments += ["reprise.engines.preset", values["PRESET"], "--force"]
    elif target == "data":
        arguments += ["reprise.engines.data", values.pop("FROM")]
        arguments += [word for key, v in values.items() for word in (f"--{key.lower()}", v)]
    else:
        arguments = ["snakemake", "--cores", "2", "--quiet", "rules"]
    call(folder, *arguments, ok=True)


@pytest.mark.parametrize("seeds", [1, pytest.param(3, marks=pytest.mark.exhaustive)])
def test_three_commands_lead_to_a_report_with_intervals(seeds: int, tmp_path: Path) -> None:
    """In `make test` with the first seed of each task."""
    folder = clone(ROOT, tmp_path / "clone", "own")
    images = tmp_path / "images"
    class_folders(images / "shapes", 16)
    mask_folders(images / "scenes", 30, 64)
    class_folders(images / "photos", 12, seed=1)
    for command in COMMANDS:
        if command != "make run":  # once, with all tasks
            make(folder, command, images)
    params = folder / "params.yaml"
    text, tasks = re.subn(r"seeds: \[0, 1, 2\]", f"seeds: {list(range(seeds))}", params.read_text())
    assert tasks == 4  # two of classify and segment; finetune, and its pretrain
    text = re.sub(r"^( +)epochs: \d+", r"\1epochs: 2", text, flags=re.M)
    params.write_text(re.sub(r"feature_epochs: \[1, \d+\]", "feature_epochs: [1, 2]", text))
    make(folder, "make run", images)
    tables = folder / "results" / "tables"
    for stage, task, runs in (
        ("classify", "shapes", ["finetune", "features", "scratch"]),
        ("segment", "scenes", ["deeplabv3", "fcn32s"]),
        ("finetune", "shapes", ["A", "B", "C", "D", "E"]),
    ):
        table = pd.read_csv(tables / f"{stage}_{task}.csv")
        assert table["run"].tolist() == runs and (table["seeds"] == seeds).all()
        lows = [column for column in table.columns if column.endswith("_low")]
        assert lows and table[lows[0]].notna().all()
    answers = pd.read_csv(tables / "answers.csv")
    asked = "\n".join(answers["question"])
    assert "Does self-supervised pretraining help?" in asked and "DeepLabV3 or FCN-32s?" in asked
    page = (folder / "results" / "report.html").read_text()
    assert "your own images, registered as scenes" in page
    info = read_json(folder / "results" / "prepare" / "shapes" / "dataset.json")
    assert info["images"] == {"train": 33, "val": 6, "test": 9}
    assert "up to date" in call(folder, "dvc", "status", ok=True).stdout
    assert [*load_params(params).datasets] == ["shapes", "scenes", "photos"]
