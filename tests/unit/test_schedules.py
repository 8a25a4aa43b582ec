"""Schedules are functions of the step; torch's own schedulers say what they must give."""

from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError
from torch.optim import lr_scheduler as torchs

from reprise.params.training import Training
from reprise.training.schedules import learning_rate, tau

STEPS = 5  # an epoch
EPOCHS = 12


def recipe(**changes: object) -> Training:
    values = {"epochs": EPOCHS, "batch_size": 4, "learning_rate": 0.1, **changes}
    return Training.model_validate(values)


def rates(**changes: object) -> list[float]:
    options = recipe(**changes)
    return [learning_rate(options, step, STEPS) for step in range(options.epochs * STEPS)]


def theirs(make: Callable[[torch.optim.Optimizer], torchs.LRScheduler], calls: int) -> list[float]:
    """The learning rates before each call of a scheduler's `step`."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    scheduler, values = make(optimizer), []
    for _ in range(calls):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


EPOCHWISE = {
    "constant": ({}, lambda o: torchs.ConstantLR(o, 1.0)),
    "cosine": ({}, lambda o: torchs.CosineAnnealingLR(o, EPOCHS)),
    "cosine_restarts": (
        {"T_0": 2, "T_mult": 2},
        lambda o: torchs.CosineAnnealingWarmRestarts(o, 2, 2),
    ),
    "step": ({"step_size": 5, "gamma": 0.75}, lambda o: torchs.StepLR(o, 5, 0.75)),
    "exponential": ({"gamma": 0.9}, lambda o: torchs.ExponentialLR(o, 0.9)),
    "polynomial": ({"power": 0.9}, lambda o: torchs.PolynomialLR(o, EPOCHS, 0.9)),
}


@pytest.mark.parametrize("name", EPOCHWISE)
def test_called_once_an_epoch_each_schedule_is_torchs(name: str) -> None:
    values, make = EPOCHWISE[name]
    ours = rates(schedule=name, lr_interval="epoch", **values)
    assert ours[::STEPS] == pytest.approx(theirs(make, EPOCHS), rel=1e-9)
    assert all(len(set(ours[i : i + STEPS])) == 1 for i in range(0, len(ours), STEPS))


STEPWISE = {
    "cosine": ({}, lambda o: torchs.CosineAnnealingLR(o, EPOCHS * STEPS)),
    "cosine_restarts": (
        {"T_0": 4},
        lambda o: torchs.CosineAnnealingWarmRestarts(o, 4 * STEPS),
    ),
    "polynomial": ({"power": 2.0}, lambda o: torchs.PolynomialLR(o, EPOCHS * STEPS, 2.0)),
}


@pytest.mark.parametrize("name", STEPWISE)
def test_called_once_a_step_each_schedule_is_torchs(name: str) -> None:
    values, make = STEPWISE[name]
    assert rates(schedule=name, **values) == pytest.approx(theirs(make, EPOCHS * STEPS), rel=1e-9)


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    options = recipe(epochs=10, warmup=2)
    values = [learning_rate(options, step, STEPS) for step in range(51)]
    assert values[0] == pytest.approx(0.01) and values[9] == values[10] == pytest.approx(0.1)
    assert values[30] == pytest.approx(0.05) and values[50] == pytest.approx(0)


def test_two_trainings_of_fifty_epochs_are_not_one_of_a_hundred() -> None:
    once, hundred = rates(epochs=50, warmup=1), rates(epochs=100, warmup=1)
    twice = rates(epochs=100, restart_epochs=[50, 50], warmup=1)
    assert twice == once + once
    assert twice != hundred and twice[50 * STEPS] == once[0] != hundred[50 * STEPS]


def test_restart_epochs_start_the_cycles_of_cosine_restarts_again() -> None:
    one = rates(schedule="cosine_restarts", T_0=5)
    restarted = rates(schedule="cosine_restarts", T_0=5, restart_epochs=[8, 4])
    assert restarted[: 8 * STEPS] == one[: 8 * STEPS]
    assert restarted[8 * STEPS :] == one[: 4 * STEPS]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "step"}, "schedule step needs step_size, in epochs"),
        ({"schedule": "cosine_restarts"}, "schedule cosine_restarts needs T_0"),
        ({"restart_epochs": [5, 5]}, "restart_epochs add up to 10, but epochs is 12"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        recipe(**changes)


def test_tau_goes_from_its_base_to_one() -> None:
    assert tau(0.99, 0, 100) == pytest.approx(0.99)
    assert tau(0.99, 50, 100) == pytest.approx(0.995)
    assert tau(0.99, 100, 100) == 1.0
    assert tau(0.99, 150, 100) == 1.0


def test_milestones_are_multisteplr() -> None:
    options = recipe(
        epochs=15, learning_rate=1.0, schedule="milestones", milestones=[9, 10], gamma=0.9,
        lr_interval="epoch",
    )  # fmt: skip
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    scheduler = torchs.MultiStepLR(optimizer, [9, 10], 0.9)
    for epoch in range(15):
        for step in range(3):
            rate = learning_rate(options, 3 * epoch + step, 3)
            assert rate == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    with pytest.raises(ValidationError, match="milestones needs the list"):
        recipe(milestones=[3])
