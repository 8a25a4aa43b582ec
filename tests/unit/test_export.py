"""An exported model predicts as its run did, from its folder alone, and says what it is."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.trained_project import error_of, predict

from reprise.atomic_io import sha256
from reprise.datasets.prepared import read_prepared
from reprise.errors import RepriseError
from reprise.export import programs
from reprise.export.export import export
from reprise.predict.exported import open_model
from reprise.predict.trained_run import open_run

# a run of each stage, its dataset, and what it needs besides a plain network: batch norm over a
# backbone, crops, merged classes
RUNS = {
    "classify/dlcv2023/resnet101/0": "dlcv_50",
    "finetune/dlcv2023/C/0": "office_home",
    "segment/dlcv2024/unet/0": "deepglobe",
    "segment/cs6550/fcn8s_noskip_3/0": "camvid",
}


def write_images(dataset: Path, folder: Path, count: int = 9) -> list[Path]:
    """Images of a prepared dataset's test split as files."""
    data = read_prepared(dataset)
    folder.mkdir()
    paths = []
    for row in data.require_rows("test")[:count]:
        paths.append(folder / f"{data.index['id'][row]}.png")
        Image.fromarray(data.images[row]).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def folders(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The exported folder of each run; not to be changed."""
    made = tmp_path_factory.mktemp("exported")
    for run in RUNS:
        export(run, made / run, project)
    return {run: made / run for run in RUNS}


@pytest.mark.parametrize("run", RUNS)
def test_a_folder_predicts_as_its_run_does(
    run: str, project: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    write_images(project / "results/prepare" / RUNS[run], tmp_path / "images")
    one, two = tmp_path / "one", tmp_path / "two"
    predict(project, run, "--images", tmp_path / "images", "--out", one)
    model = shutil.copytree(folders[run], tmp_path / "model")
    away = tmp_path / "away"
    away.mkdir()  # no params.yaml, no results
    predict(away, "--model", model, tmp_path / "images", "--out", two)
    if one.is_dir():
        files = sorted(path.name for path in one.iterdir())
        assert len(files) == 9 and files == sorted(path.name for path in two.iterdir())
        assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)
    else:
        assert one.read_text() == two.read_text()


@pytest.mark.parametrize("run", RUNS)
def test_the_program_of_torch_export_takes_any_number_of_images(
    run: str, project: Path, folders: dict[str, Path]
) -> None:
    network = torch.export.load(folders[run] / "model.pt2").module()
    trained = open_run(run, project)
    size = json.loads(metadata(folders[run]))["input_size"]
    images = torch.randn(7, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network(images), trained.model(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("run", RUNS)
def test_the_program_of_onnx_takes_any_number_of_images(
    run: str, project: Path, folders: dict[str, Path]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="`make onnx` installs it")
    path = folders[run] / "model.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    size = json.loads(metadata(folders[run]))["input_size"]
    images = torch.randn(5, 3, *size, generator=torch.Generator().manual_seed(0))
    (logits,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        expected = open_run(run, project).model(images).numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)


def metadata(folder: Path) -> str:
    with safe_open(folder / "model.safetensors", "pt") as file:
        return str(file.metadata()["reprise"])


@pytest.mark.parametrize("run", RUNS)
def test_the_metadata_say_what_the_network_is_and_where_it_comes_from(
    run: str, project: Path, folders: dict[str, Path]
) -> None:
    trained, text = open_run(run, project), metadata(folders[run])
    values: dict[str, Any] = json.loads(text)
    assert [entry["name"] for entry in values["classes"]] == list(trained.classes.names)
    model = f"results/{run}/model.safetensors"
    assert values["sha256"][model] == sha256(project / model)
    assert set(values["sha256"]) == {
        model, *(f"results/prepare/{RUNS[run]}/{name}" for name in ("dataset.json", "index.csv"))
    }  # fmt: skip
    mean, std = trained.mean_and_std
    assert (values["mean"], values["std"]) == (list(mean), list(std))
    weights = load_file(folders[run] / "model.safetensors")
    assert weights.keys() == trained.model.state_dict().keys()
    assert str(project) not in text  # nothing of this machine


def test_the_same_run_gives_the_same_bytes(
    project: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    run = "classify/dlcv2023/resnet101/0"
    export(run, tmp_path / "again", project)
    export(run, tmp_path / "again", project)  # an earlier export is replaced
    name = "model.safetensors"
    assert (tmp_path / "again" / name).read_bytes() == (folders[run] / name).read_bytes()


def test_probabilities_are_those_of_the_evaluation(
    project: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    run = "classify/dlcv2023/resnet101/0"
    write_images(project / "results/prepare/dlcv_50", tmp_path / "images")
    out = tmp_path / "classes.csv"
    predict(tmp_path, "--model", folders[run], tmp_path / "images", "--probabilities", "--out", out)
    table = pd.read_csv(out, dtype={"id": str, "label": str})
    names = open_model(folders[run]).classes.names
    assert list(table) == ["id", "filename", "label", *(f"p: {name}" for name in names)]
    shares = table[[f"p: {name}" for name in names]].to_numpy()
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-4)
    assert [names[i] for i in shares.argmax(1)] == list(table["label"])
    evaluated = pd.read_csv(project / "results" / run / "predictions.csv", dtype={"id": str})
    confidence = evaluated.set_index("id")["confidence"]
    expected = confidence[table["filename"].str.removesuffix(".png")]
    np.testing.assert_allclose(shares.max(1), expected, atol=1e-5)


def test_probabilities_of_a_mask_belong_to_it(
    project: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    run = "segment/dlcv2024/unet/0"
    Image.new("RGB", (90, 70), (9, 99, 9)).save(tmp_path / "a.png")
    out = tmp_path / "masks"
    predict(tmp_path, "--model", folders[run], tmp_path, "--probabilities", "--out", out)
    shares, mask = np.load(out / "a_mask.npy"), np.asarray(Image.open(out / "a_mask.png"))
    colors = np.array(open_model(folders[run]).classes.colors)
    assert shares.shape == (len(colors), 70, 90) and shares.dtype == np.float16
    np.testing.assert_allclose(shares.sum(0, dtype=np.float32), 1, atol=1e-2)
    ties = np.sort(shares, 0)[-1] == np.sort(shares, 0)[-2]  # of 16 bits
    assert ((colors[shares.argmax(0)] == mask).all(-1) | ties).all()


def test_classes_go_to_standard_output_and_masks_need_a_folder(
    project: Path, folders: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    predict(tmp_path, "--model", folders["classify/dlcv2023/resnet101/0"], tmp_path)
    assert capfd.readouterr().out.startswith("id,filename,label\n0,a.png,")
    message = error_of(tmp_path, caplog, "--model", folders["segment/dlcv2024/unet/0"], tmp_path)
    assert message.endswith("predicts masks; pass --out FOLDER")


def test_the_card_says_how_it_is_used_and_how_good_it_is(project: Path, tmp_path: Path) -> None:
    copy, run = tmp_path / "project", "classify/dlcv2023/resnet101/0"
    shutil.copytree(project, copy, symlinks=True)
    export(run, tmp_path / "without", copy)
    text = (tmp_path / "without" / "README.md").read_text()
    assert "Not evaluated: `results/tables/classify_dlcv2023.md` did not have this run." in text
    tables = copy / "results" / "tables"
    tables.mkdir()
    table = "| Run | Test accuracy |\n|---|---:|\n| cnn | 0.1111 |\n| resnet101 | 0.2222 |\n"
    note = "Dataset dlcv_50: measured on 9 images."
    (tables / "classify_dlcv2023.md").write_text(
        f"{table}\n{note}\n\ncnn - resnet101: -11 points.\n"
    )
    seeds = "stage,task,run,seed,metric,test,val,correct,n\n"
    seeds += "classify,dlcv2023,resnet101,0,accuracy,0.25,0.375,2,9\n"
    (tables / "seeds.csv").write_text(seeds)
    export(run, tmp_path / "with", copy)
    card = (tmp_path / "with" / "README.md").read_text()
    assert "accuracy 0.2500 on test, 0.3750 on val" in card
    assert "| resnet101 | 0.2222 |" in card and "| cnn |" not in card and note in card
    assert "reprise predict --model" in card and 'torch.export.load("model.pt2")' in card
    for name in ("model.safetensors", "model.pt2"):
        assert f"`{name}`: sha256 {sha256(tmp_path / 'with' / name)}" in card
    assert str(tmp_path) not in card


def test_the_cards_python_gives_the_logits_of_the_run(
    project: Path, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = "classify/dlcv2023/resnet101/0"
    card = (folders[run] / "README.md").read_text()
    code = card.partition("```python\n")[2].partition("```")[0]
    (path,) = write_images(project / "results/prepare/dlcv_50", tmp_path / "images", 1)
    trained = open_run(run, project)
    image = trained.read(path)[None]
    monkeypatch.chdir(folders[run])
    names: dict[str, Any] = {"rgb": torch.tensor(image)}
    exec(code, names)
    if tuple(image.shape[1:3]) == (32, 32):
        torch.testing.assert_close(names["logits"], trained.logits(image), rtol=0.02, atol=0.02)


def test_a_network_that_cannot_be_traced_is_exported_as_weights(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("data-dependent\ncontrol flow")

    monkeypatch.setattr(torch.export, "export", refuse)
    export("classify/dlcv2023/resnet101/0", tmp_path / "out", project)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "model.safetensors",
        "README.md",
    }
    assert "model.pt2: not written: data-dependent control flow" in caplog.text


def test_without_the_packages_of_onnx_a_line_names_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    missing: Callable[[str], Any] = lambda name: None if name == "onnx" else find(name)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", missing)
    network = torch.nn.Conv2d(3, 2, 3).eval()
    left_out = programs.write_programs(tmp_path, network, (8, 8))
    assert (
        left_out == {"model.onnx": "needs the packages onnx: pip install -r requirements/onnx.txt"}
        or "onnxscript" in left_out["model.onnx"]
    )
    assert (tmp_path / "model.pt2").is_file() and not (tmp_path / "model.onnx").exists()


def test_a_program_with_other_logits_is_refused() -> None:
    network = torch.nn.Conv2d(3, 2, 3).eval()
    with pytest.raises(RepriseError, match=r"model.pt2: its logits differ .* by 1; "):
        programs.check("model.pt2", lambda images: network(images) + 1, network, (8, 8))


def change(folder: Path, key: str, value: Any) -> None:
    """Write another value into the metadata."""
    path = folder / "model.safetensors"
    values = json.loads(metadata(folder)) | {key: value}
    save_file(load_file(path), path, {"reprise": json.dumps(values)})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "not found; pass a folder that"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 99), "cannot be read as weights"),
        (lambda f: save_file({"a": torch.ones(1)}, f / "model.safetensors"), "was not exported"),
        (lambda f: change(f, "format", 2), "format: Input should be 1"),
        (lambda f: change(f, "mean", [0.1, 0.2]), "mean: List should have at least 3 items"),
        (lambda f: change(f, "recipe", {"epochs": 1}), "recipe.batch_size: Field required"),
        (lambda f: change(f, "classes", [{"id": 0, "name": "a"}]), "does not fit the network"),
    ],
)
def test_a_damaged_folder_ends_in_one_line(
    damage: Callable[[Path], Any], message: str, folders: dict[str, Path], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    model = shutil.copytree(folders["classify/dlcv2023/resnet101/0"], tmp_path / "model")
    damage(model)
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    line = error_of(tmp_path, caplog, "--model", model, tmp_path, "--out", tmp_path / "o.csv")
    assert message in line and "\n" not in line and not (tmp_path / "o.csv").exists()


def test_a_folder_with_other_files_is_kept(project: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    run = "classify/dlcv2023/resnet101/0"
    with pytest.raises(RepriseError, match="has other files, such as thesis.tex"):
        export(run, tmp_path, project)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RepriseError, match="is not a folder"):
        export(run, tmp_path / "file", project)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("name", ["README.md", "model.pt2", "model.safetensors"])
def test_files_of_its_names_that_it_has_not_written_are_kept(
    name: str, project: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("somebody else's")
    with pytest.raises(RepriseError, match="is not an earlier export .*; pass a new folder"):
        export("classify/dlcv2023/resnet101/0", tmp_path, project)
    assert (tmp_path / name).read_text() == "somebody else's"


@pytest.mark.parametrize(
    ("key", "value"),
    [("architecture", "lite0"), ("architecture", "none"), ("kind", "segmentation")],
)
def test_metadata_that_contradict_the_recipe_are_one_line(
    key: str, value: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    source = folders["classify/dlcv2023/resnet101/0"]
    text = json.dumps(json.loads(metadata(source)) | {key: value})
    weights = load_file(source / "model.safetensors")
    save_file(weights, tmp_path / "model.safetensors", {"reprise": text})
    with pytest.raises(RepriseError, match=f"model.safetensors: {key}: is {value}, but classify"):
        open_model(tmp_path)
