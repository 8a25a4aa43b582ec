"""A trained run is found by name, and used only with the recipe and the model of its training."""

import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image
from support.trained_project import error_of, predict, tiny

RUN = "classify/baseline/dlcv2023_resnet101/0"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with one image."""
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (32, 32)).save(folder / "a.png")
    return folder


def test_an_unknown_run_is_an_error_that_lists_the_trained_runs(
    project: Path, images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = ("--images", images, "--out", images.parent / "x.csv")
    message = error_of(project, caplog, "classify/baseline/dlcv2023_resnet/0", *options)
    assert "no trained run 'classify/baseline/dlcv2023_resnet/0'" in message
    assert f"did you mean '{RUN}'?" in message
    assert "segment/baseline/dlcv2024_unet/0" in message and "\n" not in message
    assert "no trained run" in error_of(project, caplog, f"../{RUN}", *options)
    empty = images.parent / "empty"
    empty.mkdir()
    shutil.copy(project / "params.yaml", empty)
    assert "no trained runs; `make run`" in error_of(empty, caplog, RUN, *options)


def test_a_changed_recipe_and_a_damaged_model_are_errors(
    project: Path, images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = images.parent / "project"
    shutil.copytree(project, copy, symlinks=True)
    out = images.parent / "x.csv"
    command = (RUN, "--images", images, "--out", out)
    values = tiny()
    values["classify"]["baseline"]["recipes"]["dlcv2023_resnet101"]["normalize"] = "imagenet"
    (copy / "params.yaml").write_text(yaml.safe_dump(values))
    message = error_of(copy, caplog, *command)
    assert "classify.baseline.recipes.dlcv2023_resnet101 has changed since" in message
    task = values["classify"]["baseline"]
    task["runs"].remove("dlcv2023_resnet101")
    del task["recipes"]["dlcv2023_resnet101"], task["comparisons"]
    (copy / "params.yaml").write_text(yaml.safe_dump(values))
    message = error_of(copy, caplog, *command)
    assert "classify.baseline.recipes.dlcv2023_resnet101 is missing" in message
    values = tiny()
    values["plot"]["dpi"] = 50  # does not concern this run
    (copy / "params.yaml").write_text(yaml.safe_dump(values))
    predict(copy, *command)
    out.unlink()
    model = copy / "results" / RUN / "model.safetensors"
    model.write_bytes(model.read_bytes()[:1000])
    assert "model.safetensors: cannot be read as weights" in error_of(copy, caplog, *command)
    assert not out.exists()
