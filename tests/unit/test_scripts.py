"""The stages' scripts: a user's mistake is one line and exit status 1, and nothing is written."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.torch import save_file
from support.small_datasets import small_dataset, write_and_read

from reprise.models.build import build_backbone

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
PARAMS = ROOT / "presets" / "earth.yaml"
BACKBONE = "pretrain/earth/supervised/0/backbone.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of tiles and one of maps, twelve random images each, and a backbone."""
    folder = tmp_path_factory.mktemp("folder")
    images = np.random.default_rng(0).integers(0, 255, (12, 32, 32, 3)).astype(np.uint8)
    splits = ["train"] * 4 + ["val"] * 4 + ["test"] * 4
    labels, maps = np.arange(12, dtype=np.uint8) % 2, np.zeros((12, 32, 32), np.uint8)
    write_and_read(folder / "tiles", small_dataset(images, labels, 2, splits))
    write_and_read(folder / "maps", small_dataset(images, maps, 2, splits))
    alone = {"finetune": yaml.safe_load(PARAMS.read_text())["finetune"]}
    (folder / "alone.yaml").write_text(yaml.safe_dump(alone))
    (folder / BACKBONE).parent.mkdir(parents=True)
    save_file(build_backbone("resnet18", "small").net.state_dict(), folder / BACKBONE)
    return folder


FINETUNE = "finetune.py --task earth --seed 0 --data {0}/tiles"
CASES = {
    "task": (
        "finetune.py --task eart --run A --seed 0 --data {0}/tiles",
        "earth.yaml: finetune.eart: not found; did you mean 'earth'?",
    ),
    "run": (
        f"{FINETUNE} --run F",
        "finetune.earth.recipes.F: not found; choose from A, B, C, D, E",
    ),
    "classify run": (
        "classify.py --task baseline --run cn --seed 0 --data {0}/tiles",
        "classify.baseline.recipes.cn: not found; did you mean 'cnn'?",
    ),
    "backbone": (
        f"{FINETUNE} --run B --backbone {{0}}/{BACKBONE}",
        "backbone.safetensors: does not fit the network",
    ),
    "missing backbone": (
        f"{FINETUNE} --run B --backbone {{0}}/none/{BACKBONE}",
        "backbone.safetensors: not found; run its pretraining first",
    ),
    "backbone of another run": (
        f"{FINETUNE} --run C --backbone {{0}}/{BACKBONE}",
        "finetune.earth.recipes.C.start is 'byol', so --backbone must be "
        "pretrain/earth/byol/0/backbone.safetensors, but is",
    ),
    "backbone of another seed": (
        f"{FINETUNE} --run B --backbone {{0}}/{BACKBONE}".replace("--seed 0", "--seed 1"),
        "finetune.earth.recipes.B.start is 'supervised', so --backbone must be "
        "pretrain/earth/supervised/1/backbone.safetensors, but is",
    ),
    "no pretraining": (
        f"{FINETUNE} --run B --backbone {{0}}/{BACKBONE} --params {{0}}/alone.yaml",
        "alone.yaml: pretrain.earth.seeds: not found or empty; add the seeds",
    ),
    "no backbone": (f"{FINETUNE} --run B", "but is none; run `make dvc.yaml`"),
    "backbone from scratch": (
        f"{FINETUNE} --run A --backbone {{0}}/{BACKBONE}",
        "finetune.earth.recipes.A.start is 'none', so --backbone must be none",
    ),
    "batch": (f"{FINETUNE} --run A", "batch_size is 16, more than the 4 training images"),
    "no data": (
        "classify.py --task transfer --run scratch --seed 0 --data {0}/none",
        "none/dataset.json: not found; run the stage that writes it first",
    ),
    "kind": (
        "pretrain.py --task earth --run byol --seed 0 --data {0}/maps",
        "a dataset for segmentation, not for classification",
    ),
    "image": (
        "segment.py --task baseline --run fcn32s --seed 0 --data {0}/maps",
        "segment.baseline.images: image '0117' is not in the test split; choose from 0008, 0009",
    ),
    "dataset": ("prepare.py --dataset mars", "datasets.mars: not found"),
    "params": (
        "pretrain.py --task earth --run byol --seed 0 --data {0}/tiles --params {0}/none.yaml",
        "none.yaml: not found; `make preset PRESET=earth` writes one",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_one_line(
    name: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    line, message = CASES[name]
    script, *words = line.format(folder).split()
    params = [] if "--params" in words else ["--params", str(PARAMS)]
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", [script, *words, *params, "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "workflow" / "scripts" / script), run_name="__main__")
    assert ended.value.code == 1
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1 and errors[0].exc_info is None
    assert message in errors[0].getMessage() and "\n" not in errors[0].getMessage()
    assert not out.exists()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_help_says_what_a_script_does(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [script.name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert not ended.value.code
    assert "--out" in (text := capsys.readouterr().out) or "--results" in text


def test_a_mistake_leaves_no_traceback_on_the_terminal() -> None:
    script = ROOT / "workflow" / "scripts" / "pretrain.py"
    words = ["--task", "mars", "--run", "byol", "--seed", "0", "--data", "x", "--out", "x"]
    done = subprocess.run(
        [sys.executable, str(script), *words],
        cwd=ROOT,
        env={"PYTHONPATH": "src", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("reprise: params.yaml: pretrain.mars: not found")
