"""engines/resources: bounds of memory and time that hold for the networks as they are."""

from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from support.training import datasets_of

from reprise.datasets.layouts import LAYOUTS
from reprise.engines import resources
from reprise.engines.preset import render
from reprise.engines.resources import Resources, array_shape, over_all_jobs, preparation, training
from reprise.params.load import Params, parse
from reprise.params.models import names
from reprise.training.networks import layer_table

ROOT = Path(__file__).parents[2]
# jobs on two cores of an AMD EPYC that other jobs shared, one thread each: epochs, images of all
# splits, their side, CPU seconds, peak MiB
MEASURED = {
    ("pretrain", "earth", "byol"): (6, 2403, 32, 82.1, 1010),
    ("pretrain", "earth", "supervised"): (6, 2403, 32, 37.5, 954),
    ("finetune", "earth", "A"): (9, 841, 32, 9.2, 813),
}


def preset(name: str) -> Params:
    return parse(YAML(typ="safe", pure=True).load(render(name, ROOT / "presets")))


def images(folder: Path, count: int, side: int) -> Path:
    """The file of a prepared dataset, with a hole where its pixels would be."""
    path = folder / f"{count}_{side}.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, side, side, 3))
    return path


def test_the_shape_of_an_array_is_read_from_its_header(tmp_path: Path) -> None:
    assert array_shape(images(tmp_path, 5, 16)) == (5, 16)
    with pytest.raises(FileNotFoundError):  # which Snakemake takes for: ask again later
        training(preset("earth"), "pretrain", "earth", "byol", tmp_path / "none.npy", 0)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x93NUMPY\x01\0\xff\xff{'shape': (", b"\xff" * 99]
)
def test_a_damaged_dataset_has_bounds_too(content: bytes, tmp_path: Path) -> None:
    """Its job says what is wrong; an error here would end Snakemake in a traceback."""
    path = tmp_path / "images.npy"
    path.write_bytes(content)
    bound = training(preset("earth"), "pretrain", "earth", "byol", path, 0)
    assert bound.mem_mb > 1000 and bound.runtime == resources.SHORTEST


@pytest.mark.parametrize("job", MEASURED)
def test_bounds_hold_for_measured_jobs_and_are_not_absurd(
    job: tuple[str, str, str], tmp_path: Path
) -> None:
    epochs, count, side, seconds, peak = MEASURED[job]
    bound = training(preset("earth"), *job, images(tmp_path, count, side), gpu=0)
    stage, task, run = job
    block = getattr(preset("earth"), stage)[task]
    recipe = block.training(run) if stage == "finetune" else block.recipes[run]
    needed = seconds * recipe.epochs / epochs / 60
    assert 2 * needed + 5 < bound.runtime < 60
    assert 1.2 * peak < bound.mem_mb < 4 * peak


def test_the_course_gets_hours_and_a_gpu_shortens_them(tmp_path: Path) -> None:
    """Its pretraining was killed after the 60 minutes that the rule declared."""
    params = preset("course")
    file = images(tmp_path, 38_400, 128)
    task, block = next(iter(params.pretrain.items()))
    run = next(name for name in block.runs if block.recipes[name].method == "byol")
    on_cpu = training(params, "pretrain", task, run, file, gpu=0)
    on_gpu = training(params, "pretrain", task, run, file, gpu=1)
    assert on_cpu.runtime > on_gpu.runtime > 60
    assert on_cpu.mem_mb > 3 * file.stat().st_size / 2**20


def test_each_attempt_gets_more(tmp_path: Path) -> None:
    params, file = preset("earth"), images(tmp_path, 100, 32)
    first, second = (
        training(params, "pretrain", "earth", "byol", file, 0, attempt) for attempt in (1, 2)
    )
    assert second == Resources(2 * first.mem_mb, 2 * first.runtime)
    assert preparation(params, "climate", 3).runtime == 3 * preparation(params, "climate").runtime
    assert over_all_jobs(10, 2).mem_mb == 2 * over_all_jobs(10).mem_mb


def test_the_preparation_of_a_course_has_room_for_its_images_twice() -> None:
    params = preset("course")
    for name, recipe in params.datasets.items():
        count, side = resources.COURSE_IMAGES.get(recipe.layout, resources.LARGE)
        side = recipe.size or side
        assert preparation(params, name).mem_mb > 1000 + 2 * count * side**2 * 4 / 2**20


def test_every_layout_has_its_number_of_images() -> None:
    for name, layout in LAYOUTS.items():
        assert resources.COURSE_IMAGES.get(name, resources.LARGE)[0] >= sum(
            layout.published.values()
        )


def test_costs_name_networks_that_exist() -> None:
    known = {name for kind in ("BACKBONES", "CLASSIFIERS", "SEGMENTERS") for name in names(kind)}
    assert resources.COSTS.keys() <= known


@pytest.mark.parametrize("name", ["earth", "course"])
def test_no_network_costs_much_more_than_its_bound_assumes(name: str) -> None:
    """The multiply-adds of the networks, counted on torch's meta device, per pixel."""
    params = preset(name)
    layers = layer_table(params, datasets_of(params))
    layers["pixels"] = [int(size.split(" x ")[1]) ** 2 for size in layers["input"]]
    trained = layers[layers["stage"] != "segment_anything"]
    for (stage, task, run), rows in trained.groupby(["stage", "task", "run"]):
        block = getattr(params, stage)[task]
        recipe = block.training(run) if stage == "finetune" else block.recipes[run]
        network = getattr(recipe, "model", getattr(recipe, "backbone", ""))
        assumed = 1e3 * resources.COSTS.get(network, resources.OTHER)
        assumed *= getattr(recipe, "width_mult", 1.0) ** 2
        counted = rows["multiply_adds"].sum() / rows["pixels"].iloc[0]
        assert counted < 1.3 * assumed, (stage, task, run)
