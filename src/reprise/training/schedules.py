"""Learning rates, and tau of the target network, as functions of the step alone."""

import math

from reprise.params.training import Training


def restart_at(recipe: Training, step: int, steps_per_epoch: int) -> tuple[int, int]:
    """First step and number of steps of the training that `step` (counted from 0) belongs to.

    With `restart_epochs`, each entry is a training with a new optimizer and a whole schedule:
    "50 + 50 epochs" are not 100 epochs. Steps after the end belong to the last one.
    """
    start = length = 0
    for epochs in recipe.restart_epochs or [recipe.epochs]:
        start, length = start + length, epochs * steps_per_epoch
        if step < start + length:
            break
    return start, length


def learning_rate(recipe: Training, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step (counted from 0).

    Linear from near 0 over the first `warmup` epochs after a restart, then `learning_rate` times
    the factor of the schedule (see `lr_factor`); with lr_interval 'epoch', that of the epoch's
    first step.
    """
    start, length = restart_at(recipe, step, steps_per_epoch)
    warmup = recipe.warmup * steps_per_epoch
    if step - start < warmup:
        return recipe.learning_rate * (step - start + 1) / warmup
    done = step - start - warmup
    if recipe.lr_interval == "epoch":
        done -= done % steps_per_epoch
    return recipe.learning_rate * lr_factor(recipe, done, max(1, length - warmup), steps_per_epoch)


def lr_factor(recipe: Training, done: int, total: int, steps_per_epoch: int) -> float:
    """What a schedule multiplies the learning rate with after `done` of `total` steps.

    The schedules are torch's, in steps; the comments have their names there.
    """
    match recipe.schedule:
        case "constant":
            return 1.0
        case "cosine":  # CosineAnnealingLR
            return half_cosine(done / total)
        case "cosine_restarts":  # CosineAnnealingWarmRestarts (Loshchilov and Hutter 2017)
            cycle = recipe.T_0 * steps_per_epoch
            while done >= cycle:
                done, cycle = done - cycle, cycle * recipe.T_mult
            return half_cosine(done / cycle)
        case "step":  # StepLR
            return float(recipe.gamma ** (done // (recipe.step_size * steps_per_epoch)))
        case "milestones":  # MultiStepLR
            reached = sum(done >= epoch * steps_per_epoch for epoch in recipe.milestones)
            return float(recipe.gamma**reached)
        case "exponential":  # ExponentialLR
            return float(recipe.gamma ** (done / steps_per_epoch))
        case "polynomial":  # PolynomialLR
            return float((1 - done / total) ** recipe.power)


def half_cosine(progress: float) -> float:
    """From 1 at progress 0 to 0 at progress 1."""
    return (1 + math.cos(math.pi * progress)) / 2


def tau(base_tau: float, step: int, steps: int) -> float:
    """1 - (1 - base_tau) (cos(pi k/K) + 1) / 2: from `base_tau` at k = 0 to 1 at k >= K.

    Grill et al. 2020, section 3.2; k is clipped at K as in the authors' schedules.py.
    """
    return 1 - (1 - base_tau) * half_cosine(min(step, steps) / steps)
