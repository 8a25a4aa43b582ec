"""Learning rates and the target network's tau as functions of the step, and of nothing else."""

import math

from reprise.params import Training


def phase_of(recipe: Training, step: int, steps_per_epoch: int) -> tuple[int, int]:
    """First step and number of steps of the phase that `step` (counted from 0) belongs to.

    A phase is a training of its own as far as optimizer and schedule go: "50 + 50 epochs" are two
    phases, and not 100 epochs. Steps after the end belong to the last phase.
    """
    start = length = 0
    for epochs in recipe.phases or [recipe.epochs]:
        start, length = start + length, epochs * steps_per_epoch
        if step < start + length:
            break
    return start, length


def learning_rate(recipe: Training, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step (counted from 0).

    Linear from near 0 over the first `warmup` epochs of the phase; after them, with t steps done of
    T that are left and S steps an epoch:

    - constant: 1
    - cosine: (1 + cos(pi t/T)) / 2, as torch's CosineAnnealingLR
    - cosine_restarts: the same over `period` epochs, then from the top, each time `multiply` times
      as long, as CosineAnnealingWarmRestarts (Loshchilov and Hutter 2017)
    - step: gamma^(t // (period S)), as StepLR
    - milestones: gamma^(milestones that t has reached), as MultiStepLR
    - exponential: gamma^(t / S), as ExponentialLR
    - polynomial: (1 - t/T)^power, as PolynomialLR

    times `learning_rate`. With schedule_by 'epoch', t is that of the epoch's first step.
    """
    start, length = phase_of(recipe, step, steps_per_epoch)
    warm = recipe.warmup * steps_per_epoch
    if step - start < warm:
        return recipe.learning_rate * (step - start + 1) / warm
    done = step - start - warm
    if recipe.schedule_by == "epoch":
        done -= done % steps_per_epoch
    return recipe.learning_rate * factor(recipe, done, max(1, length - warm), steps_per_epoch)


def factor(recipe: Training, done: int, total: int, steps_per_epoch: int) -> float:
    """What the schedule multiplies the learning rate with after `done` of `total` steps."""
    match recipe.schedule:
        case "constant":
            return 1.0
        case "cosine":
            return half_cosine(done / total)
        case "cosine_restarts":
            round_ = recipe.period * steps_per_epoch
            while done >= round_:
                done, round_ = done - round_, round_ * recipe.multiply
            return half_cosine(done / round_)
        case "step":
            return float(recipe.gamma ** (done // (recipe.period * steps_per_epoch)))
        case "milestones":
            reached = sum(done >= epoch * steps_per_epoch for epoch in recipe.milestones)
            return float(recipe.gamma**reached)
        case "exponential":
            return float(recipe.gamma ** (done / steps_per_epoch))
        case "polynomial":
            return float((1 - done / total) ** recipe.power)


def half_cosine(progress: float) -> float:
    """From 1 at progress 0 to 0 at progress 1."""
    return (1 + math.cos(math.pi * progress)) / 2


def tau(base: float, step: int, steps: int) -> float:
    """1 - (1 - base) (cos(pi k/K) + 1) / 2: from `base` at k = 0 to 1 at k = K and after.

    Grill et al. 2020, section 3.2; k is clipped at K as in the authors' schedules.py.
    """
    return 1 - (1 - base) * half_cosine(min(step, steps) / steps)
