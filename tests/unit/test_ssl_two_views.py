"""What all methods that compare two views promise, whichever they are."""

import copy
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.small_datasets import dark_and_bright, small_dataset, write_and_read
from support.ssl_methods import METHODS, each_step, pretrained, recipe_of, toy, views
from support.training import no_checkpoint

from reprise.datasets.prepared import PreparedDataset
from reprise.errors import RepriseError
from reprise.params.pretrain import methods
from reprise.params.training import Augment
from reprise.training.ssl import two_views
from reprise.training.ssl.layers import follow, full_precision, mlp
from reprise.training.ssl.two_views import TwoViews

NORMED_VIEWS = [name for name in METHODS if name not in ("simclr", "moco_v2", "dino")]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return dark_and_bright(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def undisturbed(data: PreparedDataset) -> Callable[[str], tuple[Any, Any]]:
    """The weights and the history of a method that was not killed, trained once."""
    return cache(lambda method: pretrained(data, no_checkpoint(), method))


def test_every_method_that_compares_two_views_is_tested_here() -> None:
    assert {*METHODS, "supervised"} == set(methods())


@pytest.mark.parametrize("method", METHODS)
def test_every_trained_parameter_gets_a_gradient_and_no_other_one(method: str) -> None:
    model = toy(method)
    model.epoch = 2
    model(*views()).backward()
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == {name for name, p in model.named_parameters() if p.requires_grad}
    assert any(name.startswith("encoder.0") for name in with_gradient)
    assert any(name.startswith("encoder.1") for name in with_gradient)


# SimSiam's targets depend on the weights and have no gradient: see test_ssl_simsiam.py
@pytest.mark.parametrize("method", [name for name in METHODS if name != "simsiam"])
def test_the_gradient_is_the_slope_of_the_loss(method: str) -> None:
    model, step = toy(method), 1e-5
    model.epoch = 2
    frozen = {name: value.clone() for name, value in model.state_dict().items()}
    model(*views()).backward()
    weight = model.encoder[0].net[1].weight
    change = torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)).double()
    losses = []
    for sign in (1, -1):
        model.load_state_dict(frozen)
        with torch.no_grad():
            weight.add_(sign * step * change)
            losses.append(model(*views()).item())
    slope = (losses[0] - losses[1]) / (2 * step)
    assert slope == pytest.approx((weight.grad * change).sum().item(), rel=1e-4)


@pytest.mark.parametrize("method", NORMED_VIEWS)
def test_concatenated_views_change_nothing_but_the_order_of_additions(method: str) -> None:
    one, other = toy(method), toy(method, concat_views=True)
    losses = [model(*views()) for model in (one, other)]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-12)
    gradients = []
    for model, loss in zip((one, other), losses, strict=True):
        loss.backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_trains_and_its_history_shows_collapse_and_neighbours(
    undisturbed: Callable[[str], tuple[Any, Any]], method: str
) -> None:
    state, rows = undisturbed(method)
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    for row in rows:
        assert row["feature_std"] > 0 and row["effective_rank"] >= 1
        assert 0 <= row["knn_accuracy"] <= 1
    assert all(math.isfinite(row["train_loss"]) for row in rows[1:])
    assert "selected" not in rows[-1], "the loss chooses no epoch"
    assert not any(name.startswith("fc") for name in state)


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_training_ends_in_the_same_bytes(
    data: PreparedDataset, undisturbed: Callable[[str], tuple[Any, Any]], tmp_path: Path,
    method: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """So the queue, the center and the copies are all in the checkpoint."""
    whole, rows = undisturbed(method)
    kind = type(toy(method))
    after_step = kind.after_step

    def killed(self: TwoViews, step: int, steps: int) -> None:
        after_step(self, step, steps)
        if step == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kind, "after_step", killed)
        with pytest.raises(KeyboardInterrupt):
            pretrained(data, each_step(tmp_path), method)
    resumed, again = pretrained(data, each_step(tmp_path), method)
    assert again == rows
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("method", METHODS)
def test_a_collapsed_pretraining_ends_in_one_line_unless_it_is_allowed(
    data: PreparedDataset, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(two_views, "collapse_statistics", lambda projections: (1e-4, 1.0))
    with pytest.raises(RepriseError, match="toy: collapsed in epoch 1: projections have std 0.000"):
        pretrained(data, no_checkpoint(), method, allow_collapse=False, epochs=1)
    assert len(pretrained(data, no_checkpoint(), method, epochs=1)[1]) == 2


def test_a_val_split_of_few_images_cannot_show_a_collapse(tmp_path: Path) -> None:
    for count in (1, 3):
        folder = tmp_path / str(count)
        labels = np.arange(14) % 2
        images = np.random.default_rng(0).integers(0, 256, (14, 16, 16, 3), np.uint8)
        splits = ["train"] * (14 - count) + ["val"] * count
        needed = {"required_splits": ("train", "val")}
        dataset = small_dataset(images, labels.astype(np.uint8), 2, splits, **needed)
        few = write_and_read(folder, dataset)
        pretrained(few, no_checkpoint(), "byol", allow_collapse=False, epochs=1)


@pytest.mark.parametrize("method", METHODS)
def test_two_views_that_are_equal_are_refused(method: str) -> None:
    with pytest.raises(ValueError, match="augment changes nothing, so that both views are equal"):
        recipe_of(method, augment=Augment())
    with pytest.raises(ValueError, match="augment changes nothing, so that both views are equal"):
        recipe_of(method, augment={"shared_auto_augment": ["trivial_wide"]})


@pytest.mark.parametrize("method", METHODS)
def test_a_step_never_waits_for_the_device(method: str) -> None:
    model = copy.deepcopy(toy(method)).to("meta")  # has no values to wait for
    first, second = (view.to("meta") for view in views())
    model(first, second).backward()
    model.after_step(1, 10)


def test_a_copy_follows_parameters_and_keeps_its_running_statistics() -> None:
    source, target = (mlp([3, 4, 2]) for _ in range(2))
    source[1].running_mean.add_(7)
    expected = [
        0.9 * t + 0.1 * s for t, s in zip(target.parameters(), source.parameters(), strict=True)
    ]
    follow(target, source, 0.9)
    for parameter, value in zip(target.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter, value)
    assert not target[1].running_mean.any()


def test_a_loss_is_computed_in_float32_under_autocast_and_in_float64_where_it_is_given() -> None:
    @full_precision
    def loss(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return first @ second.T

    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    expected = x.bfloat16().float() @ x.T
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(x.bfloat16(), x), expected)
        assert loss(x.double(), x.double()).dtype == torch.float64
