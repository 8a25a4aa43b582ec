"""Training: repeatable, frozen where it says so, and clear about bad input."""

import copy
import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from reprise.data.inputs import Inputs
from reprise.data.store import Prepared, PreparedSet, open_set, write_set
from reprise.errors import RepriseError
from reprise.models.backbone import resnet
from reprise.models.classifier import Classifier, with_head
from reprise.models.segmentation import segmenter
from reprise.params import Augment, ByolPretraining, FinetuneCommon, Runtime, SegmentRecipe
from reprise.training.checkpoint import Checkpoint
from reprise.training.classification import FrozenFeatures, Outcome, forward, train_classifier
from reprise.training.knn import knn_accuracy
from reprise.training.loop import make_optimizer
from reprise.training.outputs import write_classifier, write_tensors
from reprise.training.pretraining import pretrain_byol
from reprise.training.runtime import evaluating, set_up
from reprise.training.segmentation import train_segmenter, truth_of

CPU = set_up(Runtime(device="cpu", precision="float32", threads=1))
RECIPE = FinetuneCommon(
    backbone="resnet10", stem="small", hidden=8, features=[1, 2], epochs=2, batch_size=4,
    learning_rate=0.01, augment=Augment(dihedral=True),
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    """Thirty images, dark ones of class 0 and bright ones of class 1."""
    folder = tmp_path_factory.mktemp("data")
    labels = np.arange(30) % 2
    noise = np.random.default_rng(0).integers(0, 90, (30, 16, 16, 3))
    write_set(
        folder,
        "toy",
        Prepared(
            images=(noise + 150 * labels[:, None, None, None]).astype(np.uint8),
            labels=labels.astype(np.uint8),
            roles=np.repeat(["train", "select", "report"], [14, 8, 8]),
            columns={}, task="classification",
            classes=[{"id": 0, "name": "dark"}, {"id": 1, "name": "bright"}],
            source="a test", licence="none", note="",
        ),
    )  # fmt: skip
    return open_set(folder, "classification")


def model() -> Classifier:
    torch.manual_seed(0)
    return with_head(resnet("resnet10", "small"), 8, 2)


def no_checkpoint() -> Checkpoint:
    return Checkpoint(Path("never-written"), {}, seconds=math.inf)


def trained(data: PreparedSet, recipe: FinetuneCommon = RECIPE, frozen: bool = False) -> Outcome:
    net = model()
    if frozen:
        net.backbone.freeze()
    inputs = Inputs(data, recipe.augment, 0, CPU.device)
    kept = ("train", [1, 2])
    return train_classifier(net, data, inputs, recipe, CPU, "toy", kept, no_checkpoint())


def test_two_trainings_write_the_same_bytes(data: PreparedSet, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_classifier(tmp_path / name, trained(data))
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["features.safetensors", "history.csv", "model.safetensors", "predictions.csv"]
    for name in files:
        one, two = (tmp_path / run / name for run in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), name


def test_the_epoch_is_chosen_on_select_and_both_roles_are_predicted(data: PreparedSet) -> None:
    outcome = trained(data)
    scores = [row["select_accuracy"] for row in outcome.history]
    chosen = [row["selected"] for row in outcome.history]
    assert chosen.index(1) == scores.index(max(scores)) and sum(chosen) == 1
    assert outcome.predictions["role"].value_counts().to_dict() == {"select": 8, "report": 8}


def test_features_change_with_the_epochs(data: PreparedSet) -> None:
    features = trained(data).features
    assert features["epoch_0001"].shape == (14, 8)
    assert not torch.allclose(features["epoch_0001"], features["epoch_0002"])


def test_a_frozen_backbone_keeps_every_parameter_and_buffer(data: PreparedSet) -> None:
    before = model().state_dict()
    after = trained(data, frozen=True).state
    names = [name for name in before if name.startswith("backbone.")]
    assert len(names) > 20
    assert all(torch.equal(before[name], after[name]) for name in names)
    assert not torch.equal(before["last.weight"], after["last.weight"])


def test_features_computed_once_are_those_of_each_epoch(data: PreparedSet) -> None:
    net = model()
    net.backbone.freeze()
    inputs = Inputs(data, RECIPE.augment, 5, CPU.device)
    rows = data.rows("train")
    once = FrozenFeatures(inputs, net.backbone, rows, CPU)
    for epoch in (1, 2, 3):
        each = forward(net.backbone, lambda r, e=epoch: inputs.train(r, e), rows, CPU, 3)
        assert torch.allclose(once.train(rows, epoch), each, atol=1e-5)
    assert not torch.allclose(once.train(rows, 1), once.train(rows, 2))
    select = data.rows("select")
    plain = forward(net.backbone, inputs.plain, select, CPU, 256)
    assert torch.allclose(once.plain(select), plain, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"batch_size": 1}, "toy.batch_size is 1; batch norm needs at least 2"),
        ({"batch_size": 15}, "toy.batch_size is 15, more than the 14 training images"),
        ({"learning_rate": 1e30, "optimizer": "sgd"}, "toy: the loss is .* in epoch"),
    ],
)
def test_training_that_cannot_work_ends_in_one_line(
    data: PreparedSet, change: dict[str, float], said: str
) -> None:
    with pytest.raises(RepriseError, match=said):
        trained(data, RECIPE.model_copy(update=change))


def test_a_class_without_a_training_image_is_named(data: PreparedSet) -> None:
    index = data.index.assign(role=np.where(data.labels == 1, "select", data.index["role"]))
    index.loc[2, "role"] = "report"
    with pytest.raises(
        RepriseError, match=r"index.csv: class 'bright' has no image of the role tr"
    ):
        trained(dataclasses.replace(data, index=index))


def test_evaluation_mode_is_left_again(data: PreparedSet) -> None:
    net = nn.Sequential(nn.BatchNorm1d(2)).train()
    with pytest.raises(ValueError, match="inside"), evaluating(net):
        assert not net[0].training
        raise ValueError("inside")
    assert net[0].training


def test_knn_counts_votes_of_the_nearest() -> None:
    known = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [0.2, 1.0]])
    labels = torch.tensor([0, 0, 1, 1, 1])
    asked = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    assert knn_accuracy(known, labels, asked, torch.tensor([0, 1]), 2) == 1.0
    assert knn_accuracy(known, labels, asked, torch.tensor([0, 1]), 5) == 0.5


def test_a_segmenter_learns_masks_merges_them_and_shows_three_epochs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (20, 2, 2)), np.ones((1, 16, 16))).astype(np.uint8)
    write_set(
        tmp_path,
        "toy",
        Prepared(
            images=np.repeat(labels[..., None] * 80, 3, axis=-1).astype(np.uint8),
            labels=labels,
            roles=np.repeat(["train", "select", "report"], [12, 4, 4]),
            columns={}, task="segmentation", ignore=3,
            classes=[{"id": i, "name": str(i), "color": [i, i, i]} for i in range(3)],
            merged={"3": {"classes": [{"id": 0}, {"id": 1}], "map": [0, 1, 1]}},
            source="a test", licence="none", note="",
        ),
    )  # fmt: skip
    data = open_set(tmp_path, "segmentation")
    truth = truth_of(data, 3)
    assert truth.classes == 2 and np.array_equal(truth.maps, (labels > 0).astype(np.uint8))
    assert truth_of(data, None).maps.tolist() == labels.tolist()
    recipe = SegmentRecipe(
        model="fcn8s", width=0.125, image_size=32, epochs=5, batch_size=4, learning_rate=0.01,
        augment=Augment(dihedral=True), merge=3,
    )  # fmt: skip
    torch.manual_seed(0)
    outcome = train_segmenter(
        segmenter("fcn8s", 2, 0.125), data, truth, Inputs(data, recipe.augment, 0, CPU.device),
        recipe, CPU, "toy", {"0016": 16}, no_checkpoint(),
    )  # fmt: skip
    assert outcome.shown_epochs == {"early": 1, "middle": 3, "final": 5}
    assert sorted(outcome.masks) == ["0016_early", "0016_final", "0016_middle"]
    assert sorted(outcome.predictions) == [f"{row:04d}" for row in range(12, 20)]
    assert outcome.history[-1]["train_loss"] < outcome.history[0]["train_loss"]


def pretrained(data: PreparedSet, **changes: object) -> tuple[dict, list]:
    recipe = ByolPretraining(
        backbone="resnet10", stem="small", epochs=2, batch_size=7, learning_rate=0.001, hidden=8,
        projection=4, neighbours=3, augment=Augment(dihedral=True), **changes,
    )  # fmt: skip
    torch.manual_seed(0)
    backbone = resnet("resnet10", "small")
    inputs = Inputs(data, recipe.augment, 0, CPU.device)
    return pretrain_byol(backbone, data, inputs, recipe, CPU, "toy", no_checkpoint())


def test_history_of_pretraining_shows_collapse_before_and_after_each_epoch(
    data: PreparedSet,
) -> None:
    state, rows = pretrained(data, allow_collapse=True)
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert row["std"] > 0 and row["effective_rank"] >= 1 and 0 <= row["knn_accuracy"] <= 1
    assert "selected" not in rows[-1], "the loss chooses no epoch"
    assert not any(name.startswith("fc") for name in state)


def test_a_collapsed_pretraining_ends_in_one_line_unless_it_may_go_on(
    data: PreparedSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reprise.training.pretraining.spread", lambda projections: (1e-4, 1.0))
    with pytest.raises(
        RepriseError, match="toy: collapsed in epoch 1: projections have std 0.0001"
    ):
        pretrained(data)
    assert len(pretrained(data, allow_collapse=True)[1]) == 3


@pytest.mark.parametrize("changes", [{"use_momentum": False}, {"ema_buffers": True}])
def test_the_modes_of_byol_train_from_params(data: PreparedSet, changes: dict) -> None:
    _, rows = pretrained(data, allow_collapse=True, **changes)
    assert np.isfinite(rows[-1]["train_loss"])


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(RepriseError, match="model.safetensors: last.bias holds numbers that are"):
        write_tensors(path, {"count": torch.ones(1), "last.bias": torch.tensor([0.0, np.nan])})
    assert not path.exists()


def test_numbers_too_small_for_float32_are_zero_and_cost_no_time() -> None:
    set_up(Runtime(device="cpu"))
    assert not (torch.full((8,), 1e-39) * 1).any()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("network", ["resnet10", "fcn32s", "deeplabv3"])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_fused_step_is_the_plain_one(optimizer: str, network: str, bfloat16: bool) -> None:
    """On a processor torch's fused steps read a gradient in the order in which it lies in memory.

    Where that is not the weight's order, they step with the wrong entries and say nothing.
    """
    torch.manual_seed(0)
    kind = resnet("resnet10", "small") if network == "resnet10" else segmenter(network, 3, 0.125)
    CPU.place(kind)
    images = torch.randn(4, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    recipe = RECIPE.model_copy(update={"optimizer": optimizer, "weight_decay": 0.1})
    fused, plain = make_optimizer(recipe, kind), copy.deepcopy(kind)
    groups = [
        {"params": [p for p in plain.parameters() if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in plain.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    options = {"momentum": recipe.momentum} if optimizer == "sgd" else {}
    one_by_one = type(fused)(groups, recipe.learning_rate, fused=False, foreach=False, **options)
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            answers = kind(images)
        fused.zero_grad()
        answers.float().square().mean().backward()
        for mine, other in zip(kind.parameters(), plain.parameters(), strict=True):
            other.grad = torch.empty_like(other).copy_(mine.grad)
        fused.step()
        one_by_one.step()
        for mine, other in zip(kind.parameters(), plain.parameters(), strict=True):
            assert torch.allclose(mine, other, rtol=1e-4, atol=1e-6)
