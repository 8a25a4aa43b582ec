"""Learning rates and the target network's tau as functions of the step."""

import math

from reprise.params import Training


def learning_rate(recipe: Training, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step (counted from 0).

    Linear from near 0 over `warmup` epochs, then constant or on half a cosine to 0 at the end.
    """
    total, warm = recipe.epochs * steps_per_epoch, recipe.warmup * steps_per_epoch
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    if recipe.schedule == "constant":
        return recipe.learning_rate
    progress = (step - warm) / max(1, total - warm)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def tau(base: float, step: int, steps: int) -> float:
    """1 - (1 - base) (cos(pi k/K) + 1) / 2: from `base` at k = 0 to 1 at k = K and after.

    Grill et al. 2020, section 3.2; k is clipped at K as in the authors' schedules.py.
    """
    progress = min(step, steps) / steps
    return 1 - (1 - base) * (math.cos(math.pi * progress) + 1) / 2
