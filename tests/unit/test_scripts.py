"""The stages' scripts: a user's mistake is one line and exit status 1, and nothing is written."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from reprise.data.store import Prepared, write_set
from reprise.models.backbone import resnet

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
PARAMS = ROOT / "presets" / "earth.yaml"


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of tiles and a set of maps, twelve random images each."""
    folder = tmp_path_factory.mktemp("sets")
    images = np.random.default_rng(0).integers(0, 255, (12, 32, 32, 3)).astype(np.uint8)
    about = {
        "roles": np.repeat(["train", "select", "report"], 4), "columns": {}, "source": "a test",
        "classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}], "licence": "", "note": "",
    }  # fmt: skip
    labels = np.arange(12, dtype=np.uint8) % 2
    maps = np.zeros((12, 32, 32), np.uint8)
    tiles = Prepared(images=images, labels=labels, task="classification", **about)
    write_set(folder / "tiles", "tiles", tiles)
    write_set(
        folder / "maps", "maps", Prepared(images=images, labels=maps, task="segmentation", **about)
    )
    save_file(resnet("resnet18", "small").net.state_dict(), folder / "backbone.safetensors")
    return folder


FINETUNE = "finetune.py --run earth --seed 0 --data {sets}/tiles"
CASES = {
    "setting": (f"{FINETUNE} --setting F", "setting 'F' does not exist; choose from A, B, C, D, E"),
    "backbone": (
        f"{FINETUNE} --setting B --backbone {{sets}}/backbone.safetensors",
        "backbone.safetensors: does not fit the backbone",
    ),
    "no backbone": (
        f"{FINETUNE} --setting B --backbone {{sets}}/none.safetensors",
        "none.safetensors: not found; run the pretraining",
    ),
    "batch": (f"{FINETUNE} --setting A", "batch_size is 16, more than the 4 training images"),
    "data set": ("prepare.py --set mars", "data set 'mars' is not in prepare.recipes"),
    "run": (
        "classify.py --stage classify --run vit --seed 0 --data {sets}/tiles",
        "run 'vit' is not in classify.recipes",
    ),
    "no data": (
        "classify.py --stage faces --run scratch --seed 0 --data {sets}/none",
        "none/dataset.json: not found; run the stage that makes it first",
    ),
    "task": (
        "pretrain.py --run earth --method byol --data {sets}/maps",
        "a set for segmentation, not for classification",
    ),
    "image": (
        "segment.py --stage segment --run fcn32s --seed 0 --data {sets}/maps",
        "segment.images: image '0234' is not of the report role; choose from 0008, 0009",
    ),
    "params": (
        "prepare.py --set climate --params {sets}/tiles/index.csv",
        "index.csv: Input should be a valid dictionary",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_one_line(
    name: str,
    sets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    line, said = CASES[name]
    script, *words = line.format(sets=sets).split()
    params = [] if "--params" in words else ["--params", str(PARAMS)]
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", [script, *words, *params, "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "workflow" / "scripts" / script), run_name="__main__")
    assert ended.value.code == 1
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1 and errors[0].exc_info is None
    assert said in errors[0].getMessage() and "\n" not in errors[0].getMessage()
    assert not out.exists()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_help_says_what_a_script_does(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [script.name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert not ended.value.code
    assert "--out" in (said := capsys.readouterr().out) or "--results" in said


def test_a_mistake_leaves_no_traceback_on_the_terminal() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "workflow/scripts/prepare.py"), "--set", "mars", "--out", "x"],
        cwd=ROOT,
        env={"PYTHONPATH": "src", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 1
    assert made.stderr.count("\n") == 1 and made.stderr.startswith("reprise: data set 'mars'")
