"""engines/resources: bounds of memory and time that hold for the networks as they are."""

import tracemalloc
from importlib import import_module
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from support.course_folders import load_folder
from support.ssl_methods import METHODS, recipe_of
from support.training import datasets_of
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from reprise.datasets.synthetic import LayoutVariant, write_synthetic
from reprise.datasets.writer import write_dataset
from reprise.engines import resources
from reprise.engines.preset import render
from reprise.engines.resources import Resources, array_shape, over_all_jobs, preparation, training
from reprise.errors import RepriseError
from reprise.jobs import STAGES, tasks
from reprise.models.build import build_backbone
from reprise.params.datasets import CourseDataset
from reprise.params.load import Params, parse
from reprise.params.models import names
from reprise.params.pretrain import methods
from reprise.training.networks import _network, layer_table

ROOT = Path(__file__).parents[2]
LAYOUTS = get_args(CourseDataset.model_fields["layout"].annotation)
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


def test_a_preparation_gets_what_the_number_of_registered_files_needs(tmp_path: Path) -> None:
    params = preset("course")
    table = tmp_path / f"{params.datasets['deepglobe'].registered_as}.csv"
    assert preparation(params, "deepglobe", raw=tmp_path) == Resources(1000, resources.SHORTEST)
    digest = "0" * 64
    table.write_text("file,bytes,sha256\n" + f"train/0000_sat.jpg,9,{digest}\n" * 40_000)
    bound = preparation(params, "deepglobe", raw=tmp_path)
    assert bound.mem_mb > 1000 + 40_000 * resources.KEPT / 2**20
    assert bound.runtime >= resources.SHORTEST + 40_000 // 500


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_preparation_keeps_little_of_an_image(layout: str, tmp_path: Path) -> None:
    """However large images are, a hundred thousand of them fit; one by one they are decoded."""

    def peak(per_class: int) -> tuple[int, int]:
        folder = tmp_path / str(per_class)
        folder.mkdir()
        write_synthetic(folder, layout, per_class, LayoutVariant())
        tracemalloc.reset_peak()
        start = tracemalloc.get_traced_memory()[0]
        dataset = load_folder(folder, layout, size=224)
        write_dataset(tmp_path / f"out_{per_class}", "a", dataset)
        return tracemalloc.get_traced_memory()[1] - start, len(dataset.images)

    tracemalloc.start()
    try:
        peak(4)  # imports
        (few, n_few), (many, n_many) = peak(5), peak(12)
    finally:
        tracemalloc.stop()
    assert n_many > n_few + 4
    assert many - few < (n_many - n_few) * resources.KEPT + 200_000
    assert few < 200 * 2**20


def test_costs_name_networks_that_exist() -> None:
    known = {name for kind in ("BACKBONES", "CLASSIFIERS", "SEGMENTERS") for name in names(kind)}
    assert resources.COSTS.keys() <= known


def test_every_method_has_its_passes() -> None:
    assert resources.PASSES.keys() == set(methods())


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_step_of_a_method_costs_the_passes_that_its_bound_assumes(method: str) -> None:
    """Multiply-adds of a step, counted on torch's meta device, against those of the backbone."""
    with torch.device("meta"):
        build = getattr(import_module(f"reprise.training.ssl.{method}"), METHODS[method][0])
        model = build(build_backbone("resnet10", "small"), recipe_of(method))
        views = torch.randn(2, 6, 3, 32, 32)
        with FlopCounterMode(display=False) as once, torch.no_grad():
            model.encoder(views[0])
        with FlopCounterMode(display=False) as step:
            model(*views).backward()
    passes = step.get_total_flops() / once.get_total_flops()
    assert 0.9 * passes < resources.PASSES[method] < 1.2 * passes


def test_a_large_projector_gets_memory(tmp_path: Path) -> None:
    """VICReg's and Barlow Twins' have several times the weights of a ResNet-50."""
    values = {"method": "barlow_twins", "backbone": "resnet50", "stem": "imagenet", "epochs": 1}
    values |= {"batch_size": 8, "learning_rate": 0.1, "augment": {"min_scale": 0.5}}
    recipe = import_module("reprise.params.barlow_twins").Recipe.model_validate(values)
    with torch.device("meta"):
        layers = import_module("reprise.training.ssl.barlow_twins").pretrain.__self__
        projector = layers.trained_layers(recipe, 2)["projector"]
    count = sum(p.numel() for p in projector.parameters())
    assert count > 1e8
    assert count < resources.projector(recipe) < 4 * count


@pytest.mark.parametrize("name", ["earth", "study", "course", "course-smoke"])
def test_no_network_needs_more_memory_than_its_bound_assumes(name: str) -> None:
    """What a forward pass keeps for the backward one, in float32, and the parameters."""
    params = preset(name)
    datasets = datasets_of(params)
    seen = set()
    for stage, _, task in tasks(params, *STAGES):
        for run in task.runs:
            with torch.device("meta"):
                model, network, size = _network(stage, task, run, datasets[task.data])
            recipe = task.common if stage == "finetune" else task.recipes[run]
            width = getattr(recipe, "width_mult", 1.0)
            if (model, size, width) in seen or size[0] > 256:
                continue
            seen.add((model, size, width))
            parameters = sum(p.numel() for p in network.parameters())
            assumed = 1e6 * resources.COSTS.get(model, resources.OTHER)[1] * width**2
            head = 4e6 if stage == "finetune" else 2e6
            assert parameters < assumed + resources.projector(recipe) + head, (stage, model)
            if stage == "pretrain":
                network = network[0]
            kept = kept_bytes(network, torch.empty(2, 3, *size, device="meta"))
            assert kept / (2 * size[0] * size[1]) < resources.ACTIVATIONS, (stage, model)


def kept_bytes(network: nn.Module, images: torch.Tensor) -> int:
    """Bytes of the tensors, other than parameters, that the backward pass needs."""
    own = {t.untyped_storage()._cdata for t in (*network.parameters(), *network.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        network.train()(images)
    return sum(storage.nbytes() for key, storage in kept.items() if key not in own)


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
        assumed = 1e3 * resources.COSTS.get(network, resources.OTHER)[0]
        assumed *= getattr(recipe, "width_mult", 1.0) ** 2
        counted = rows["multiply_adds"].sum() / rows["pixels"].iloc[0]
        assert counted < 1.3 * assumed, (stage, task, run)


def with_processes(count: int, micro_batches: int) -> Params:
    values = YAML(typ="safe", pure=True).load(render("earth", ROOT / "presets"))
    values["runtime"]["processes"] = count
    values["pretrain"]["earth"]["recipes"]["byol"]["micro_batches"] = micro_batches
    return parse(values)


def test_a_training_by_several_processes_is_shorter_and_needs_more_memory(tmp_path: Path) -> None:
    path, byol = images(tmp_path, 50_000, 64), ("pretrain", "earth", "byol")
    one, four = (training(with_processes(n, 4), *byol, path, 0) for n in (1, 4))
    waiting = resources.SHORTEST
    assert one.runtime - waiting == pytest.approx(4 * (four.runtime - waiting), abs=4)
    assert four.mem_mb > one.mem_mb + 3 * resources.PROCESS
    # a recipe whose batches are not cut into pieces has one process
    supervised = ("pretrain", "earth", "supervised")
    alone = training(with_processes(1, 4), *supervised, path, 0)
    assert training(with_processes(4, 4), *supervised, path, 0) == alone


def test_a_profile_with_fewer_gpus_than_processes_is_one_line() -> None:
    params = with_processes(4, 4)
    for block in ({}, {"pretrain": {"gpu": 4}}, {"pretrain": {"gpu": 0}}, {"classify": {"gpu": 1}}):
        resources.check_gpus(params, block)
    line = "set-resources: pretrain: gpu is 1, but pretrain.earth.byol has 4 processes, a GPU each"
    with pytest.raises(RepriseError, match=line) as error:
        resources.check_gpus(params, {"pretrain": {"gpu": "1"}})
    assert "\n" not in str(error.value)
