"""The same views, losses, features and files on a GPU, and no step that waits for it."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from torch import Tensor, nn

from reprise.data.inputs import Inputs
from reprise.data.store import Prepared, PreparedSet, open_set, write_set
from reprise.models.backbone import resnet
from reprise.models.classifier import with_head
from reprise.models.segmentation import segmenter
from reprise.params import (
    Augment,
    ByolPretraining,
    FinetuneCommon,
    Runtime,
    SegmentRecipe,
    SupervisedPretraining,
)
from reprise.training import loop
from reprise.training.byol import Byol
from reprise.training.checkpoint import Checkpoint
from reprise.training.classification import FrozenFeatures, train_classifier
from reprise.training.loop import Progress, make_optimizer
from reprise.training.pretraining import pretrain_byol, pretrain_supervised
from reprise.training.runtime import Device, set_up
from reprise.training.segmentation import train_segmenter, truth_of

ROOT = Path(__file__).parents[2]
GPU = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible"),
]
COUNT, SIZE = 48, 32
RECIPES = {
    "everything": Augment(
        crop=0.3, dihedral=True, rotate=20, shift=0.1, brightness=0.4, contrast=0.4,
        saturation=0.4, hue=0.1, grey=0.3,
    ),
    "byol": Augment(crop=0.2, dihedral=True, brightness=0.05, contrast=0.05, saturation=0.05),
    "dihedral": Augment(dihedral=True),
    "colour": Augment(flip=True, brightness=0.2, contrast=0.4, grey=0.2),
}  # fmt: skip
BYOL = ByolPretraining(
    epochs=2, batch_size=8, learning_rate=0.001, weight_decay=1e-4, backbone="resnet10",
    stem="small", hidden=64, projection=16, augment=RECIPES["byol"], allow_collapse=True,
    neighbours=3,
)  # fmt: skip
FINETUNE = FinetuneCommon(
    backbone="resnet10", stem="small", hidden=8, features=[2], epochs=2, batch_size=8,
    learning_rate=0.01, augment=Augment(dihedral=True),
)  # fmt: skip
SEGMENT = SegmentRecipe(
    model="deeplabv3", image_size=SIZE, epochs=2, batch_size=8, learning_rate=0.01,
    augment=RECIPES["byol"],
)  # fmt: skip
SUPERVISED = SupervisedPretraining(
    epochs=2, batch_size=8, learning_rate=0.01, backbone="resnet10", stem="small", neighbours=3,
    augment=Augment(flip=True, policy=["trivial_wide", "autoaugment_cifar10", "cutout", "blur"]),
)  # fmt: skip


@pytest.fixture(scope="module")
def cpu() -> Device:
    return set_up(Runtime(device="cpu", precision="float32"))


@pytest.fixture(scope="module")
def gpu() -> Device:
    return set_up(Runtime(device=GPU, precision="float32"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    """Coarse noise, brighter in class 1."""
    return write(tmp_path_factory.mktemp("classes"), np.arange(COUNT) % 2, "classification")


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    """The same with label maps of squares."""
    squares = np.random.default_rng(1).integers(0, 2, (COUNT, 4, 4))
    labels = np.kron(squares, np.ones((1, SIZE // 4, SIZE // 4), np.int64))
    return write(tmp_path_factory.mktemp("maps"), labels, "segmentation")


def write(folder: Path, labels: np.ndarray, task: str) -> PreparedSet:
    noise = np.random.default_rng(0).integers(0, 150, (COUNT, SIZE // 4, SIZE // 4, 3))
    noise = noise.repeat(4, 1).repeat(4, 2)
    bright = 90 * (labels[..., None] if labels.ndim == 3 else labels[:, None, None, None])
    made = Prepared(
        images=(noise + bright).astype(np.uint8), labels=labels.astype(np.uint8),
        roles=np.repeat(["train", "select", "report"], COUNT // 3), columns={}, task=task,
        classes=[{"id": i, "name": str(i), "color": [i, i, i]} for i in range(2)],
        source="a test", licence="none", note="",
    )  # fmt: skip
    write_set(folder, "toy", made)
    return open_set(folder, task)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_a_view_is_the_same_on_a_gpu(
    maps: PreparedSet, recipe: Augment, cpu: Device, gpu: Device
) -> None:
    rows, labels = np.arange(COUNT)[::-1].copy(), torch.from_numpy(np.array(maps.labels))
    for size in (None, 48):
        here = Inputs(maps, recipe, 0, cpu.device, size)
        there = Inputs(maps, recipe, 0, gpu.device, size)
        views, moved = there.train_with_labels(rows, 2, labels.to(gpu.device), view=1)
        want, want_moved = here.train_with_labels(rows, 2, labels, view=1)
        assert views.device.type == GPU
        assert views.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(views.cpu(), want, atol=2e-3)
        # a point halfway between two pixels may fall to either
        assert (moved.cpu() != want_moved).float().mean() < 0.002
        assert torch.allclose(there.turned(rows, 3).cpu(), here.turned(rows, 3), atol=1e-5)


def test_a_set_that_does_not_fit_gives_the_same_views(
    data: PreparedSet, gpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(COUNT)
    resident = Inputs(data, BYOL.augment, 0, gpu.device)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * data.images.nbytes - 2, 0))
    streamed = Inputs(data, BYOL.augment, 0, gpu.device)
    assert resident.resident is not None and streamed.resident is None
    assert torch.equal(resident.train(rows, 1), streamed.train(rows, 1))


def test_a_step_of_byol_has_the_loss_of_the_processor(
    data: PreparedSet, cpu: Device, gpu: Device
) -> None:
    losses = []
    for device in (cpu, gpu):
        inputs = Inputs(data, BYOL.augment, 0, device.device)
        torch.manual_seed(0)
        model = Byol(resnet("resnet10", "small"), 64, 16, 0.9)
        device.place(model)
        optimizer = make_optimizer(BYOL, model)
        for step in range(3):
            with device.autocast():
                loss = model(*(inputs.train(np.arange(16), step, view) for view in (0, 1)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.update_target(step + 1, 3)
            losses.append(loss.item())
    # the first is one forward pass; AdamW then divides by small gradients, which differ
    assert losses[3] == pytest.approx(losses[0], rel=2e-3)
    assert losses[3:] == pytest.approx(losses[:3], rel=0.1)


def test_frozen_features_are_those_of_the_processor(
    data: PreparedSet, cpu: Device, gpu: Device
) -> None:
    rows, features = data.rows("train"), []
    for device in (cpu, gpu):
        torch.manual_seed(0)
        backbone = resnet("resnet10", "small").freeze()
        device.place(backbone)
        inputs = Inputs(data, FINETUNE.augment, 0, device.device)
        frozen = FrozenFeatures(inputs, backbone, rows, device)
        features.append(torch.cat([frozen.train(rows, 1), frozen.plain(rows)]).cpu())
    assert torch.allclose(features[0], features[1], atol=0.01 * float(features[0].abs().max()))


def byol(data: PreparedSet, device: Device) -> list[object]:
    torch.manual_seed(0)
    inputs = Inputs(data, BYOL.augment, 0, device.device)
    backbone = resnet("resnet10", "small")
    return list(pretrain_byol(backbone, data, inputs, BYOL, device, "toy", no_checkpoint()))


def classifier(data: PreparedSet, device: Device, frozen: bool) -> list[object]:
    torch.manual_seed(0)
    model = with_head(resnet("resnet10", "small"), 8, 2)
    if frozen:
        model.backbone.freeze()
    inputs = Inputs(data, FINETUNE.augment, 0, device.device)
    kept = ("train", [2])
    done = train_classifier(model, data, inputs, FINETUNE, device, "toy", kept, no_checkpoint())
    return [done.state, done.history]


def supervised(data: PreparedSet, device: Device) -> list[object]:
    torch.manual_seed(0)
    inputs = Inputs(data, SUPERVISED.augment, 0, device.device)
    backbone = resnet("resnet10", "small")
    none = no_checkpoint()
    return list(pretrain_supervised(backbone, data, inputs, SUPERVISED, device, "toy", none))


def segmentation(data: PreparedSet, device: Device, loss: str = "cross_entropy") -> list[object]:
    torch.manual_seed(0)
    recipe = SEGMENT.model_copy(update={"loss": loss})
    truth, inputs = truth_of(data, None), Inputs(data, recipe.augment, 0, device.device, SIZE)
    model = segmenter("deeplabv3", 2, 1.0)
    done = train_segmenter(
        model, data, truth, inputs, recipe, device, "toy", {"0032": 32}, no_checkpoint()
    )
    return [done.state, done.history]


def no_checkpoint() -> Checkpoint:
    return Checkpoint(Path("never-written"), {}, seconds=float("inf"))


TRAININGS: dict[str, Callable[[PreparedSet, PreparedSet, Device], list[object]]] = {
    "byol": lambda data, maps, device: byol(data, device),
    "full": lambda data, maps, device: classifier(data, device, frozen=False),
    "frozen": lambda data, maps, device: classifier(data, device, frozen=True),
    "segment": lambda data, maps, device: segmentation(maps, device),
    "weighted": lambda data, maps, device: segmentation(maps, device, "weighted"),
    "binary": lambda data, maps, device: segmentation(maps, device, "binary"),
    "policies": lambda data, maps, device: supervised(data, device),
}


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("precision", ["float32", "auto", "float16"])
def test_two_trainings_give_the_same_bytes(
    name: str, precision: str, data: PreparedSet, maps: PreparedSet
) -> None:
    device = set_up(Runtime(device=GPU, precision=precision))
    first, second = (TRAININGS[name](data, maps, device) for _ in range(2))
    assert first[1] == second[1], "the histories differ"
    assert first[0].keys() == second[0].keys()
    for key, value in first[0].items():
        assert torch.equal(value, second[0][key]), key


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("precision", ["auto", "float16"])
def test_no_step_waits_for_the_gpu(
    name: str, precision: str, data: PreparedSet, maps: PreparedSet,
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
    monkeypatch.setattr(Byol, "update_target", unwaiting(Byol.update_target))
    TRAININGS[name](data, maps, set_up(Runtime(device=GPU, precision=precision)))
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
    precision: str, data: PreparedSet
) -> None:
    device = set_up(Runtime(device="auto", precision=precision))
    native = torch.cuda.get_device_capability() >= (8, 0)
    auto = torch.bfloat16 if native else torch.float32
    dtype = auto if precision == "auto" else getattr(torch, precision)
    assert device.device.type == GPU and device.dtype == dtype
    seen: list[Tensor] = []
    backbone = resnet("resnet10", "small")
    device.place(backbone)
    backbone.net.layer1.register_forward_hook(lambda module, given, out: seen.append(out))
    inputs = Inputs(data, BYOL.augment, 0, device.device)
    with device.autocast():
        batch = inputs.train(np.arange(8), 1)
        backbone(batch)
    assert batch.dtype == torch.float32
    assert seen[0].dtype == dtype
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
def test_whole_jobs_run_on_a_gpu_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "tests" / "unit")
    kill = import_module("kill")  # the jobs that the unit tests kill
    kill.write_inputs(tmp_path)
    written, yaml = tmp_path / "params.yaml", YAML()
    params = yaml.load(written.read_text())
    params["runtime"] |= {"device": GPU, "precision": "auto"}
    params["pretrain"]["recipes"]["earth"]["byol"]["allow_collapse"] = True
    yaml.dump(params, written)
    for job in kill.JOBS:
        for name in ("one", "two"):
            kill.finish(tmp_path, job, tmp_path / name / job, seconds="1000")
        one, two = (kill.files_of(tmp_path / name / job) for name in ("one", "two"))
        assert one == two and len(one) >= 2, job
        assert "history.csv" in one
