"""The training loop: resumed at any step, restarted where a recipe says so, fused optimizers."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from support.training import CPU, same, train_toy
from torch import nn

from reprise.models.build import build_backbone, build_segmenter
from reprise.params.segment import SegmentRecipe
from reprise.params.training import Training
from reprise.training.checkpoint import Checkpoint
from reprise.training.loop import Progress, Row, make_optimizer, write_history


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_run_interrupted_at_any_step_is_the_run_that_was_not(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    whole = train_toy(Checkpoint(tmp_path / "none", {}, math.inf), dtype=dtype)
    for step in range(1, 13):
        path = tmp_path / f"stopped at {step}"
        with pytest.raises(KeyboardInterrupt):
            train_toy(Checkpoint(path, {}, 0), stop=step, dtype=dtype)
        assert path.exists() == (step > 1)
        assert same(train_toy(Checkpoint(path, {}, 0), dtype=dtype), whole), step


def test_the_scale_of_the_loss_is_resumed(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_toy(Checkpoint(path, {}, 0), stop=5, dtype=torch.float16)
    state = Checkpoint(path, {}, math.inf).load()
    # at least one overflow halved it
    assert state is not None and 0 < state["scaler"]["scale"] < 2.0**20


def test_a_gradient_that_overflows_in_float16_changes_no_weight(tmp_path: Path) -> None:
    never, first_epoch = Checkpoint(tmp_path / "none", {}, math.inf), []
    options = {"dtype": torch.float16, "restart_epochs": [], "schedule": "constant"}
    for epochs in (1, 4):
        progress, state = train_toy(never, epochs=epochs, **options)
        first_epoch.append(progress.kept["epoch 1"].tolist())
    torch.manual_seed(0)
    assert first_epoch[0] == first_epoch[1] == nn.Linear(3, 8).weight.tolist()  # as drawn
    assert state["0.weight"] != first_epoch[0]  # the scale has become small enough


def test_a_restart_has_a_new_optimizer(tmp_path: Path) -> None:
    never = Checkpoint(tmp_path / "none", {}, math.inf)
    restarted = train_toy(never, schedule="constant")[0].rows
    single = train_toy(never, schedule="constant", restart_epochs=[])[0].rows
    assert restarted[:2] == single[:2]
    assert restarted[3]["train_loss"] != single[3]["train_loss"]


def test_a_history_has_a_row_an_epoch_and_the_first_of_equals_is_selected(tmp_path: Path) -> None:
    progress, _ = train_toy(Checkpoint(tmp_path / "none", {}, math.inf))
    losses = [row["train_loss"] for row in progress.rows]
    assert [row["epoch"] for row in progress.rows] == [1, 2, 3, 4]
    assert [row["selected"] for row in progress.rows].index(1) == losses.index(min(losses))
    write_history(tmp_path / "history.csv", progress.rows, CPU)
    header = (tmp_path / "history.csv").read_text().splitlines()[0]
    machine = "cpu_capability,device,precision,torch,threads"
    assert header == f"epoch,step,learning_rate,train_loss,selected,{machine}"
    equals, model = Progress(), nn.Linear(1, 1)
    for _ in range(2):
        row: Row = {}
        equals.update_best(row, model, 0.5)
        equals.rows.append(row)
    assert [row["selected"] for row in equals.rows] == [1, 0]


@pytest.mark.parametrize(
    ("scores", "selected"),
    [
        ([math.nan, math.nan], [1, 0]),
        ([math.nan, 0.0, 0.5], [0, 0, 1]),
        ([0.5, math.nan, 0.4], [1, 0, 0]),
        ([math.nan, -1.0], [0, 1]),
    ],
)
def test_a_score_that_is_not_a_number_is_the_lowest_and_a_line_says_so(
    scores: list[float], selected: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    progress, model = Progress(), nn.Linear(1, 1)
    for epoch, score in enumerate(scores, 1):
        with torch.no_grad():
            model.weight.fill_(epoch)
        row: Row = {"epoch": epoch}
        progress.update_best(row, model, score)
        progress.rows.append(row)
    assert [row["selected"] for row in progress.rows] == selected
    assert progress.best_state["weight"].item() == 1 + selected.index(1)
    named = [record.getMessage() for record in caplog.records]
    assert named == [
        f"epoch {epoch}: the validation score is not a number"
        for epoch, score in enumerate(scores, 1)
        if math.isnan(score)
    ]


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_amsgrad_is_passed_on(name: str) -> None:
    recipe = Training(epochs=1, batch_size=2, learning_rate=1.0, optimizer=name, amsgrad=True)
    optimizer = make_optimizer(recipe, nn.Linear(2, 2))
    assert all(group["amsgrad"] for group in optimizer.param_groups)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("network", ["resnet10", "fcn32s", "deeplabv3"])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_fused_step_is_the_plain_one(optimizer: str, network: str, bfloat16: bool) -> None:
    """On CPU torch's fused steps read a gradient in the order in which it is in memory.

    Where that is not the weight's order, they step with the wrong entries without a warning.
    """
    torch.manual_seed(0)
    values: dict[str, Any] = {"epochs": 2, "batch_size": 4, "learning_rate": 0.01}
    if network == "resnet10":
        model: nn.Module = build_backbone("resnet10", "small")
    else:
        recipe = SegmentRecipe(model=network, width_mult=0.125, image_size=32, **values)
        model = build_segmenter(recipe, 3)
    CPU.to_device(model)
    images = torch.randn(4, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    training = Training(optimizer=optimizer, weight_decay=0.1, **values)
    fused, plain = make_optimizer(training, model), copy.deepcopy(model)
    groups = [
        {"params": [p for p in plain.parameters() if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in plain.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    options = {"momentum": training.momentum} if optimizer == "sgd" else {}
    single = type(fused)(groups, training.learning_rate, fused=False, foreach=False, **options)
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            outputs = model(images)
        fused.zero_grad()
        outputs.float().square().mean().backward()
        for ours, other in zip(model.parameters(), plain.parameters(), strict=True):
            other.grad = torch.empty_like(other).copy_(ours.grad)
        fused.step()
        single.step()
        for ours, other in zip(model.parameters(), plain.parameters(), strict=True):
            assert torch.allclose(ours, other, rtol=1e-4, atol=1e-6)
