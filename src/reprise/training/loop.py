"""The one training loop: batches in a keyed order, a schedule, and a row of history an epoch."""

import logging
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from reprise.data.inputs import Rows
from reprise.data.randomness import order, uniform
from reprise.errors import RepriseError
from reprise.params import Training
from reprise.training.schedules import learning_rate

Row = dict[str, float | int]


@dataclass
class History:
    """Rows of history.csv, and the model of the epoch that scored highest on the select role."""

    rows: list[Row] = field(default_factory=list)
    best: float = -np.inf
    best_state: dict[str, Tensor] = field(default_factory=dict)

    def choose(self, model: nn.Module, score: float) -> None:
        """Keep the model when it is better than all before; the first of equals stays."""
        if score > self.best:
            self.best = score
            self.best_state = {k: v.detach().clone() for k, v in model.state_dict().items()}
            for row in self.rows:
                row["selected"] = 0
            self.rows[-1]["selected"] = 1
        else:
            self.rows[-1]["selected"] = 0


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
    """AdamW or SGD over the parameters that train; no weight decay on biases and norms."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, recipe.learning_rate, recipe.momentum)
    return torch.optim.AdamW(groups, recipe.learning_rate)


def train_epochs(
    model: nn.Module,
    recipe: Training,
    rows: Rows,
    seed: int,
    where: str,
    loss_of: Callable[[Rows, int], Tensor],
    after_step: Callable[[int, int], None] = lambda step, steps: None,
) -> Iterable[Row]:
    """Train; yield after each epoch its row: epoch, step, learning_rate, train_loss.

    Args:
        model: parameters that require a gradient are trained.
        rows: the rows of the train role.
        where: the recipe's key in params.yaml, for messages.
        loss_of: the mean loss of a batch, from its rows and the epoch.
        after_step: called with the number of steps done and their total.

    Raises:
        RepriseError: batch size (see `steps_per_epoch`), or a loss that is not finite.
    """
    per_epoch = steps_per_epoch(rows, recipe, where)
    optimizer = make_optimizer(recipe, model)
    step, steps = 0, per_epoch * recipe.epochs
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        shuffled = rows[order(seed, epoch, len(rows))]
        losses = []
        bar = range(per_epoch)
        for batch in tqdm(bar, desc=f"epoch {epoch}/{recipe.epochs}", disable=None, leave=False):
            rate = learning_rate(recipe, step, per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate
            torch.manual_seed(address(seed, step))  # dropout draws from torch's generator
            start = batch * recipe.batch_size
            loss = loss_of(shuffled[start : start + recipe.batch_size], epoch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
            after_step(step, steps)
            losses.append(loss.detach())
        mean = float(torch.stack(losses).mean())
        if not np.isfinite(mean):
            raise RepriseError(
                f"{where}: the loss is {mean} in epoch {epoch}; lower learning_rate or raise warmup"
            )
        yield {"epoch": epoch, "step": step, "learning_rate": rate, "train_loss": mean}


def address(seed: int, step: int) -> int:
    """A seed for torch's generator that depends on (seed, step) alone."""
    return int(uniform(seed, step, np.zeros(1, np.int64), 1, 1)[0, 0] * 2**53)


def report(where: str, row: Row) -> None:
    """One line of log for an epoch."""
    words = [f"{key} {value:.4g}" for key, value in row.items() if key not in ("step", "selected")]
    logging.info("%s: %s", where, ", ".join(words))
    sys.stderr.flush()
