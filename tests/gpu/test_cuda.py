"""The same views, losses, features and files on a GPU, and no step that waits for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from support import killable_job
from support.small_datasets import small_dataset, write_and_read
from support.training import job_context, no_checkpoint
from torch import Tensor, nn

from reprise.datasets.batches import Batches
from reprise.datasets.prepared import PreparedDataset
from reprise.models.build import build_backbone, build_finetuned, build_segmenter
from reprise.params import byol as byol_params
from reprise.params import supervised as supervised_params
from reprise.params.finetune import FinetuneCommon
from reprise.params.segment import SegmentRecipe
from reprise.params.training import Augment, Runtime
from reprise.training import loop
from reprise.training.classification import CachedFeatures, train_classifier
from reprise.training.loop import Progress, make_optimizer
from reprise.training.runtime import Device, configure_torch
from reprise.training.segmentation import load_targets, train_segmenter
from reprise.training.ssl import byol, supervised
from reprise.training.ssl.byol import Byol

GPU = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible"),
]
COUNT, SIZE = 48, 32
RECIPES = {
    "everything": Augment(
        min_scale=0.3, dihedral=True, degrees=20, translate=0.1, brightness=0.4, contrast=0.4,
        saturation=0.4, hue=0.1, grayscale_p=0.3,
    ),
    "byol": Augment(min_scale=0.2, dihedral=True, brightness=0.05, contrast=0.05, saturation=0.05),
    "dihedral": Augment(dihedral=True),
    "colour": Augment(flip=True, brightness=0.2, contrast=0.4, grayscale_p=0.2),
}  # fmt: skip
BYOL = byol_params.Recipe(
    method="byol", epochs=2, batch_size=8, learning_rate=0.001, weight_decay=1e-4,
    backbone="resnet10", stem="small", proj_hidden_dim=64, proj_output_dim=16,
    augment=RECIPES["byol"], allow_collapse=True, knn_k=3,
)  # fmt: skip
FINETUNE = FinetuneCommon(
    backbone="resnet10", stem="small", head_hidden_dim=8, feature_epochs=[2], epochs=2,
    batch_size=8, learning_rate=0.01, augment=Augment(dihedral=True),
)  # fmt: skip
SEGMENT = SegmentRecipe(
    model="deeplabv3", image_size=SIZE, epochs=2, batch_size=8, learning_rate=0.01,
    augment=RECIPES["byol"],
)  # fmt: skip
SUPERVISED = supervised_params.Recipe(
    method="supervised", epochs=2, batch_size=8, learning_rate=0.01, backbone="resnet10",
    stem="small", knn_k=3, augment=Augment(
        flip=True, auto_augment=["trivial_wide", "autoaugment_cifar10", "cutout", "blur"]
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def cpu() -> Device:
    return configure_torch(Runtime(device="cpu", precision="float32"))


@pytest.fixture(scope="module")
def gpu() -> Device:
    return configure_torch(Runtime(device=GPU, precision="float32"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Coarse noise, brighter in class 1."""
    return write(tmp_path_factory.mktemp("classes"), np.arange(COUNT) % 2)


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """The same with label maps of squares."""
    squares = np.random.default_rng(1).integers(0, 2, (COUNT, 4, 4))
    labels = np.kron(squares, np.ones((1, SIZE // 4, SIZE // 4), np.int64))
    return write(tmp_path_factory.mktemp("maps"), labels)


def write(folder: Path, labels: np.ndarray) -> PreparedDataset:
    noise = np.random.default_rng(0).integers(0, 150, (COUNT, SIZE // 4, SIZE // 4, 3))
    noise = noise.repeat(4, 1).repeat(4, 2)
    bright = 90 * (labels[..., None] if labels.ndim == 3 else labels[:, None, None, None])
    images = (noise + bright).astype(np.uint8)
    splits = [split for split in ("train", "val", "test") for _ in range(COUNT // 3)]
    return write_and_read(folder, small_dataset(images, labels.astype(np.uint8), 2, splits))


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_a_view_is_the_same_on_a_gpu(
    maps: PreparedDataset, recipe: Augment, cpu: Device, gpu: Device
) -> None:
    rows, labels = np.arange(COUNT)[::-1].copy(), torch.from_numpy(np.array(maps.labels))
    for size in (None, 48):
        here = Batches(maps, recipe, 0, cpu.device, size)
        there = Batches(maps, recipe, 0, gpu.device, size)
        views, moved = there.train_batch_with_labels(rows, 2, labels.to(gpu.device), view=1)
        want, want_moved = here.train_batch_with_labels(rows, 2, labels, view=1)
        assert views.device.type == GPU
        assert views.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(views.cpu(), want, atol=2e-3)
        # a point halfway between two pixels may fall to either
        assert (moved.cpu() != want_moved).float().mean() < 0.002
        assert torch.allclose(
            there.fixed_symmetry(rows, 3).cpu(), here.fixed_symmetry(rows, 3), atol=1e-5
        )


def test_a_dataset_that_does_not_fit_gives_the_same_views(
    data: PreparedDataset, gpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(COUNT)
    resident = Batches(data, BYOL.augment, 0, gpu.device)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * data.images.nbytes - 2, 0))
    streamed = Batches(data, BYOL.augment, 0, gpu.device)
    assert resident.resident is not None and streamed.resident is None
    assert torch.equal(resident.train_batch(rows, 1), streamed.train_batch(rows, 1))


def test_a_step_of_byol_has_the_loss_of_the_cpu(
    data: PreparedDataset, cpu: Device, gpu: Device
) -> None:
    losses = []
    for device in (cpu, gpu):
        batches = Batches(data, BYOL.augment, 0, device.device)
        torch.manual_seed(0)
        sizes = {"proj_hidden_dim": 64, "proj_output_dim": 16, "base_tau": 0.9}
        model = Byol(build_backbone("resnet10", "small"), BYOL.model_copy(update=sizes))
        device.to_device(model)
        optimizer = make_optimizer(BYOL, model)
        for step in range(3):
            with device.autocast():
                loss = model(*(batches.train_batch(np.arange(16), step, view) for view in (0, 1)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.after_step(step + 1, 3)
            losses.append(loss.item())
    # the first is one forward pass; AdamW then divides by small gradients, which differ
    assert losses[3] == pytest.approx(losses[0], rel=2e-3)
    assert losses[3:] == pytest.approx(losses[:3], rel=0.1)


def test_cached_features_are_those_of_the_cpu(
    data: PreparedDataset, cpu: Device, gpu: Device
) -> None:
    rows, features = data.rows("train"), []
    for device in (cpu, gpu):
        torch.manual_seed(0)
        backbone = build_backbone("resnet10", "small").freeze()
        device.to_device(backbone)
        batches = Batches(data, FINETUNE.augment, 0, device.device)
        cached = CachedFeatures(batches, backbone, rows, device)
        features.append(torch.cat([cached.train_batch(rows, 1), cached.eval_batch(rows)]).cpu())
    assert torch.allclose(features[0], features[1], atol=0.01 * float(features[0].abs().max()))


def pretraining(data: PreparedDataset, device: Device, method: Any, recipe: Any) -> list[Any]:
    torch.manual_seed(0)
    return list(method.pretrain(job_context(data, recipe, device), no_checkpoint(), {}))


def classifier(data: PreparedDataset, device: Device, frozen: bool) -> list[Any]:
    torch.manual_seed(0)
    model = build_finetuned(FINETUNE, 2)
    if frozen:
        model.backbone.freeze()
    context = job_context(data, FINETUNE, device)
    result = train_classifier(model, context, no_checkpoint(), "train", [2])
    return [result.state, result.history]


def segmentation(data: PreparedDataset, device: Device, loss: str) -> list[Any]:
    torch.manual_seed(0)
    recipe = SEGMENT.model_copy(update={"loss": loss})
    context, targets = job_context(data, recipe, device, SIZE), load_targets(data, None)
    model = build_segmenter(SEGMENT, 2)
    result = train_segmenter(model, context, no_checkpoint(), targets, {"0032": 32})
    return [result.state, result.history]


TRAININGS: dict[str, Callable[[PreparedDataset, PreparedDataset, Device], list[Any]]] = {
    "byol": lambda data, maps, device: pretraining(data, device, byol, BYOL),
    "policies": lambda data, maps, device: pretraining(data, device, supervised, SUPERVISED),
    "full": lambda data, maps, device: classifier(data, device, frozen=False),
    "frozen": lambda data, maps, device: classifier(data, device, frozen=True),
    "cross_entropy": lambda data, maps, device: segmentation(maps, device, "cross_entropy"),
    "weighted": lambda data, maps, device: segmentation(maps, device, "weighted_cross_entropy"),
    "bce": lambda data, maps, device: segmentation(maps, device, "bce"),
}


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("precision", ["float32", "auto", "float16"])
def test_two_trainings_give_the_same_bytes(
    name: str, precision: str, data: PreparedDataset, maps: PreparedDataset
) -> None:
    device = configure_torch(Runtime(device=GPU, precision=precision))
    first, second = (TRAININGS[name](data, maps, device) for _ in range(2))
    assert first[1] == second[1], "the histories differ"
    assert first[0].keys() == second[0].keys()
    for key, value in first[0].items():
        assert torch.equal(value, second[0][key]), key


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("precision", ["auto", "float16"])
def test_no_step_waits_for_the_gpu(
    name: str, precision: str, data: PreparedDataset, maps: PreparedDataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    watched = []

    def unwaiting(function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object) -> object:
            if len(watched) < 4:  # the first steps build plans and caches
                watched.append(False)
                return function(*args)
            torch.cuda.set_sync_debug_mode("error")
            try:
                result = function(*args)
            finally:
                torch.cuda.set_sync_debug_mode("default")
            watched.append(True)
            return result

        return call

    monkeypatch.setattr(loop, "step", unwaiting(loop.step))
    monkeypatch.setattr(Progress, "add", unwaiting(Progress.add))
    monkeypatch.setattr(Byol, "after_step", unwaiting(Byol.after_step))
    TRAININGS[name](data, maps, configure_torch(Runtime(device=GPU, precision=precision)))
    assert sum(watched) >= 4


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_optimizers_are_fused(name: str, gpu: Device) -> None:
    model = nn.Linear(3, 2).to(gpu.device)
    optimizer = make_optimizer(BYOL.model_copy(update={"optimizer": name}), model)
    assert all(group["fused"] for group in optimizer.param_groups)
    before = model.weight.detach().clone()
    model(torch.ones(2, 3, device=gpu.device)).sum().backward()
    optimizer.step()
    assert not torch.equal(model.weight, before)


@pytest.mark.parametrize("precision", ["auto", "float32", "float16"])
def test_batches_are_multiplied_in_their_precision_with_channels_last(
    precision: str, data: PreparedDataset
) -> None:
    device = configure_torch(Runtime(device="auto", precision=precision))
    native = torch.cuda.get_device_capability() >= (8, 0)
    auto = torch.bfloat16 if native else torch.float32
    dtype = auto if precision == "auto" else getattr(torch, precision)
    assert device.device.type == GPU and device.dtype == dtype
    seen: list[Tensor] = []
    backbone = build_backbone("resnet10", "small")
    device.to_device(backbone)
    backbone.net.layer1.register_forward_hook(lambda module, given, out: seen.append(out))
    batches = Batches(data, BYOL.augment, 0, device.device)
    with device.autocast():
        batch = batches.train_batch(np.arange(8), 1)
        backbone(batch)
    assert batch.dtype == torch.float32
    assert seen[0].dtype == dtype
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
def test_whole_jobs_run_on_a_gpu_to_the_same_bytes(tmp_path: Path) -> None:
    killable_job.write_inputs(tmp_path)
    path, yaml = tmp_path / "params.yaml", YAML()
    params = yaml.load(path.read_text())
    params["runtime"] |= {"device": GPU, "precision": "auto"}
    params["pretrain"]["earth"]["recipes"]["byol"]["allow_collapse"] = True
    yaml.dump(params, path)
    for job in killable_job.JOBS:
        for name in ("one", "two"):
            killable_job.finish(tmp_path, job, tmp_path / name / job, seconds="1000")
        one, two = (killable_job.files_of(tmp_path / name / job) for name in ("one", "two"))
        assert one == two and len(one) >= 2, job
        assert "history.csv" in one
