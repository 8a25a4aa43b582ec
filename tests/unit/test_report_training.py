"""What the reports' recipes ask of training: policies, flips, schedules, losses, held norms."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2

from reprise.data.augment import augment, decide
from reprise.data.inputs import Inputs
from reprise.data.policies import apply, keys_of
from reprise.data.store import Prepared, open_set, write_set
from reprise.errors import RepriseError
from reprise.models.classifier import small_cnn
from reprise.models.segmentation import segmenter
from reprise.params import Augment, Training
from reprise.training.checkpoint import Checkpoint
from reprise.training.classification import train_classifier
from reprise.training.loop import make_optimizer
from reprise.training.losses import inverse_shares, loss_of
from reprise.training.runtime import Device
from reprise.training.schedules import learning_rate
from reprise.training.vote import majority, voters

ROWS = np.arange(12)


def images(count: int = 12, side: int = 16) -> torch.Tensor:
    drawn = np.random.default_rng(0).integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    return torch.from_numpy(drawn)


def training(**more: Any) -> Training:
    values = {"epochs": 15, "batch_size": 4, "learning_rate": 1.0} | more
    return Training.model_validate(values)


def test_two_flips_are_four_pictures_each_as_often(tmp_path: Path) -> None:
    recipe = Augment(flip=True, flip_vertical=True)
    one = torch.arange(8, dtype=torch.uint8).repeat(3, 1).view(1, 3, 2, 4)[..., :2].contiguous()
    rows = np.arange(4000)
    found = augment(one.expand(4000, -1, -1, -1), decide(rows, recipe, 0, 1))
    wanted = [one[0], one[0].flip(2), one[0].flip(1), one[0].flip(1, 2)]
    counts = [int((found == w).flatten(1).all(1).sum()) for w in wanted]
    assert sum(counts) == 4000 and min(counts) > 900
    with pytest.raises(ValueError, match="flip_vertical needs flip"):
        Augment(flip_vertical=True)


@pytest.mark.parametrize("name", ["trivial_wide", "autoaugment_cifar10", "cutout", "blur"])
def test_a_policys_draw_belongs_to_its_image_and_to_nothing_else(name: str) -> None:
    recipe = Augment(policy=[name])  # type: ignore[list-item]
    keys = keys_of(ROWS, recipe, 0, 1, 0)
    assert keys is not None and len(set(keys.tolist())) == 12
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    whole = apply(images(), [name], keys)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    parts = [apply(images()[part], [name], keys[part]) for part in (slice(0, 5), slice(5, 12))]
    assert whole.dtype == torch.uint8 and torch.equal(whole, torch.cat(parts))
    changed = (whole != images()).flatten(1).any(1)
    assert changed.sum() >= (1 if name == "blur" else 6)
    again = keys_of(ROWS, recipe, 0, 2, 0)
    assert again is not None and not set(keys.tolist()) & set(again.tolist())


def test_a_policy_is_torchvisions() -> None:
    torch.manual_seed(7)
    theirs = v2.TrivialAugmentWide()(images()[3])
    assert torch.equal(apply(images()[3:4], ["trivial_wide"], np.array([7]))[0], theirs)
    blank = (apply(images(), ["cutout"], ROWS) == 0).all(dim=1).flatten(1).sum(1)
    assert (blank >= 16).all()  # a quarter of 16 pixels, squared


def test_batches_have_the_policy_in_training_alone_and_label_maps_refuse_it(
    tmp_path: Path,
) -> None:
    pixels = images(6, 8).permute(0, 2, 3, 1).numpy()
    write_set(tmp_path, "small", Prepared(
        images=pixels, labels=np.array([0, 1] * 3, np.uint8),
        roles=np.array(["train", "train", "select", "select", "report", "report"]), columns={},
        task="classification", classes=[{"id": 0, "name": "a"}, {"id": 1, "name": "b"}],
        source="", licence="", note="",
    ))  # fmt: skip
    data, cpu = open_set(tmp_path, "classification"), torch.device("cpu")
    plain = Inputs(data, Augment(), 0, cpu)
    policy = Inputs(data, Augment(policy=["cutout"]), 0, cpu)
    rows = np.arange(6)
    assert torch.equal(policy.plain(rows), plain.plain(rows))
    assert not torch.equal(policy.train(rows, 1), plain.train(rows, 1))
    assert torch.equal(policy.train(rows, 1)[2:4], policy.train(rows[2:4], 1))
    with pytest.raises(RepriseError, match="no label maps"):
        policy.train_with_labels(rows, 1, torch.zeros(6, 8, 8, dtype=torch.uint8))


def test_milestones_are_multisteplr() -> None:
    recipe = training(schedule="milestones", milestones=[9, 10], gamma=0.9, schedule_by="epoch")
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, [9, 10], 0.9)
    for epoch in range(15):
        for step in range(3):
            rate = learning_rate(recipe, 3 * epoch + step, 3)
            assert rate == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    with pytest.raises(ValueError, match="schedule milestones and the list go together"):
        training(milestones=[3])


def test_amsgrad_is_handed_on() -> None:
    for name in ("adam", "adamw"):
        made = make_optimizer(training(optimizer=name, amsgrad=True), nn.Linear(2, 2))
        assert all(group["amsgrad"] for group in made.param_groups)


def test_the_losses_are_torchs() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 5, 6)
    maps = torch.randint(0, 5, (3, 5, 6), dtype=torch.uint8)  # 4 is ignored
    wanted, rows = maps.long(), np.arange(3)

    def loss(name: str) -> float:
        return float(loss_of(name, maps.numpy(), rows, 4, 4)(logits, wanted))

    assert loss("cross_entropy") == pytest.approx(
        float(F.cross_entropy(logits, wanted, ignore_index=4)), rel=1e-6
    )
    counts = torch.bincount(wanted.flatten(), minlength=5)[:4]
    weights = counts.sum() / counts
    assert torch.allclose(inverse_shares(maps.numpy(), 4), weights.float())
    assert loss("weighted") == pytest.approx(
        float(F.cross_entropy(logits, wanted, weights, ignore_index=4)), rel=1e-6
    )
    hot = F.one_hot(wanted, 5)[..., :4].permute(0, 3, 1, 2).float()  # nothing at ignored pixels
    assert loss("binary") == pytest.approx(
        float(F.binary_cross_entropy_with_logits(logits, hot)), rel=1e-6
    )


def test_weights_of_classes_come_from_the_train_role_alone() -> None:
    maps = np.zeros((2, 4, 4), np.uint8)
    maps[1] = 1
    maps[0, 0] = 1
    assert inverse_shares([maps[0]], 3).tolist() == pytest.approx([4 / 3, 4, 0])
    one = loss_of("weighted", maps, np.array([0]), 3, 9)
    other = loss_of("weighted", maps, np.array([0, 1]), 3, 9)
    torch.manual_seed(0)
    logits, wanted = torch.randn(1, 3, 4, 4), torch.from_numpy(maps[:1]).long()
    assert float(one(logits, wanted)) != float(other(logits, wanted))


def test_a_held_norm_learns_scale_and_shift_but_no_statistics() -> None:
    torch.manual_seed(0)
    model: Any = segmenter("fcn8s_vgg16", 3, 0.0625, held_norm=True)
    plain: Any = segmenter("fcn8s_vgg16", 3, 0.0625)
    assert list(model.state_dict()) == list(plain.state_dict())
    model.train()
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    for norm in model.norms:
        assert not norm.training and norm.weight.grad is not None
        assert (norm.running_mean == 0).all() and (norm.running_var == 1).all()
    assert all(norm.training for norm in plain.train().norms)


def test_the_epochs_of_the_lowest_loss_vote_and_the_lower_loss_breaks_ties() -> None:
    losses = {1: 0.9, 2: 0.5, 3: 0.7, 4: 0.5, 5: 0.6}
    rows: list[Any] = [{"epoch": e, "select_loss": loss} for e, loss in losses.items()]
    assert voters(rows, 4) == [2, 4, 5, 3]
    answers = torch.tensor([[0, 0, 2, 1], [0, 1, 1, 2], [1, 1, 0, 3], [0, 0, 0, 2]])
    winner, share = majority(list(answers), 4)
    assert winner.tolist() == [0, 0, 0, 2]  # 3 to 1; 2 to 2, the first epoch says 0; 2 of 4; 2 of 4
    assert share.tolist() == [0.75, 0.5, 0.5, 0.5]
    everyone, _ = majority([torch.arange(4)], 4)
    assert everyone.tolist() == [0, 1, 2, 3]


def test_a_training_that_votes_answers_with_the_majority_of_its_epochs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_set(tmp_path, "set", Prepared(
        images=rng.integers(0, 255, (60, 8, 8, 3), dtype=np.uint8),
        labels=np.arange(60, dtype=np.uint8) % 3, columns={},
        roles=np.repeat(["train", "select", "report"], 20), task="classification",
        classes=[{"id": i, "name": str(i)} for i in range(3)],
        source="", licence="", note="",
    ))  # fmt: skip
    data, device = open_set(tmp_path, "classification"), Device(torch.device("cpu"), torch.float32)

    def done(vote: int, epochs: int) -> Any:
        torch.manual_seed(0)
        recipe = training(epochs=epochs, batch_size=10, learning_rate=0.05)
        checkpoint = Checkpoint(tmp_path / "checkpoint", {})
        return train_classifier(
            small_cnn(8, 3), data, Inputs(data, Augment(), 0, device.device), recipe, device,
            "here", ("report", [1]), checkpoint, vote,
        )  # fmt: skip

    single, voting = done(1, 4), done(3, 4)
    assert single.history == voting.history and set(single.features) == set(voting.features)
    assert set((voting.predictions["confidence"] * 3).round(4)) <= {1.0, 2.0, 3.0}
    assert list(voting.predictions["id"]) == list(single.predictions["id"])
    assert (voting.predictions["prediction"] != single.predictions["prediction"]).any()
    assert voting.predictions["single"].equals(single.predictions["prediction"])
    assert "single" not in single.predictions
