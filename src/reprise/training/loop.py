"""The one training loop: batches in a keyed order, a schedule, a row of history an epoch."""

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from tqdm import tqdm

from reprise.atomic_io import write_csv
from reprise.datasets.batches import Rows
from reprise.datasets.rng import permutation, uniform
from reprise.errors import RepriseError
from reprise.params.pieces import pieces_problem
from reprise.params.training import Training
from reprise.torch_compiler import without_dynamo
from reprise.training.checkpoint import Checkpoint, State
from reprise.training.early_stopping import stops_early
from reprise.training.job import JobContext
from reprise.training.live import Live
from reprise.training.pieces import backward_in_pieces
from reprise.training.runtime import Device
from reprise.training.schedules import learning_rate, restart_at

Row = dict[str, float | int]
Tensors = dict[str, Tensor]
FIRST_COLUMNS = ("epoch", "step", "learning_rate", "tau", "train_loss", "train_accuracy")


@dataclass
class Progress:
    """What a training has produced so far; with model and optimizer it is a whole checkpoint.

    It needs no random state: every draw is addressed by (seed, epoch or step, image, view).
    """

    step: int = 0
    rows: list[Row] = field(default_factory=list)  # of history.csv
    sums: Tensors = field(default_factory=dict)  # over the batches of the current epoch
    kept: Tensors = field(default_factory=dict)  # features or masks of the epochs that are saved
    predictions: dict[int, Tensor] = field(default_factory=dict)  # of the epochs that vote
    best: float = -np.inf
    best_state: Tensors = field(default_factory=dict)  # of the epoch with the best validation score

    def update_best(self, row: Row, model: nn.Module, score: float) -> None:
        """Keep the model, or a part of it, if its score is higher than all before.

        A score that is NaN is lower than every number, and the first epoch is kept in any case.
        """
        if np.isnan(score):
            logging.warning("epoch %d: the validation score is not a number", row["epoch"])
            score = -np.inf
        selected = score > self.best or not self.best_state
        row["selected"] = int(selected)
        if selected:
            self.best = score
            self.best_state = {k: v.detach().clone() for k, v in model.state_dict().items()}
            for earlier in self.rows:
                earlier["selected"] = 0

    def add(self, values: Tensors) -> None:
        """Add the values of a batch to the sums, on their device and without waiting for it."""
        for name, value in values.items():
            value = value.detach().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value


@dataclass(frozen=True)
class TrainingJob:
    """One training on the train split.

    model: its parameters that require a gradient are trained. training_step: from the rows of a
    batch and the epoch to its mean 'loss', and further values to be summed over an epoch.
    validation_step: called with the row of a finished epoch and the progress; it adds to both.
    after_step: called with the number of steps done and their total. validate_first: validate
    before the first step too, as epoch 0. per_image: attributes of the model that a training step
    sets to a tensor with a row an image; `after_step` needs those of the whole batch.
    """

    model: nn.Module
    context: JobContext[Training]
    training_step: Callable[[Rows, int], Tensors]
    validation_step: Callable[[Row, Progress], None]
    after_step: Callable[[int, int], None] = lambda step, steps: None
    validate_first: bool = False
    per_image: tuple[str, ...] = ()

    def seed_step(self, number: int, piece: int = 0) -> None:
        """Seed what draws without an address, such as dropout, for a piece of step `number`."""
        # for dropout; torch.manual_seed would cost a small step a millisecond
        seed = step_seed(self.context.seed, number, piece)
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.manual_seed(seed)


@without_dynamo()
def train(job: TrainingJob, checkpoint: Checkpoint) -> Progress:
    """Train from the start, or from the checkpoint of a killed run.

    Raises RepriseError for a wrong batch size (see `count_steps`) or a loss that is not finite.
    """
    recipe, key, seed = job.context.recipe, job.context.config_key, job.context.seed
    train_rows = job.context.data.require_rows("train")
    per_epoch = count_steps(len(train_rows), recipe, key)
    steps = per_epoch * recipe.epochs
    progress, optimizer = Progress(), make_optimizer(recipe, job.model)
    scaler = job.context.device.scaler()
    stateful: dict[str, Any] = {"model": job.model, "optimizer": optimizer, "scaler": scaler}
    if (state := checkpoint.load()) is not None:
        progress = restore(state, stateful)
        logging.info("%s: resuming from step %d of %d", key, progress.step, steps)
    processes = job.context.device.processes
    processes.require_same(progress.step, job.context.device.device)
    job.model.train()
    live = Live(key, recipe.epochs, steps, progress.step)
    if job.validate_first and not progress.rows:
        end_epoch(job, progress, {"epoch": 0, "step": 0}, live)
    bar = tqdm(total=steps, initial=progress.step, disable=None, leave=False)
    finished_epochs, first_batch = divmod(progress.step, per_epoch)
    for epoch in range(finished_epochs + 1, recipe.epochs + 1):
        shuffled = train_rows[permutation(seed, epoch, len(train_rows))]
        for batch in range(first_batch, per_epoch):
            if progress.step and processes.rank == 0 and checkpoint.due():
                states = {name: member.state_dict() for name, member in stateful.items()}
                checkpoint.save({"progress": vars(progress)} | states)
            if progress.step and progress.step == restart_at(recipe, progress.step, per_epoch)[0]:
                optimizer = stateful["optimizer"] = make_optimizer(recipe, job.model)
            rate = learning_rate(recipe, progress.step, per_epoch)
            rows = shuffled[batch * recipe.batch_size :][: recipe.batch_size]
            progress.add(step(job, optimizer, scaler, rows, epoch, rate, progress.step))
            progress.step += 1
            job.after_step(progress.step, steps)
            bar.update()
        first_batch = 0
        loss = check_finite(progress.sums["loss"] / per_epoch, key, epoch)
        row: Row = {"epoch": epoch, "step": progress.step, "learning_rate": rate}
        end_epoch(job, progress, row | {"train_loss": loss}, live)
        if stops_early(recipe, progress.rows):
            logging.info("%s: no better score on val for %d epochs", key, recipe.patience)
            break
    bar.close()
    return progress


def step(
    job: TrainingJob,
    optimizer: Optimizer,
    scaler: GradScaler,
    rows: Rows,
    epoch: int,
    rate: float,
    number: int,
) -> Tensors:
    """Step `number` of the optimizer; returns the values of its batch."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    if job.context.recipe.micro_batches > 1:
        values = backward_in_pieces(job, scaler, rows, epoch, number)
    else:
        job.seed_step(number)
        values = job.training_step(rows, epoch)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(values["loss"]).backward()  # type: ignore[no-untyped-call]
    if job.context.recipe.max_grad_norm:
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(job.model.parameters(), job.context.recipe.max_grad_norm)
    scaler.step(optimizer)
    scaler.update()
    return values


def end_epoch(job: TrainingJob, progress: Progress, row: Row, live: Live) -> None:
    """Validate, and add the row to the history and the log."""
    job.validation_step(row, progress)
    progress.rows.append(row)
    progress.sums = {}
    live.show(progress.rows)
    sys.stderr.flush()


def restore(state: State, stateful: Mapping[str, Any]) -> Progress:
    """The progress of a checkpoint; model, optimizer and scaler get their states."""
    for name, member in stateful.items():
        member.load_state_dict(state[name])
    progress = Progress(**state["progress"])
    device = next(stateful["model"].parameters()).device
    progress.sums = {name: value.to(device) for name, value in progress.sums.items()}
    return progress


def count_steps(images: int, recipe: Training, config_key: str) -> int:
    """Steps of an epoch: full batches of the train images; a smaller last batch is dropped.

    Raises RepriseError for a batch of one, or one that is larger than the train split.
    """
    if recipe.batch_size < 2:
        raise RepriseError(f"{config_key}.batch_size is 1; batch norm needs at least 2")
    if recipe.batch_size > images:
        raise RepriseError(
            f"{config_key}.batch_size is {recipe.batch_size}, more than the {images} training "
            "images; make it smaller"
        )
    if problem := pieces_problem(recipe):
        raise RepriseError(f"{config_key}.micro_batches: {problem}")
    return images // recipe.batch_size


def make_optimizer(recipe: Training, model: nn.Module) -> Optimizer:
    """AdamW, Adam or SGD over the trained parameters; no weight decay on biases and norms.

    `step` sets the learning rate before each step.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = recipe.learning_rate
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, rate, recipe.momentum, fused=True)
    kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, rate, amsgrad=recipe.amsgrad, fused=True)


def check_finite(loss: Tensor, config_key: str, epoch: int) -> float:
    """The loss as a float. Raises RepriseError if it is not finite."""
    value = float(loss)
    if not np.isfinite(value):
        raise RepriseError(
            f"{config_key}: the loss is {value} in epoch {epoch}; lower learning_rate or raise "
            "warmup"
        )
    return value


def step_seed(seed: int, number: int, piece: int = 0) -> int:
    """A seed for torch's generator: of the job's seed, the step's number and the piece's."""
    return int(uniform(seed, number, np.array([piece]), 1, 1)[0, 0] * 2**53)


def write_history(path: Path, rows: list[Row], device: Device) -> None:
    """Write history.csv: one row an epoch, empty where a value does not exist.

    The last columns are the machine, the same in each row (see `Device.machine`).
    """
    table = pd.DataFrame(rows)
    first = [name for name in FIRST_COLUMNS if name in table]
    table = table[first + [name for name in table if name not in first]]
    table = table.assign(**device.machine())
    write_csv(path, table, float_format="%.8g")
