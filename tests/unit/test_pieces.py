"""A batch in pieces: what the gradient, the values and batch norm's statistics are then."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from support.training import CPU
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.datasets.batches import Batches
from reprise.engines.preset import render
from reprise.errors import RepriseError
from reprise.params.load import parse
from reprise.params.pieces import pieces_problem, processes_of
from reprise.params.reader import parse_yaml
from reprise.params.training import Runtime, Training
from reprise.training.job import JobContext
from reprise.training.loop import TrainingJob, count_steps
from reprise.training.pieces import backward_in_pieces, mean_in_order

ROWS = np.arange(12)


def recipe(**options: Any) -> Training:
    values = {"epochs": 1, "batch_size": 12, "learning_rate": 0.1, "micro_batches": 3}
    return Training.model_validate(values | options)


def toy(network: nn.Module, **options: Any) -> tuple[dict[str, Tensor], Tensor]:
    """The values of one step in pieces on random numbers, and these."""
    x = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))

    def training_step(rows: np.ndarray, epoch: int) -> dict[str, Tensor]:
        y = network(x[rows])
        network.outputs = y
        return {"loss": F.mse_loss(y, x[rows, :2]), "rows": torch.tensor(len(rows))}

    context = JobContext(
        recipe(**options), "toy", 0, cast(Any, SimpleNamespace()), cast(Batches, None), CPU
    )
    job = TrainingJob(
        network, context, training_step, lambda row, progress: None, per_image=("outputs",)
    )
    return backward_in_pieces(job, CPU.scaler(), ROWS, 1, 0), x


def test_the_gradient_is_that_of_the_whole_batch_where_no_norm_is() -> None:
    torch.manual_seed(0)
    network = nn.Linear(4, 2)
    values, x = toy(network)
    gradient = network.weight.grad
    assert gradient is not None
    gradient = gradient.clone()
    network.zero_grad()
    loss = F.mse_loss(network(x), x[:, :2])
    loss.backward()
    torch.testing.assert_close(gradient, network.weight.grad)
    torch.testing.assert_close(values["loss"].float(), loss.detach())
    assert values["rows"] == 12  # other values are added up
    assert torch.equal(network.outputs, network(x).detach())  # in the order of the batch


def test_batch_norm_sees_a_piece_and_keeps_the_mean_of_their_statistics() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))
    _, x = toy(network)
    pieces = x.view(3, 4, 4)
    normalized = (pieces - pieces.mean(1, True)) / (
        pieces.var(dim=1, keepdim=True, correction=0) + 1e-5
    ).sqrt()
    expected = network[1](normalized.flatten(0, 1)).detach()
    torch.testing.assert_close(network.outputs, expected)
    norm = cast(nn.BatchNorm1d, network[0])
    torch.testing.assert_close(norm.running_mean, 0.1 * pieces.mean(1).mean(0))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * pieces.var(1).mean(0))
    assert norm.num_batches_tracked == 1


def test_dropout_draws_anew_for_each_piece() -> None:
    network = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5))
    toy(network)
    drawn = (network.outputs == 0).view(3, -1)
    assert not torch.equal(drawn[0], drawn[1])


def test_pieces_are_added_up_from_the_first_to_the_last() -> None:
    parts = torch.tensor([[1e8], [1.0], [-1e8], [1.0]])
    assert mean_in_order(parts).item() == 0.25  # in another order 0.5


@pytest.mark.parametrize(
    ("options", "processes", "problem"),
    [
        ({}, 1, None),
        ({}, 3, None),
        ({"micro_batches": 4}, 3, "4 pieces cannot be shared by 3 processes; make it a multiple"),
        ({"micro_batches": 5}, 1, "batches of 12 images have no 5 equal pieces"),
        ({"micro_batches": 12}, 1, "have no 12 equal pieces of two images or more"),
        ({"micro_batches": 1}, 3, None),
    ],
)
def test_what_cannot_be_shared_is_said(
    options: dict[str, int], processes: int, problem: str | None
) -> None:
    found = pieces_problem(recipe(**options), Runtime(processes=processes))
    assert found is None if problem is None else problem in str(found)


def test_a_recipe_without_pieces_is_trained_by_one_process() -> None:
    runtime = Runtime(processes=4)
    assert processes_of(runtime, recipe(micro_batches=1)) == 1
    assert processes_of(runtime, recipe(micro_batches=4)) == 4


def test_the_batches_of_a_library_call_are_checked_too() -> None:
    with pytest.raises(RepriseError, match=r"a: b\.micro_batches: batches of 12 images have no 5"):
        count_steps(100, recipe(micro_batches=5), "a: b")


def earth() -> Any:
    return parse_yaml(render("earth", Path(__file__).parents[2] / "presets"))


def test_params_yaml_is_checked_as_a_whole() -> None:
    values = earth()
    values["runtime"]["processes"] = 3
    with pytest.raises(RepriseError, match="processes: is 3, but no recipe has micro_batch"):
        parse(values)
    values["pretrain"]["earth"]["recipes"]["byol"]["micro_batches"] = 4
    with pytest.raises(RepriseError, match="earth.recipes.byol.micro_batches: 4 pieces cannot be"):
        parse(values)
    values["runtime"]["processes"] = 2
    assert parse(values).runtime.processes == 2
    # a run of fine-tuning has a size of its own, and the pieces of all runs
    values["finetune"]["earth"]["common"]["micro_batches"] = 2
    values["finetune"]["earth"]["recipes"]["B"]["batch_size"] = 7
    with pytest.raises(RepriseError, match="finetune.earth.recipes.B.micro_batches: batches of 7"):
        parse(values)
