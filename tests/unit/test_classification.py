"""Training a classifier: repeatable, frozen where it says so, and clear about bad input."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.small_datasets import dark_and_bright
from support.training import CPU, job_context, no_checkpoint

from reprise.datasets.batches import Batches
from reprise.datasets.prepared import PreparedDataset
from reprise.errors import RepriseError
from reprise.models.build import build_finetuned
from reprise.params.finetune import FinetuneCommon
from reprise.params.training import Augment
from reprise.training.classification import (
    CachedFeatures,
    TrainingResult,
    count_views,
    train_classifier,
    val_scores,
    write_classifier,
)
from reprise.training.runtime import predict_batches

RECIPE = FinetuneCommon(
    backbone="resnet10", stem="small", head_hidden_dim=8, feature_epochs=[1, 2], epochs=2,
    batch_size=4, learning_rate=0.01, augment=Augment(dihedral=True),
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return dark_and_bright(tmp_path_factory.mktemp("data"))


def model() -> Any:
    torch.manual_seed(0)
    return build_finetuned(RECIPE, 2)


def trained(
    data: PreparedDataset, recipe: FinetuneCommon = RECIPE, frozen: bool = False
) -> TrainingResult:
    network = model()
    if frozen:
        network.backbone.freeze()
    return train_classifier(network, job_context(data, recipe), no_checkpoint(), "train", [1, 2])


def test_two_trainings_write_the_same_bytes(data: PreparedDataset, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_classifier(tmp_path / name, trained(data), CPU)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["features.safetensors", "history.csv", "model.safetensors", "predictions.csv"]
    for name in files:
        one, two = (tmp_path / run / name for run in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), name


def test_the_epoch_is_chosen_on_val_and_both_splits_are_predicted(data: PreparedDataset) -> None:
    result = trained(data)
    scores = [row["val_accuracy"] for row in result.history]
    selected = [row["selected"] for row in result.history]
    assert selected.index(1) == scores.index(max(scores)) and sum(selected) == 1
    assert list(result.predictions) == ["id", "split", "label", "prediction", "confidence"]
    assert result.predictions["split"].value_counts().to_dict() == {"val": 8, "test": 8}
    assert result.epoch_predictions == {}


def test_features_change_with_the_epochs(data: PreparedDataset) -> None:
    features = trained(data).features
    assert set(features) == {"epoch_0001", "epoch_0002", "label", "row"}
    assert features["epoch_0001"].shape == (14, 8)
    assert not torch.allclose(features["epoch_0001"], features["epoch_0002"])
    assert features["row"].tolist() == data.rows("train").tolist()
    assert features["label"].tolist() == data.labels[data.rows("train")].tolist()


def test_a_frozen_backbone_keeps_every_parameter_and_buffer(data: PreparedDataset) -> None:
    before = model().state_dict()
    after = trained(data, frozen=True).state
    names = [name for name in before if name.startswith("backbone.")]
    assert len(names) > 20
    assert all(torch.equal(before[name], after[name]) for name in names)
    assert not torch.equal(before["last.weight"], after["last.weight"])


def test_cached_features_are_those_of_each_epoch(data: PreparedDataset) -> None:
    network = model()
    network.backbone.freeze()
    batches = Batches(data, RECIPE.augment, 5, CPU.device)
    rows, val = data.rows("train"), data.rows("val")
    cached = CachedFeatures(batches, network.backbone, rows, CPU)
    for epoch in (1, 2, 3):
        expected = predict_batches(
            network.backbone, lambda r, e=epoch: batches.train_batch(r, e), rows, CPU, 3
        )
        assert torch.allclose(cached.train_batch(rows, epoch), expected, atol=1e-5)
    assert not torch.allclose(cached.train_batch(rows, 1), cached.train_batch(rows, 2))
    plain = predict_batches(network.backbone, batches.eval_batch, val, CPU, 256)
    assert torch.allclose(cached.eval_batch(val), plain, atol=1e-5)


@pytest.mark.parametrize(
    ("augment", "views"),
    [
        ({}, 1),
        ({"flip": True}, 2),
        ({"dihedral": True}, 8),
        ({"dihedral": True, "color_jitter_p": 0.5}, 8),
        ({"flip": True, "degrees": 5}, 0),
        ({"flip": True, "flip_vertical": True}, 0),
        ({"brightness": 0.1}, 0),
        ({"auto_augment": ["cutout"]}, 0),
        ({"shared_auto_augment": ["cutout"]}, 0),
        ({"flip": True, "order": ["colors", "geometry", "auto_augment"], "fill": "black"}, 2),
        ({"flip": True, "crop_pixels": 8}, 0),
    ],
)
def test_views_are_counted_where_they_are_finite(augment: dict[str, Any], views: int) -> None:
    assert count_views(Augment(**augment)) == views


def test_an_epoch_whose_logits_are_not_numbers_has_no_accuracy_and_is_not_chosen(
    data: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, right = torch.tensor([0, 1, 1]), torch.tensor([[9.0, 0.0], [0.0, 9.0], [0.0, 9.0]])
    assert val_scores(right, target)["val_accuracy"] == 1
    right[0, 1] = math.nan
    assert all(map(math.isnan, val_scores(right, target).values()))
    calls = []

    def first_is_nan(logits: torch.Tensor, target: torch.Tensor) -> dict[str, float]:
        calls.append(logits)
        return val_scores(logits * math.nan if len(calls) == 1 else logits, target)

    monkeypatch.setattr("reprise.training.classification.val_scores", first_is_nan)
    history = trained(data).history
    assert math.isnan(history[0]["val_accuracy"]) and history[1]["val_accuracy"] >= 0
    assert [row["selected"] for row in history] == [0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 1}, "toy.batch_size is 1; batch norm needs at least 2"),
        ({"batch_size": 15}, "toy.batch_size is 15, more than the 14 training images"),
        ({"learning_rate": 1e30, "optimizer": "sgd"}, "toy: the loss is .* in epoch"),
    ],
)
def test_training_that_cannot_work_ends_in_one_line(
    data: PreparedDataset, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(RepriseError, match=message):
        trained(data, RECIPE.model_copy(update=change))


def test_a_class_without_a_training_image_is_named(data: PreparedDataset) -> None:
    index = data.index.assign(split=np.where(data.labels == 1, "val", data.index["split"]))
    index.loc[2, "split"] = "test"
    with pytest.raises(RepriseError, match=r"index.csv: class 'b' has no image in the train split"):
        trained(dataclasses.replace(data, index=index))


def test_labels_that_mean_nothing_are_not_learnt(data: PreparedDataset) -> None:
    with pytest.raises(RepriseError, match="has no labels to learn"):
        trained(dataclasses.replace(data, info=data.info | {"unlabelled": True}))
