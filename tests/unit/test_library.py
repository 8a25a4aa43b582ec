"""Reprise as a library: few documented functions, the bytes of the pipeline, a page that runs."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.small_datasets import dark_and_bright, small_dataset, write_and_read

import reprise
from reprise import api
from reprise.errors import RepriseError
from reprise.params.load import load_params

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "library.md").read_text()
RECIPE = {
    "model": "cnn", "image_size": 16, "epochs": 2, "batch_size": 7, "learning_rate": 0.01,
    "feature_epochs": [],
}  # fmt: skip


def test_there_are_ten_functions_at_most_and_the_page_has_each() -> None:
    assert len(reprise.NAMES) <= 10
    assert list(reprise.NAMES) == sorted(api.__all__)
    table = re.findall(r"^\| `(\w+)\(", PAGE, re.M)
    assert sorted(table) == list(reprise.NAMES)
    assert set(reprise.NAMES) <= set(dir(reprise))
    packages = {path.stem for path in (ROOT / "src" / "reprise").iterdir()}
    assert not packages & set(reprise.NAMES)  # a package would take the place of a function
    for name in reprise.NAMES:
        assert (getattr(reprise, name).__doc__ or "").strip()
    stub = (ROOT / "src" / "reprise" / "__init__.pyi").read_text()
    assert re.findall(r"^from reprise\.api import (\w+) as \1$", stub, re.M) == list(reprise.NAMES)
    with pytest.raises(AttributeError, match="no attribute 'lost'"):
        reprise.lost  # type: ignore[attr-defined] # noqa: B018


def test_the_notebook_is_the_page() -> None:
    """So the test of the page runs its cells; the first one enters the project's folder."""
    cells = json.loads((ROOT / "docs" / "library.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code[1:] == [block.strip() for block in re.findall(r"```python\n(.*?)```", PAGE, re.S)]
    compile(code[0], "library.ipynb", "exec")
    text = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    pieces = re.split(r"```python\n.*?```\n?", PAGE, flags=re.S)
    assert text == [piece.strip() for piece in pieces if piece.strip()]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


def test_importing_reprise_imports_nothing_that_takes_long() -> None:
    code = "import sys, reprise; print('torch' in sys.modules, 'reprise.api' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On few images in the place of those that it names."""
    rng = np.random.default_rng(0)
    labels = (np.arange(240) // 3 % 3).astype(np.uint8)
    images = rng.integers(0, 90, (240, 32, 32, 3)) + 60 * labels[:, None, None, None]
    folder = tmp_path / "results" / "prepare" / "climate"
    folder.parent.mkdir(parents=True)
    write_and_read(folder, small_dataset(images.astype(np.uint8), labels, 3))
    shutil.copy(ROOT / "presets" / "earth.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        exec(block, names)
    assert names["accuracy"].seeds == 2 and 0 <= names["accuracy"].value <= 1
    assert names["difference"].images == names["accuracy"].images == 80
    text = capsys.readouterr().out
    assert re.search(r"0\.\d{3}, 95 % CI \[", text) and " points, p = " in text


@pytest.mark.parametrize(
    ("run", "files"),
    [
        ("classify/dlcv2021/resnet101/0", ["model.safetensors", "predictions.csv", "history.csv"]),
        ("classify/dlcv2023/resnet101/0", ["model.safetensors", "features.safetensors"]),
        ("finetune/dlcv2023/C/0", ["model.safetensors", "predictions.csv"]),
        ("segment/cs6550/fcn8s_noskip_3/0", ["model.safetensors", "history.csv"]),
    ],
)
def test_a_training_gives_the_bytes_of_the_pipelines_job(
    run: str, files: list[str], project: Path, tmp_path: Path
) -> None:
    stage, task, name, seed = run.split("/")
    params = load_params(project / "params.yaml")
    data = reprise.open_dataset(project / "results/prepare" / getattr(params, stage)[task].data)
    recipe = reprise.read_recipe(stage, task, name, project / "params.yaml")
    out = reprise.train(
        stage, recipe, data, tmp_path / "out", int(seed), threads=params.runtime.threads,
        precision=params.runtime.precision,
    )  # fmt: skip
    for file in files:
        assert (out / file).read_bytes() == (project / "results" / run / file).read_bytes(), file
    assert not [path for path in tmp_path.rglob(".*")]  # no checkpoint is left


def test_a_backbone_is_pretrained_and_fine_tuned(tmp_path: Path) -> None:
    data = dark_and_bright(tmp_path / "data")
    common = {"backbone": "resnet10", "stem": "small", "batch_size": 7, "learning_rate": 0.01}
    pretraining = common | {"method": "supervised", "epochs": 1, "knn_k": 3}
    first = reprise.train("pretrain", pretraining, data, tmp_path / "first")
    recipe = common | {"head_hidden_dim": 8, "epochs": 2, "feature_epochs": []}
    out = reprise.train(
        "finetune", recipe, data, tmp_path / "second", backbone=first / "backbone.safetensors",
        frozen=True,
    )  # fmt: skip
    from safetensors.torch import load_file

    pretrained = load_file(first / "backbone.safetensors")
    tuned = load_file(out / "model.safetensors")
    assert all((tuned[f"backbone.net.{key}"] == value).all() for key, value in pretrained.items())


def test_a_share_of_the_labels_trains_on_fewer_images(tmp_path: Path) -> None:
    data = dark_and_bright(tmp_path / "data")
    recipe = {
        "backbone": "resnet10", "stem": "small", "batch_size": 2, "learning_rate": 0.01,
        "head_hidden_dim": 8, "epochs": 1, "feature_epochs": [],
    }  # fmt: skip
    out = {
        share: reprise.train("finetune", recipe, data, tmp_path / str(share), labels=share)
        for share in (0.5, 1.0)
    }
    # 14 train images, 7 of each class: half of them is 4 of each
    steps = {share: pd.read_csv(path / "history.csv")["step"].max() for share, path in out.items()}
    assert steps == {0.5: 4, 1.0: 7}


@pytest.mark.parametrize("option", [{"labels": 0.5}, {"frozen": True}, {"backbone": "a"}])
def test_what_only_a_fine_tuning_has_is_refused_elsewhere(
    option: dict[str, Any], tmp_path: Path
) -> None:
    data = dark_and_bright(tmp_path / "data")
    with pytest.raises(RepriseError, match="labels are of finetune, not of classify"):
        reprise.train("classify", RECIPE, data, tmp_path / "out", **option)
    assert not (tmp_path / "out").exists()


def test_scores_are_those_of_the_predictions(tmp_path: Path) -> None:
    data = dark_and_bright(tmp_path / "data")
    runs = [reprise.train("classify", RECIPE, data, tmp_path / str(s), s) for s in (0, 1)]
    score = reprise.score(runs, data)
    shares = []
    for run in runs:
        table = pd.read_csv(run / "predictions.csv")
        test = table[table["split"] == "test"]
        shares.append((test["label"] == test["prediction"]).mean())
    assert score.value == pytest.approx(np.mean(shares)) and score.seeds == 2
    assert reprise.compare_runs(runs, runs, data).value == 0
    with pytest.raises(RepriseError, match="2 and 1 seeds; compare the same seeds"):
        reprise.compare_runs(runs, runs[:1], data)
    assert 0 <= reprise.score(runs, data, metric="ece").value <= 1
    with pytest.raises(RepriseError, match="metric: no 'accurcy'; did you mean 'accuracy'"):
        reprise.score(runs, data, metric="accurcy")
    for folders in ([], str(runs[0]), runs[0]):
        with pytest.raises(RepriseError, match="no list of folders"):
            reprise.score(folders, data)


def test_an_exported_model_predicts_files(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = "classify/dlcv2023/resnet101/0"
    reprise.export_run(run, str(tmp_path / "model"), str(project))
    model = reprise.open_model(str(tmp_path / "model"))
    Image.new("RGB", (50, 40), (200, 10, 10)).save(tmp_path / "a.png")
    table = reprise.predict_files(model, [tmp_path / "a.png"])
    assert list(table.columns) == ["file", "label", *model.classes.names]
    shares = table[list(model.classes.names)].iloc[0]
    assert shares.sum() == pytest.approx(1, abs=1e-4) and shares.idxmax() == table["label"][0]
    assert len(reprise.predict_files(model, [])) == 0
    monkeypatch.chdir(project)
    same = reprise.predict_files(reprise.open_run(run), [tmp_path / "a.png"])
    pd.testing.assert_frame_equal(same, table)


def test_a_mistake_is_one_line_with_the_nearest_name(tmp_path: Path) -> None:
    data = dark_and_bright(tmp_path / "data")
    with pytest.raises(RepriseError, match="stage: no 'clasify'; did you mean 'classify'"):
        reprise.train("clasify", RECIPE, data, tmp_path / "out")
    with pytest.raises(RepriseError, match="recipe: unknown key 'epoch'; did you mean 'epochs'"):
        reprise.train("classify", RECIPE | {"epoch": 1}, data, tmp_path / "out")
    path = ROOT / "presets" / "earth.yaml"
    with pytest.raises(
        RepriseError, match="classify.baseline.recipes: no 'cnm'; did you mean 'cnn'"
    ):
        reprise.read_recipe("classify", "baseline", "cnm", path)
    with pytest.raises(RepriseError, match="not for segmentation"):
        segmenter = {k: v for k, v in RECIPE.items() if k != "feature_epochs"}
        reprise.train("segment", segmenter | {"model": "fcn32s", "image_size": 32}, data, tmp_path)


def test_wrong_values_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    data, out = dark_and_bright(tmp_path / "data"), tmp_path / "out"
    for seed in (-1, 2**32, 1.5, "0"):
        with pytest.raises(RepriseError, match="seed: must be a whole number from 0 to"):
            reprise.train("classify", RECIPE, data, out, seed)
    recipe = reprise.read_recipe("classify", "baseline", "cnn", ROOT / "presets" / "earth.yaml")
    with pytest.raises(RepriseError, match="recipe: epochs: Input should be greater than 0"):
        reprise.train("classify", recipe.model_copy(update={"epochs": -1}), data, out)
    for wrong in (None, [1], "cnn"):
        with pytest.raises(RepriseError, match="recipe: pass a dictionary, or what `read_recipe`"):
            reprise.train("classify", wrong, data, out)
    assert not out.exists()
