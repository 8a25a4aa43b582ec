"""BYOL against two public implementations: byol-pytorch 0.9.1 and lightly.

They have an environment of their own, and in any other these tests are skipped:

    uv venv .venv-peers && uv pip install --python .venv-peers -r requirements/peers.txt
    PYTHONPATH=src .venv-peers/bin/python -m pytest tests/peers

Given the same weights and views, losses, gradients and moved targets are the same to 1e-10 in
float64. Where the three differ, and what each difference does; a test shows every one:

byol-pytorch
- It puts both views into one batch, so batch norm mixes them: the losses differ, unless one view is
  the other in another order. The authors' code and ours take one view at a time.
- The last layers of projector and predictor have a bias; the authors' and ours have none.
- tau is constant; ours and the authors' goes to 1.
- use_momentum=False: each view passes the encoder twice a step, so batch norm's running
  statistics move twice; here once. update_moving_average is an error then; ours does nothing.
- Its constructor runs a batch of noise, which moves running statistics and the random state.
- Simplicial embeddings (Lavoie et al. 2022) are on by default, which makes another network.
- Its default augmentation draws once for a batch.

lightly
- The loss is -cos, a mean over the batch: 2 - 2 cos is 2 + 2 of it, so ours is 4 + 2 (a + b) for
  both directions. Where an example of theirs takes (a + b) / 2, its gradient is a quarter of ours.
- The heads have no bias before batch norm, where one has no effect in training, and have one in
  the last layer; the authors' and ours are the other way round.
- cosine_schedule comes to its end at max_steps - 1; the authors' and ours at the number of steps.
- SimSiam's prediction head is a bottleneck; in byol-pytorch and here the predictor stays BYOL's.
"""

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reprise.models.backbone import Backbone
from reprise.params.byol import Recipe
from reprise.training.schedules import tau
from reprise.training.ssl.byol import Byol
from reprise.training.ssl.collapse import collapse_statistics
from reprise.training.ssl.layers import mlp

WHY = "the peers are in an environment of their own, see the top of this file"
byol_pytorch = pytest.importorskip("byol_pytorch", reason=WHY)
pytest.importorskip("lightly", reason=WHY)

from lightly.loss import NegativeCosineSimilarity  # noqa: E402
from lightly.models.modules import heads  # noqa: E402
from lightly.models.utils import update_momentum  # noqa: E402
from lightly.utils.debug import std_of_l2_normalized  # noqa: E402
from lightly.utils.scheduler import cosine_schedule  # noqa: E402

WIDTH, HIDDEN, PROJECTION, TAU, RATE = 8, 20, 6, 0.9, 0.1
Gradients = dict[str, Tensor]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than these networks."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(5, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(),
    )  # fmt: skip


def recipe(use_momentum: bool = True) -> Recipe:
    """The options of the network alone."""
    return Recipe.model_construct(
        proj_hidden_dim=HIDDEN, proj_output_dim=PROJECTION, base_tau=TAU, use_momentum=use_momentum
    )


def our_model(use_momentum: bool = True) -> Byol:
    """Ours in float64, its target away from the online network."""
    torch.manual_seed(0)
    backbone = Backbone(network(), WIDTH)
    model = Byol(backbone, recipe(use_momentum)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) / 10)
    return model


def two_views() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    first, second = torch.rand(2, 12, 3, 6, 6, generator=generator, dtype=torch.float64)
    return first, second


def mirrored_views() -> tuple[Tensor, Tensor]:
    """Views for which a batch of both has the statistics of each, in both directions."""
    first, _ = two_views()
    return first, first.flip(0)


def peer_name(ours: str) -> str:
    """The name in byol-pytorch of what is called `ours` here."""
    for prefix, theirs in (
        ("encoder.0.net.", "net."),
        ("encoder.1.", "online_encoder.projector."),
        ("target.0.net.", "target_encoder.net."),
        ("target.1.", "target_encoder.projector."),
        ("predictor.", "online_predictor."),
    ):
        if ours.startswith(prefix):
            return theirs + ours.removeprefix(prefix)
    raise KeyError(ours)


def peer_of(model: Byol, views: tuple[Tensor, Tensor]) -> Any:
    """byol-pytorch's learner with the weights of ours; whatever it is fed, it sees these views."""
    views32 = [view.float() for view in views]
    peer = byol_pytorch.BYOL(
        network(),
        image_size=6,
        hidden_layer=-1,
        projection_size=PROJECTION,
        projection_hidden_size=HIDDEN,
        augment_fn=lambda images: views32[0].to(images),
        augment_fn2=lambda images: views32[1].to(images),
        moving_average_decay=TAU,
        use_momentum=model.target is not None,
        use_simplicial_embeddings=False,
    ).double()
    peer.augment1, peer.augment2 = (lambda images: views[0]), (lambda images: views[1])
    state = {peer_name(name): value for name, value in model.state_dict().items()}
    for name, value in peer.state_dict().items():
        if name.startswith("online_encoder.net."):  # is `net` too
            state[name] = state[name.removeprefix("online_encoder.")]
        elif name.endswith(".3.bias"):  # which the paper's heads do not have
            state.setdefault(name, torch.zeros_like(value))
    peer.load_state_dict(state)
    return peer


def gradients_of(model: nn.Module) -> Gradients:
    return {k: p.grad for k, p in model.named_parameters() if p.grad is not None}


def assert_same_gradients(ours: Byol, peer: Any) -> None:
    theirs = gradients_of(peer)
    for name, gradient in gradients_of(ours).items():
        torch.testing.assert_close(gradient, theirs.pop(peer_name(name)), rtol=1e-8, atol=1e-10)
    assert all(name.endswith(".3.bias") for name in theirs)


# byol-pytorch


@pytest.mark.parametrize("use_momentum", [True, False])
def test_loss_and_gradients_are_byol_pytorchs(use_momentum: bool) -> None:
    """In training, with views for which its batches of both views make no difference."""
    ours, views = our_model(use_momentum), mirrored_views()
    peer = peer_of(ours, views)
    loss, theirs = ours(*views), peer(views[0])
    assert loss.item() == pytest.approx(theirs.item(), abs=1e-10)
    loss.backward()
    theirs.backward()
    assert_same_gradients(ours, peer)


@pytest.mark.parametrize("use_momentum", [True, False])
def test_with_fixed_statistics_loss_and_gradients_are_the_same_for_any_views(
    use_momentum: bool,
) -> None:
    ours, views = our_model(use_momentum), two_views()
    ours(*views)  # statistics that are not 0 and 1
    peer = peer_of(ours, views).eval()
    loss, theirs = ours.eval()(*views), peer(views[0])
    assert loss.item() == pytest.approx(theirs.item(), abs=1e-10)
    loss.backward()
    theirs.backward()
    assert_same_gradients(ours, peer)


@pytest.mark.parametrize("use_momentum", [True, False])
def test_byol_pytorchs_parts_one_view_at_a_time_give_our_loss_for_any_views(
    use_momentum: bool,
) -> None:
    ours, views = our_model(use_momentum), two_views()
    peer = peer_of(ours, views)
    encoder = peer.target_encoder if use_momentum else peer.online_encoder
    q = [peer.online_predictor(peer.online_encoder(view)[0]) for view in views]
    with torch.no_grad():
        z = [encoder(view)[0] for view in views]
    cosine_loss = byol_pytorch.byol_pytorch.cosine_loss_fn
    theirs = (cosine_loss(q[0], z[1]) + cosine_loss(q[1], z[0])).mean()
    loss = ours(*views)
    assert loss.item() == pytest.approx(theirs.item(), abs=1e-10)
    loss.backward()
    theirs.backward()
    assert_same_gradients(ours, peer)


def test_difference_byol_pytorch_mixes_the_statistics_of_the_views() -> None:
    ours, views = our_model(), two_views()
    views = (views[0], 0.3 * views[1] + 0.5)  # as a change of colours does
    assert abs(ours(*views).item() - peer_of(ours, views)(views[0]).item()) > 1e-2


def test_after_a_step_the_target_is_where_byol_pytorch_moves_it() -> None:
    """Its tau is constant; ours has the same value at the first step, and another at the next."""
    ours, views = our_model(), mirrored_views()
    peer = peer_of(ours, views)
    for model, loss in ((ours, ours(*views)), (peer, peer(views[0]))):
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], RATE)
        loss.backward()
        optimizer.step()
    ours.after_step(1, 10)
    peer.update_moving_average()
    theirs = dict(peer.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, theirs[peer_name(name)], rtol=1e-9, atol=1e-11)
    before = copy.deepcopy(dict(ours.named_parameters()))
    ours.after_step(10, 10)
    peer.update_moving_average()
    name = "target.1.3.weight"
    moved = (dict(ours.named_parameters())[name] - before[name]).norm()
    assert moved < 0.1 * (theirs[peer_name(name)] - before[name]).norm()


def test_difference_byol_pytorchs_last_layers_have_a_bias_that_moves() -> None:
    ours, views = our_model(), mirrored_views()
    peer = peer_of(ours, views)
    peer(views[0]).backward()
    extra = gradients_of(peer).keys() - {peer_name(name) for name in ours.state_dict()}
    assert extra == {"online_encoder.projector.3.bias", "online_predictor.3.bias"}
    assert gradients_of(peer)["online_predictor.3.bias"].abs().max() > 1e-3


def test_difference_without_momentum_byol_pytorchs_statistics_move_twice() -> None:
    ours, views = our_model(use_momentum=False), mirrored_views()
    peer = peer_of(ours, views)
    ours(*views)
    peer(views[0])
    mean, theirs = (norm.running_mean for norm in (ours.encoder[0].net[1], peer.net[1]))
    batch_mean = mean / (1 - 0.9**2)  # two views that have the same mean
    torch.testing.assert_close(theirs, (1 - 0.9**2) * batch_mean)  # one batch, seen twice
    assert ours.encoder[0].net[1].num_batches_tracked == peer.net[1].num_batches_tracked == 2
    with pytest.raises(AssertionError, match="turned off momentum"):
        peer.update_moving_average()
    ours.after_step(1, 10)


def test_difference_byol_pytorchs_constructor_trains_the_statistics_on_noise() -> None:
    net = network()
    torch.manual_seed(0)
    byol_pytorch.BYOL(net, 6, hidden_layer=-1, use_simplicial_embeddings=False)
    assert net[1].num_batches_tracked == 1
    fresh = Byol(Backbone(network(), WIDTH), recipe())
    assert fresh.encoder[0].net[1].num_batches_tracked == 0


def test_difference_byol_pytorch_adds_simplicial_embeddings_by_default() -> None:
    default = inspect.signature(byol_pytorch.BYOL).parameters["use_simplicial_embeddings"].default
    assert default is True
    peer = byol_pytorch.BYOL(network(), 6, hidden_layer=-1)
    assert len(peer.online_encoder.projector) == 3  # embedding, simplices, projector


def test_difference_byol_pytorch_draws_one_augmentation_for_a_batch() -> None:
    peer = byol_pytorch.BYOL(network(), 6, hidden_layer=-1, use_simplicial_embeddings=False)
    image = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    for _ in range(10):
        batch = peer.augment1(image.expand(4, -1, -1, -1))
        assert (batch == batch[:1]).all()


# lightly


def copied(head: nn.Sequential, theirs: Any) -> Any:
    """A head of lightly in float64 with the weights of ours; biases that are only there are 0."""
    state, theirs = head.state_dict(), theirs.double()
    full = {k: state.get(k, torch.zeros_like(v)) for k, v in theirs.layers.state_dict().items()}
    theirs.layers.load_state_dict(full)
    return theirs


def our_head(width: int) -> nn.Sequential:
    torch.manual_seed(0)
    return mlp([width, HIDDEN, PROJECTION], bias=True).double()


@pytest.mark.parametrize("name", ["BYOLProjectionHead", "BYOLPredictionHead"])
def test_heads_are_lightlys_but_for_the_biases(name: str) -> None:
    theirs = getattr(heads, name)
    ours, full = mlp([256, 4096, 256], bias=True), theirs(256, 4096, 256).layers
    assert [type(layer) for layer in ours] == [type(layer) for layer in full]
    shapes, their_shapes = (
        {k: p.shape for k, p in head.named_parameters()} for head in (ours, full)
    )
    assert shapes.keys() - their_shapes.keys() == {"0.bias"}
    assert their_shapes.keys() - shapes.keys() == {"3.bias"}
    assert all(shapes[k] == their_shapes[k] for k in shapes.keys() & their_shapes.keys())

    head = our_head(WIDTH)
    x = torch.randn(12, WIDTH, dtype=torch.float64)
    assert head[0].bias.abs().max() > 0  # of no effect before batch norm in training
    other = copied(head, theirs(WIDTH, HIDDEN, PROJECTION))
    torch.testing.assert_close(head(x), other(x), rtol=1e-9, atol=1e-11)


def test_the_simsiam_projector_is_lightlys() -> None:
    ours, theirs = (
        mlp([32, 64, 64, 16], last_norm=False),
        heads.SimSiamProjectionHead(32, 64, 16).layers,
    )
    assert [type(layer) for layer in ours] == [type(layer) for layer in theirs]
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in theirs.state_dict().items()
    }
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(12, 32)
    assert torch.equal(ours(x), theirs(x))


def test_difference_lightlys_simsiam_prediction_head_is_a_bottleneck() -> None:
    theirs = heads.SimSiamPredictionHead().layers
    assert theirs[0].out_features < theirs[0].in_features
    assert mlp([256, 4096, 256], bias=True)[0].out_features > 256


def test_loss_is_four_plus_twice_lightlys_and_gradients_are_twice_lightlys() -> None:
    ours, views = our_model(), two_views()
    assert ours.target is not None
    online, target = (
        nn.Sequential(
            copy.deepcopy(encoder[0].net),
            copied(encoder[1], heads.BYOLProjectionHead(WIDTH, HIDDEN, PROJECTION)),
        )
        for encoder in (ours.encoder, ours.target)
    )
    head = copied(ours.predictor, heads.BYOLPredictionHead(PROJECTION, HIDDEN, PROJECTION))
    criterion = NegativeCosineSimilarity()
    q = [head(online(view)) for view in views]
    with torch.no_grad():
        z = [target(view) for view in views]
    a, b = criterion(q[0], z[1]), criterion(q[1], z[0])
    loss = ours(*views)
    assert loss.item() == pytest.approx((4 + 2 * (a + b)).item(), abs=1e-10)
    loss.backward()
    (0.5 * (a + b)).backward()  # as in lightly's examples: a quarter of ours
    for ours_, theirs in (
        (ours.encoder[0].net[0], online[0][0]),
        (ours.encoder[1][3], online[1].layers[3]),
        (ours.predictor[0], head.layers[0]),
    ):
        torch.testing.assert_close(ours_.weight.grad, 4 * theirs.weight.grad, rtol=1e-8, atol=1e-10)


def test_tau_is_lightlys_cosine_schedule_of_one_step_more() -> None:
    for k in (0, 1, 37, 50, 99, 100):
        assert tau(0.99, k, 100) == pytest.approx(cosine_schedule(k, 101, 0.99, 1.0), abs=1e-12)
    assert cosine_schedule(99, 100, 0.99, 1.0) == 1.0 > tau(0.99, 99, 100)


def test_the_target_moves_as_by_lightlys_update_momentum() -> None:
    ours = our_model()
    target = copy.deepcopy(ours.target)
    update_momentum(ours.encoder, target, TAU)
    ours.after_step(1, 10)
    assert ours.target is not None
    for mine, theirs in zip(ours.target.parameters(), target.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_std_is_lightlys(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    z = 1.0 + scale * torch.randn(100, 16, generator=generator)
    assert collapse_statistics(z)[0] == pytest.approx(std_of_l2_normalized(z).item(), rel=1e-5)
