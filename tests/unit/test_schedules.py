"""Schedules are functions of the step; torch's own schedulers say what they must give."""

from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError
from torch.optim import lr_scheduler as torchs

from reprise.params import Training
from reprise.training.schedules import learning_rate, tau

STEPS = 5  # an epoch
EPOCHS = 12


def recipe(**changes: object) -> Training:
    values = {"epochs": EPOCHS, "batch_size": 4, "learning_rate": 0.1, **changes}
    return Training.model_validate(values)


def rates(**changes: object) -> list[float]:
    chosen = recipe(**changes)
    return [learning_rate(chosen, step, STEPS) for step in range(chosen.epochs * STEPS)]


def theirs(make: Callable[[torch.optim.Optimizer], torchs.LRScheduler], calls: int) -> list[float]:
    """The learning rates before each call of a scheduler's `step`."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    scheduler, found = make(optimizer), []
    for _ in range(calls):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


EPOCHWISE = {
    "constant": ({}, lambda o: torchs.ConstantLR(o, 1.0)),
    "cosine": ({}, lambda o: torchs.CosineAnnealingLR(o, EPOCHS)),
    "cosine_restarts": (
        {"period": 2, "multiply": 2},
        lambda o: torchs.CosineAnnealingWarmRestarts(o, 2, 2),
    ),
    "step": ({"period": 5, "gamma": 0.75}, lambda o: torchs.StepLR(o, 5, 0.75)),
    "exponential": ({"gamma": 0.9}, lambda o: torchs.ExponentialLR(o, 0.9)),
    "polynomial": ({"power": 0.9}, lambda o: torchs.PolynomialLR(o, EPOCHS, 0.9)),
}


@pytest.mark.parametrize("name", EPOCHWISE)
def test_called_once_an_epoch_each_schedule_is_torchs(name: str) -> None:
    values, make = EPOCHWISE[name]
    ours = rates(schedule=name, schedule_by="epoch", **values)
    assert ours[::STEPS] == pytest.approx(theirs(make, EPOCHS), rel=1e-9)
    assert all(len(set(ours[i : i + STEPS])) == 1 for i in range(0, len(ours), STEPS))


STEPWISE = {
    "cosine": ({}, lambda o: torchs.CosineAnnealingLR(o, EPOCHS * STEPS)),
    "cosine_restarts": (
        {"period": 4},
        lambda o: torchs.CosineAnnealingWarmRestarts(o, 4 * STEPS),
    ),
    "polynomial": ({"power": 2.0}, lambda o: torchs.PolynomialLR(o, EPOCHS * STEPS, 2.0)),
}


@pytest.mark.parametrize("name", STEPWISE)
def test_called_once_a_step_each_schedule_is_torchs(name: str) -> None:
    values, make = STEPWISE[name]
    assert rates(schedule=name, **values) == pytest.approx(theirs(make, EPOCHS * STEPS), rel=1e-9)


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    chosen = recipe(epochs=10, warmup=2)
    found = [learning_rate(chosen, step, STEPS) for step in range(51)]
    assert found[0] == pytest.approx(0.01) and found[9] == found[10] == pytest.approx(0.1)
    assert found[30] == pytest.approx(0.05) and found[50] == pytest.approx(0)


def test_two_phases_of_fifty_epochs_are_not_one_of_a_hundred() -> None:
    once, hundred = rates(epochs=50, warmup=1), rates(epochs=100, warmup=1)
    twice = rates(epochs=100, phases=[50, 50], warmup=1)
    assert twice == once + once
    assert twice != hundred and twice[50 * STEPS] == once[0] != hundred[50 * STEPS]


def test_two_phases_with_restarts_start_their_periods_again() -> None:
    one = rates(schedule="cosine_restarts", period=5)
    phases = rates(schedule="cosine_restarts", period=5, phases=[8, 4])
    assert phases[: 8 * STEPS] == one[: 8 * STEPS]
    assert phases[8 * STEPS :] == one[: 4 * STEPS]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schedule": "step"}, "schedule step needs period, in epochs"),
        ({"schedule": "cosine_restarts"}, "schedule cosine_restarts needs period"),
        ({"phases": [5, 5]}, "phases make 10 epochs, and epochs is 12"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        recipe(**changes)


def test_tau_goes_from_its_base_to_one() -> None:
    assert tau(0.99, 0, 100) == pytest.approx(0.99)
    assert tau(0.99, 50, 100) == pytest.approx(0.995)
    assert tau(0.99, 100, 100) == 1.0
    assert tau(0.99, 150, 100) == 1.0
