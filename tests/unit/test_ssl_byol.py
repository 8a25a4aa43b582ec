"""BYOL against a float64 reference that is written from the paper's equations.

The reference works on plain tensors and uses none of the project's modules: linear layers, batch
norm, loss, SGD and the moving average are written out below.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from support.small_datasets import dark_and_bright
from support.training import job_context, no_checkpoint
from torch import Tensor, nn

from reprise.datasets.prepared import PreparedDataset
from reprise.errors import RepriseError
from reprise.models.backbone import Backbone
from reprise.params.byol import Recipe
from reprise.params.training import Augment
from reprise.training.loop import Row
from reprise.training.ssl.byol import Byol, pretrain, regression_loss
from reprise.training.ssl.collapse import collapse_statistics, collapsed
from reprise.training.ssl.layers import mlp

Values = dict[str, Tensor]
RATE, MOMENTUM, DECAY, TAU = 0.1, 0.9, 0.01, 0.9
MODES = {
    "byol": {},
    "ema_buffers": {"ema_buffers": True},
    "simsiam": {"use_momentum": False},
    "byol, views concatenated": {"concat_views": True},
    "ema_buffers, views concatenated": {"ema_buffers": True, "concat_views": True},
    "simsiam, views concatenated": {"use_momentum": False, "concat_views": True},
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than these networks."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def byol(
    net: nn.Module, width: int, sizes: tuple[int, int], base_tau: float = TAU, **options: bool
) -> Byol:
    """BYOL on a backbone, with the hidden and output sizes of its projector."""
    concat_views = options.pop("concat_views", False)
    recipe = Recipe.model_construct(
        proj_hidden_dim=sizes[0], proj_output_dim=sizes[1], base_tau=base_tau, **options
    )
    return Byol(Backbone(net, width), recipe, concat_views)


def toy(**options: bool) -> Byol:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6), nn.ReLU())
    model = byol(net, 6, (10, 4), **options).double()
    with torch.no_grad():  # values that a forgotten scale, shift or bias would show
        for parameter in [p for p in model.parameters() if p.requires_grad]:
            parameter.add_(torch.randn_like(parameter) / 5)
    if model.target is not None:
        with torch.no_grad():
            for parameter in model.target.parameters():
                parameter.add_(torch.randn_like(parameter) / 5)
    return model


def views(step: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1 + step)
    first, second = torch.rand(2, 8, 3, 2, 2, generator=generator, dtype=torch.float64)
    return first, second


@dataclass
class Reference:
    """BYOL on plain float64 tensors that have the names of the model's state."""

    values: Values
    use_momentum: bool = True
    ema_buffers: bool = False
    velocity: Values = field(default_factory=dict)

    def linear(self, x: Tensor, name: str) -> Tensor:
        y = x @ self.values[f"{name}.weight"].T
        return y + self.values[f"{name}.bias"] if f"{name}.bias" in self.values else y

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Batch norm as Ioffe and Szegedy 2015 write it, with running statistics of decay 0.9."""
        mean, var = self.values[f"{name}.running_mean"], self.values[f"{name}.running_var"]
        if not (self.ema_buffers and name.startswith("target")):
            n, kept_mean, kept_var = len(x), mean, var
            mean = x.sum(dim=0) / n
            var = ((x - mean) ** 2).sum(dim=0) / n
            self.values[f"{name}.running_mean"] = (0.9 * kept_mean + 0.1 * mean).detach()
            self.values[f"{name}.running_var"] = (0.9 * kept_var + 0.1 * var * n / (n - 1)).detach()
            self.values[f"{name}.num_batches_tracked"] = (
                self.values[f"{name}.num_batches_tracked"] + 1
            )
        y = (x - mean) / (var + 1e-5) ** 0.5
        if f"{name}.weight" in self.values:
            y = y * self.values[f"{name}.weight"] + self.values[f"{name}.bias"]
        return y

    def two_layers(self, x: Tensor, name: str) -> Tensor:
        hidden = self.norm(self.linear(x, f"{name}.0"), f"{name}.1").clamp(min=0)
        return self.linear(hidden, f"{name}.3")

    def encoder(self, images: Tensor, name: str) -> Tensor:
        x = images.reshape(len(images), -1)
        x = self.norm(self.linear(x, f"{name}.0.net.1"), f"{name}.0.net.2").clamp(min=0)
        if self.use_momentum:
            return self.two_layers(x, f"{name}.1")
        x = self.norm(self.linear(x, f"{name}.1.0"), f"{name}.1.1").clamp(min=0)
        x = self.norm(self.linear(x, f"{name}.1.3"), f"{name}.1.4").clamp(min=0)
        return self.norm(self.linear(x, f"{name}.1.6"), f"{name}.1.7")

    def loss(self, first: Tensor, second: Tensor, fixed: list[Tensor] | None = None) -> Tensor:
        """Equations 1 and 2: mean over the batch of the sum over both directions.

        `fixed` are targets that stay as they are while an online value is varied.
        """
        z = [self.encoder(view, "encoder") for view in (first, second)]
        q = [self.two_layers(projection, "predictor") for projection in z]
        targets = fixed or [
            self.encoder(view, "target").detach() if self.use_momentum else projection.detach()
            for view, projection in zip((first, second), z, strict=True)
        ]
        self.targets = targets
        total = first.new_zeros(len(first))
        for a, b in ((q[0], targets[1]), (q[1], targets[0])):
            a = a / (a * a).sum(dim=1, keepdim=True) ** 0.5
            b = b / (b * b).sum(dim=1, keepdim=True) ** 0.5
            total = total + ((a - b) ** 2).sum(dim=1)
        return total.sum() / len(total)

    @property
    def trained(self) -> list[str]:
        ends = (".weight", ".bias")
        return [k for k in self.values if k.endswith(ends) and not k.startswith("target")]

    def gradients(self, first: Tensor, second: Tensor) -> tuple[Tensor, Values]:
        plain = {name: self.values[name] for name in self.trained}
        leaves = {name: value.clone().requires_grad_(True) for name, value in plain.items()}
        self.values.update(leaves)
        loss = self.loss(first, second)
        slopes = torch.autograd.grad(loss, list(leaves.values()))
        self.values.update(plain)
        return loss.detach(), dict(zip(leaves, slopes, strict=True))

    def step(self, first: Tensor, second: Tensor, k: int, steps: int) -> None:
        """SGD with weight decay and momentum, then the moving average (section 3.2)."""
        _, slopes = self.gradients(first, second)
        for name, slope in slopes.items():
            decayed = slope + DECAY * self.values[name]
            self.velocity[name] = MOMENTUM * self.velocity.get(name, 0) + decayed
            self.values[name] = self.values[name] - RATE * self.velocity[name]
        keep = 1 - (1 - TAU) * (math.cos(math.pi * k / steps) + 1) / 2
        ends = (".weight", ".bias") + ((".running_mean", ".running_var") * self.ema_buffers)
        for name in [name for name in self.values if name.startswith("target")]:
            online = self.values[name.replace("target", "encoder")]
            if name.endswith(ends):
                self.values[name] = keep * self.values[name] + (1 - keep) * online
            elif self.ema_buffers:
                self.values[name] = online


def pair(mode: str) -> tuple[Byol, Reference]:
    model = toy(**MODES[mode])
    options = {key: value for key, value in MODES[mode].items() if key != "concat_views"}
    return model, Reference(copy.deepcopy(dict(model.state_dict())), **options)


def assert_close(ours: Values, reference: Values) -> None:
    assert ours.keys() == reference.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, reference[name], rtol=1e-9, atol=1e-11, msg=name)


@pytest.mark.parametrize("mode", MODES)
def test_loss_and_every_gradient_are_the_papers(mode: str) -> None:
    ours, reference = pair(mode)
    loss = ours(*views())
    expected, slopes = reference.gradients(*views())
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    assert_close({k: p.grad for k, p in ours.named_parameters() if p.grad is not None}, slopes)


@pytest.mark.parametrize("mode", MODES)
def test_a_gradient_is_the_slope_of_the_loss(mode: str) -> None:
    """By central differences, of one layer before and one after the projection."""
    ours, reference = pair(mode)
    ours(*views()).backward()
    slopes = dict(ours.named_parameters())
    reference.loss(*views())
    fixed = reference.targets
    for name in ("encoder.0.net.1.weight", "predictor.3.weight"):
        for place in ((0, 0), (1, 2), (3, 5)):
            losses = []
            for change in (1e-5, -1e-5):
                varied = copy.deepcopy(reference)
                varied.values[name][place] += change
                losses.append(varied.loss(*views(), fixed=fixed).item())
            gradient = slopes[name].grad
            assert gradient is not None
            slope = (losses[0] - losses[1]) / 2e-5
            assert gradient[place].item() == pytest.approx(slope, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_three_steps_move_every_parameter_and_statistic_as_the_paper_says(mode: str) -> None:
    ours, reference = pair(mode)
    trained = [parameter for parameter in ours.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, RATE, MOMENTUM, weight_decay=DECAY)
    for k in range(3):
        optimizer.zero_grad()
        ours(*views(k)).backward()
        optimizer.step()
        ours.after_step(k + 1, 3)
        reference.step(*views(k), k, 3)
        assert_close(dict(ours.state_dict()), reference.values)


def test_the_target_moves_by_the_tau_of_the_step_that_is_done() -> None:
    """k = 0 at the first update; with k = K and after, the target stays where it is."""
    for done, expected in ((1, TAU), (51, (1 + TAU) / 2), (101, 1.0), (151, 1.0)):
        model = toy()
        assert model.target is not None
        before = [p.clone() for p in model.target.parameters()]
        model.after_step(done, 100)
        assert model.tau == pytest.approx(expected, abs=1e-15)
        lists = (before, model.target.parameters(), model.encoder.parameters())
        for old, new, online in zip(*lists, strict=True):
            assert torch.allclose(new, expected * old + (1 - expected) * online, atol=1e-14)


def test_the_target_normalises_with_its_own_batches_one_view_at_a_time() -> None:
    model = toy()
    assert model.target is not None
    model(*views())
    online, target = model.encoder[0].net[2], model.target[0].net[2]
    layer = model.target[0].net[1]
    mean = torch.zeros(6, dtype=torch.float64)
    for view in views():
        mean = 0.9 * mean + 0.1 * layer(view.flatten(1)).mean(dim=0)
    assert torch.allclose(target.running_mean, mean, atol=1e-14)
    assert target.num_batches_tracked == online.num_batches_tracked == 2
    assert not torch.allclose(target.running_mean, online.running_mean, atol=1e-3)
    assert not torch.allclose(target.running_var, online.running_var, atol=1e-3)
    target.running_mean.fill_(1e3)  # of no effect in training
    assert model(*views()).item() == pytest.approx(toy()(*views()).item(), abs=1e-14)


def test_the_update_leaves_the_targets_buffers_alone() -> None:
    model = toy()
    assert model.target is not None
    model(*views())
    before = copy.deepcopy(dict(model.target.named_buffers()))
    model.after_step(1, 10)
    assert all(torch.equal(before[name], b) for name, b in model.target.named_buffers())


def test_with_ema_buffers_the_targets_statistics_follow_and_are_what_it_normalises_with() -> None:
    model = toy(ema_buffers=True).train()
    assert model.target is not None
    target, online = model.target[0].net[2], model.encoder[0].net[2]
    loss = model(*views()).item()
    assert torch.equal(target.running_mean, torch.zeros(6, dtype=torch.float64))
    assert target.num_batches_tracked == 0
    model.after_step(1, 10)
    assert torch.allclose(target.running_mean, (1 - TAU) * online.running_mean, atol=1e-14)
    assert torch.allclose(target.running_var, TAU + (1 - TAU) * online.running_var, atol=1e-14)
    assert target.num_batches_tracked == 2
    changed = toy(ema_buffers=True)
    assert changed.target is not None
    changed.target[0].net[2].running_mean.fill_(1.0)
    assert abs(changed(*views()).item() - loss) > 1e-3


def test_evaluation_and_back_leave_a_target_with_ema_buffers_in_evaluation_mode() -> None:
    model = toy(ema_buffers=True)
    assert model.target is not None
    for mode in (False, True):
        model.train(mode)
        assert model.encoder.training == mode
        assert not any(module.training for module in model.target.modules())


def test_the_target_has_no_gradient_is_not_trained_and_shares_no_memory() -> None:
    model = toy()
    assert model.target is not None
    model(*views()).backward()
    assert all(p.grad is None for p in model.target.parameters())
    assert all(p.grad is not None and p.grad.any() for p in model.predictor.parameters())
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    assert trained == {
        id(p) for part in (model.encoder, model.predictor) for p in part.parameters()
    }
    assert not trained & {id(p) for p in model.target.parameters()}
    memory = {t.data_ptr() for t in model.encoder.state_dict().values()}
    assert not memory & {t.data_ptr() for t in model.target.state_dict().values()}


def test_the_target_starts_as_the_online_network() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 6))
    model = byol(net, 6, (10, 4))
    assert model.target is not None
    assert_close(dict(model.encoder.state_dict()), dict(model.target.state_dict()))


def test_projector_and_predictor_have_the_papers_sizes_and_biases() -> None:
    model = byol(nn.Flatten(), 12, (4096, 256), 0.996)
    for head, width in ((model.encoder[1], 12), (model.predictor, 256)):
        assert [type(x) for x in head] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
        assert {k: tuple(p.shape) for k, p in head.named_parameters()} == {
            "0.weight": (4096, width), "0.bias": (4096,),
            "1.weight": (4096,), "1.bias": (4096,),
            "3.weight": (256, 4096),
        }  # fmt: skip
        assert (head[1].eps, head[1].momentum) == (1e-5, 0.1)


def test_the_simsiam_mode_has_its_projector_and_byols_predictor() -> None:
    model = byol(nn.Flatten(), 12, (4096, 256), 0.996, use_momentum=False)
    layer = [nn.Linear, nn.BatchNorm1d]
    assert [type(x) for x in model.encoder[1]] == [*layer, nn.ReLU, *layer, nn.ReLU, *layer]
    assert {k: tuple(p.shape) for k, p in model.encoder[1].named_parameters()} == {
        "0.weight": (4096, 12), "1.weight": (4096,), "1.bias": (4096,),
        "3.weight": (4096, 4096), "4.weight": (4096,), "4.bias": (4096,),
        "6.weight": (256, 4096),
    }  # fmt: skip
    shapes = {k: p.shape for k, p in model.predictor.named_parameters()}
    assert shapes == {k: p.shape for k, p in mlp([256, 4096, 256], bias=True).named_parameters()}


def test_the_simsiam_mode_has_no_target_and_uses_each_view_once() -> None:
    model = toy(use_momentum=False)
    assert model.target is None
    assert not [name for name in model.state_dict() if name.startswith("target")]
    model(*views())
    counts = [b for name, b in model.named_buffers() if name.endswith("num_batches_tracked")]
    assert len(counts) == 5 and all(count == 2 for count in counts)
    before = copy.deepcopy(dict(model.state_dict()))
    model.after_step(5, 10)
    assert model.tau == TAU
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("mode", MODES)
def test_a_step_never_waits_for_the_device(mode: str) -> None:
    """On the meta device there are no numbers: a synchronisation would raise."""
    model = toy(**MODES[mode]).to("meta")
    first, second = (view.to("meta") for view in views())
    model(first, second).backward()
    model.after_step(1, 10)


def test_loss_is_zero_for_equal_directions_and_four_for_opposite_ones() -> None:
    q = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    assert torch.allclose(regression_loss(q, 5 * q), torch.zeros(2), atol=1e-6)
    assert torch.allclose(regression_loss(q, -q), torch.full((2,), 4.0))


def test_the_loss_of_bfloat16_networks_is_not_rounded_to_bfloat16() -> None:
    q, z = torch.randn(2, 50, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    losses = regression_loss(q, z)
    assert losses.dtype == torch.float32
    expected = regression_loss(q.double(), z.double())
    assert expected.dtype == torch.float64
    assert torch.allclose(losses.double(), expected, atol=1e-6)


def trained_statistics(predictor: bool = True, tau: float = 0.9, **options: bool) -> Tensor:
    """Std, effective rank and last loss after 100 steps on noisy blobs."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.BatchNorm1d(32), nn.ReLU())
    model = byol(net, 32, (64, 16), tau, **options)
    if not predictor:
        model.predictor = nn.Identity()  # type: ignore[assignment]
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.05, 0.9)
    blobs = nn.functional.interpolate(torch.randn(256, 3, 2, 2), 4, mode="bilinear")
    for step in range(100):
        batch = blobs[torch.randperm(256)[:64]]
        loss = model(*(batch + 0.3 * torch.randn(2, *batch.shape)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.after_step(step + 1, 100)
    with torch.no_grad():
        return torch.tensor([*collapse_statistics(model.eval().encoder(blobs)), loss.item()])


@pytest.mark.parametrize("mode", MODES)
def test_a_network_that_learns_has_not_collapsed(mode: str) -> None:
    std, rank, loss = trained_statistics(**MODES[mode]).tolist()
    assert loss < 1 and std * 4 > 0.8
    assert not collapsed(std, rank, 16)


def test_a_network_without_predictor_and_moving_average_collapses_and_is_detected() -> None:
    """With the lowest loss of all: the loss alone would have called it the best."""
    std, rank, loss = trained_statistics(predictor=False, tau=0.0).tolist()
    assert loss < 0.05 < trained_statistics()[2]
    assert collapsed(std, rank, 16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return dark_and_bright(tmp_path_factory.mktemp("data"))


def pretrained(data: PreparedDataset, **options: Any) -> tuple[Values, list[Row]]:
    recipe = Recipe(
        method="byol", backbone="resnet10", stem="small", epochs=2, batch_size=7,
        learning_rate=0.001, proj_hidden_dim=8, proj_output_dim=4, knn_k=3,
        augment=Augment(dihedral=True), **options,
    )  # fmt: skip
    torch.manual_seed(0)
    return pretrain(job_context(data, recipe), no_checkpoint(), {})


def test_the_history_shows_collapse_before_and_after_each_epoch(data: PreparedDataset) -> None:
    state, rows = pretrained(data, allow_collapse=True)
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert row["feature_std"] > 0 and row["effective_rank"] >= 1
        assert 0 <= row["knn_accuracy"] <= 1
    assert "selected" not in rows[-1], "the loss chooses no epoch"
    assert not any(name.startswith("fc") for name in state)


def test_a_collapsed_pretraining_ends_in_one_line_unless_it_is_allowed(
    data: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    constant = "reprise.training.ssl.two_views.collapse_statistics"
    monkeypatch.setattr(constant, lambda projections: (1e-4, 1.0))
    with pytest.raises(
        RepriseError, match="toy: collapsed in epoch 1: projections have std 0.0001"
    ):
        pretrained(data)
    assert len(pretrained(data, allow_collapse=True)[1]) == 3


@pytest.mark.parametrize("options", [{"use_momentum": False}, {"ema_buffers": True}])
def test_the_modes_train_from_params(data: PreparedDataset, options: dict[str, bool]) -> None:
    _, rows = pretrained(data, allow_collapse=True, **options)
    assert np.isfinite(rows[-1]["train_loss"])
