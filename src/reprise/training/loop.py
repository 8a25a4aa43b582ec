"""The one training loop: batches in a keyed order, a schedule, a row of history an epoch."""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from tqdm import tqdm

from reprise.data.inputs import Rows
from reprise.data.randomness import order, uniform
from reprise.errors import RepriseError
from reprise.params import Training
from reprise.training.checkpoint import Checkpoint, State
from reprise.training.schedules import learning_rate, phase_of

Row = dict[str, float | int]
Tensors = dict[str, Tensor]


@dataclass
class Progress:
    """What a training has gathered; with model and optimizer it is all that a checkpoint needs.

    Nothing random is in it: every draw is addressed by (seed, epoch or step, image, view).
    """

    step: int = 0
    rows: list[Row] = field(default_factory=list)  # of history.csv
    sums: Tensors = field(default_factory=dict)  # over the batches of the epoch under way
    kept: Tensors = field(default_factory=dict)  # features or masks of the epochs that are shown
    best: float = -np.inf
    best_state: Tensors = field(default_factory=dict)  # of the epoch that scored highest on select

    def choose(self, row: Row, model: nn.Module, score: float) -> None:
        """Keep the model, or a part of it, when it is better than all before.

        The first of equals stays.
        """
        row["selected"] = int(score > self.best)
        if score > self.best:
            self.best = score
            self.best_state = {k: v.detach().clone() for k, v in model.state_dict().items()}
            for before in self.rows:
                before["selected"] = 0

    def add(self, values: Tensors) -> None:
        """Add the values of a batch to the sums, on their device and without waiting for it."""
        for name, value in values.items():
            value = value.detach().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value


@dataclass(frozen=True)
class Job:
    """One training.

    model: its parameters that require a gradient are trained. rows: of the train role.
    where: the recipe's key in params.yaml, for messages.
    values_of: from the rows of a batch and the epoch, its mean 'loss', and whatever else is to be
    summed over an epoch. measure: called with the row of an epoch that is done and the progress;
    it adds to both. after_step: called with the number of steps done and their total.
    measure_first: measure before the first step too, as epoch 0. scaler: of the loss, in float16.
    """

    model: nn.Module
    recipe: Training
    rows: Rows
    seed: int
    where: str
    values_of: Callable[[Rows, int], Tensors]
    measure: Callable[[Row, Progress], None]
    after_step: Callable[[int, int], None] = lambda step, steps: None
    measure_first: bool = False
    scaler: GradScaler = field(default_factory=lambda: GradScaler(enabled=False))


def train(job: Job, checkpoint: Checkpoint) -> Progress:
    """Train from the start, or from the checkpoint of a run that was killed.

    Raises:
        RepriseError: batch size (see `steps_per_epoch`), or a loss that is not finite.
    """
    recipe, per_epoch = job.recipe, steps_per_epoch(job.rows, job.recipe, job.where)
    steps = per_epoch * recipe.epochs
    progress, optimizer = Progress(), make_optimizer(recipe, job.model)
    if (state := checkpoint.load()) is not None:
        restore(state, progress, job, optimizer)
        logging.info("%s: going on from step %d of %d", job.where, progress.step, steps)
    job.model.train()
    if job.measure_first and not progress.rows:
        end_epoch(job, progress, {"epoch": 0, "step": 0})
    shuffled, shown = job.rows, tqdm(total=steps, initial=progress.step, disable=None, leave=False)
    while progress.step < steps:
        epoch, batch = progress.step // per_epoch + 1, progress.step % per_epoch
        if batch == 0 or shuffled is job.rows:
            shuffled = job.rows[order(job.seed, epoch, len(job.rows))]
        if progress.step and progress.step == phase_of(recipe, progress.step, per_epoch)[0]:
            optimizer = make_optimizer(recipe, job.model)
        rate = learning_rate(recipe, progress.step, per_epoch)
        start = batch * recipe.batch_size
        progress.add(
            step(
                job,
                optimizer,
                shuffled[start : start + recipe.batch_size],
                epoch,
                rate,
                progress.step,
            )
        )
        progress.step += 1
        job.after_step(progress.step, steps)
        shown.update()
        if batch + 1 == per_epoch:
            row: Row = {"epoch": epoch, "step": progress.step, "learning_rate": rate}
            row["train_loss"] = finite(progress.sums["loss"] / per_epoch, job.where, epoch)
            end_epoch(job, progress, row)
        if checkpoint.due():
            checkpoint.save(snapshot(progress, job, optimizer))
    shown.close()
    return progress


def step(
    job: Job, optimizer: torch.optim.Optimizer, rows: Rows, epoch: int, rate: float, number: int
) -> Tensors:
    """One step of the optimizer; the values of its batch."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    # dropout draws from torch's generators; torch.manual_seed would cost a small step a millisecond
    torch.default_generator.manual_seed(address(job.seed, number))
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed(address(job.seed, number))
    values = job.values_of(rows, epoch)
    optimizer.zero_grad(set_to_none=True)
    job.scaler.scale(values["loss"]).backward()  # type: ignore[no-untyped-call]
    if job.recipe.clip_norm:
        job.scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(job.model.parameters(), job.recipe.clip_norm)
    job.scaler.step(optimizer)
    job.scaler.update()
    return values


def end_epoch(job: Job, progress: Progress, row: Row) -> None:
    """Measure, log, and make the row a row of history."""
    job.measure(row, progress)
    progress.rows.append(row)
    progress.sums = {}
    words = [f"{key} {value:.4g}" for key, value in row.items() if key not in ("step", "selected")]
    logging.info("%s: %s", job.where, ", ".join(words))
    sys.stderr.flush()


def snapshot(progress: Progress, job: Job, optimizer: torch.optim.Optimizer) -> State:
    """The whole state of a training, in what `torch.load` reads with weights_only."""
    gathered = {part.name: getattr(progress, part.name) for part in fields(progress)}
    return {
        "progress": gathered,
        "model": job.model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": job.scaler.state_dict(),
    }


def restore(state: State, progress: Progress, job: Job, optimizer: torch.optim.Optimizer) -> None:
    """Put a `snapshot` back."""
    job.model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    job.scaler.load_state_dict(state["scaler"])
    for name, value in state["progress"].items():
        setattr(progress, name, value)
    device = next(job.model.parameters()).device
    progress.sums = {name: value.to(device) for name, value in progress.sums.items()}


def steps_per_epoch(rows: Rows, recipe: Training, where: str) -> int:
    """Full batches in `rows`; a ragged last batch is left out, another one each epoch.

    Raises RepriseError for a batch of one, or one that is larger than the set.
    """
    if recipe.batch_size < 2:
        raise RepriseError(f"{where}.batch_size is 1; batch norm needs at least 2")
    if recipe.batch_size > len(rows):
        raise RepriseError(
            f"{where}.batch_size is {recipe.batch_size}, more than the {len(rows)} training "
            "images; make it smaller"
        )
    return len(rows) // recipe.batch_size


def make_optimizer(recipe: Training, model: nn.Module) -> torch.optim.Optimizer:
    """AdamW, Adam or SGD over the parameters that train; no weight decay on biases and norms."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = recipe.learning_rate
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, rate, recipe.momentum, fused=True)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, rate, amsgrad=recipe.amsgrad, fused=True)
    return torch.optim.AdamW(groups, rate, amsgrad=recipe.amsgrad, fused=True)


def finite(loss: Tensor, where: str, epoch: int) -> float:
    """The loss as a number. Raises RepriseError when it is none."""
    value = float(loss)
    if not np.isfinite(value):
        raise RepriseError(
            f"{where}: the loss is {value} in epoch {epoch}; lower learning_rate or raise warmup"
        )
    return value


def address(seed: int, number: int) -> int:
    """A seed for torch's generator that depends on (seed, number of the step) alone."""
    return int(uniform(seed, number, np.zeros(1, np.int64), 1, 1)[0, 0] * 2**53)
