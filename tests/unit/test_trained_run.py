"""A trained run is found by name, and used only with the recipe and the model of its training."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from support.trained_project import error_of, predict, tiny

from reprise.images import resize_and_crop
from reprise.params.training import Augment
from reprise.predict.trained_run import TrainedRun

RUN = "classify/dlcv2023/resnet101/0"


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
    message = error_of(project, caplog, "classify/dlcv2023/resnet/0", *options)
    assert "no trained run 'classify/dlcv2023/resnet/0'" in message
    assert f"did you mean '{RUN}'?" in message
    assert "segment/dlcv2024/unet/0" in message and "\n" not in message
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
    values["classify"]["dlcv2023"]["recipes"]["resnet101"]["normalize"] = "imagenet"
    (copy / "params.yaml").write_text(yaml.safe_dump(values))
    message = error_of(copy, caplog, *command)
    assert "classify.dlcv2023.recipes.resnet101 has changed since" in message
    task = values["classify"]["dlcv2023"]
    task["runs"].remove("resnet101")
    del task["recipes"]["resnet101"], task["comparisons"]
    (copy / "params.yaml").write_text(yaml.safe_dump(values))
    message = error_of(copy, caplog, *command)
    assert "classify.dlcv2023.recipes.resnet101 is missing" in message
    values = tiny()
    values["plot"]["dpi"] = 50  # does not concern this run
    (copy / "params.yaml").write_text(yaml.safe_dump(values))
    predict(copy, *command)
    out.unlink()
    model = copy / "results" / RUN / "model.safetensors"
    model.write_bytes(model.read_bytes()[:1000])
    assert "model.safetensors: cannot be read as weights" in error_of(copy, caplog, *command)
    assert not out.exists()


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({}, lambda image: resize_and_crop(image, 16, Image.Resampling.BILINEAR)),
        ({"interpolation": "bicubic"},
         lambda image: resize_and_crop(image, 16, Image.Resampling.BICUBIC)),
        ({"resize": "squash"}, lambda image: image.resize((16, 16), Image.Resampling.BILINEAR)),
        ({"resize": "squash", "interpolation": "bicubic"},
         lambda image: image.resize((16, 16), Image.Resampling.BICUBIC)),
    ],
)  # fmt: skip
def test_an_image_is_brought_to_size_as_those_of_the_dataset_were(
    tmp_path: Path, info: dict[str, str], expected: Callable[[Image.Image], Image.Image]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 45, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image.save(tmp_path / "a.png")
    dataset = SimpleNamespace(info=info, height=16, width=16)
    values: Any = {"dataset": dataset, "recipe": SimpleNamespace(augment=Augment())}
    names = ("job", "model", "classes", "device", "inputs")
    run = TrainedRun(**values, **dict.fromkeys(names))
    assert np.array_equal(run.read(tmp_path / "a.png"), np.asarray(expected(image)))


def test_a_network_of_crops_reads_windows_of_their_size_at_the_images_scale() -> None:
    dataset = SimpleNamespace(height=360, width=480, scaling="resized")
    recipe = SimpleNamespace(augment=Augment(crop_pixels=256))
    values: Any = {"dataset": dataset, "recipe": recipe}
    run = TrainedRun(**values, **dict.fromkeys(("job", "model", "classes", "device", "inputs")))
    assert run.shape == (256, 256) and run.cut


@pytest.mark.parametrize(("side", "cut"), [(480, False), (256, True)])
def test_crops_as_large_as_the_images_cut_nothing(side: int, cut: bool) -> None:
    dataset = SimpleNamespace(height=480, width=480, scaling="resized")
    recipe = SimpleNamespace(augment=Augment(crop_pixels=side))
    values: Any = {"dataset": dataset, "recipe": recipe}
    run = TrainedRun(**values, **dict.fromkeys(("job", "model", "classes", "device", "inputs")))
    assert run.cut is cut
