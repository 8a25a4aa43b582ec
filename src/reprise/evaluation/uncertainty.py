"""How far a score, or a difference of two, can be trusted: images and seeds as sources of variance.

Another draw of images and another draw of seeds would each have given another number. Both are
looked at: the standard error over images by the bootstrap, the standard deviation over seeds from
the seeds that were run. The variance of the mean over seeds is taken as their sum,

    se(images)^2 + sd(seeds)^2 / seeds,

which counts the part that belongs to neither alone twice and so errs on the wide side (drawing
images and seeds again, the pigeonhole bootstrap of Owen 2007, Annals of Applied Statistics 1:386,
does the same). With few seeds their sd is itself uncertain, so the interval is Student's with the
degrees of freedom of Satterthwaite 1946 (Biometrics Bulletin 2:110).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isnan, nan, sqrt

import numpy as np
from scipy.special import stdtr, stdtrit

from reprise.evaluation.resampling import Measured

LEVEL = 0.95
POWER = 0.8
MOST_IMAGES = 1_000_000
MOST_SEEDS = 1_000
MOST_TIMES = 1_000


@dataclass(frozen=True)
class Estimate:
    """The mean over seeds of a score or a difference, with both sources of variance.

    `sd_seeds`, `low` and `high` are NaN with one seed, from which nothing is known of others;
    `low_images` and `high_images` hold for the networks that were trained, and other images.
    """

    value: float
    images: int
    seeds: int
    se_images: float
    low_images: float
    high_images: float
    sd_seeds: float
    low: float
    high: float

    def se(self, images: int, seeds: int) -> float:
        """The standard error that so many images and seeds would have given."""
        return sqrt(self._over_images(images) + self._over_seeds(seeds))

    def freedom(self, images: int, seeds: int) -> float:
        """Degrees of freedom of that standard error."""
        one, two = self._over_images(images), self._over_seeds(seeds)
        if two == 0 or seeds < 2:
            return images - 1.0
        return (one + two) ** 2 / (one**2 / (images - 1) + two**2 / (seeds - 1))

    def p(self) -> float:
        """Two-sided p of a value of 0, over images and, with more than one seed, seeds."""
        error = self.se(self.images, self.seeds)
        if error == 0:  # every image says the same; a coin would with this probability
            return 1.0 if self.value == 0 else 0.5 ** (self.images - 1)
        freedom = self.freedom(self.images, self.seeds)
        return float(2 * stdtr(freedom, -abs(self.value) / error))

    def shows(self, images: int, seeds: int) -> bool:
        """Whether so many images and seeds would show a true difference of this size.

        With probability POWER, at the level LEVEL, if both sources vary as they do here.
        """
        if self.value == 0:
            return False
        freedom = self.freedom(images, seeds)
        quantiles = stdtrit(freedom, 0.5 + LEVEL / 2) + stdtrit(freedom, POWER)
        return bool(quantiles * self.se(images, seeds) <= abs(self.value))

    def images_needed(self) -> int | None:
        """The images that would show it with the same seeds; None above MOST_IMAGES."""
        return least(lambda n: self.shows(n, self.seeds), 2, MOST_IMAGES)

    def seeds_needed(self) -> int | None:
        """The seeds that would show it on the same images; None above MOST_SEEDS or unknown."""
        if isnan(self.sd_seeds):
            return None
        return least(lambda n: self.shows(self.images, n), 2, MOST_SEEDS)

    def times_needed(self) -> int | None:
        """How many times the images and the seeds, both; None above MOST_TIMES or for one seed."""
        if isnan(self.sd_seeds):
            return None
        return least(lambda n: self.shows(n * self.images, n * self.seeds), 2, MOST_TIMES)

    def _over_images(self, images: int) -> float:
        return self.se_images**2 * self.images / images

    def _over_seeds(self, seeds: int) -> float:
        return 0.0 if isnan(self.sd_seeds) else self.sd_seeds**2 / seeds


def estimate(measured: Measured) -> Estimate:
    """Sum up the seeds and the resamples; see the head of this module for the method."""
    over_images = measured.draws.mean(axis=1)
    low, high = np.quantile(over_images, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    seeds = len(measured.values)
    made = Estimate(
        value=float(measured.values.mean()),
        images=measured.images,
        seeds=seeds,
        se_images=float(over_images.std(ddof=1)),
        low_images=float(low),
        high_images=float(high),
        sd_seeds=float(measured.values.std(ddof=1)) if seeds > 1 else nan,
        low=nan,
        high=nan,
    )
    if seeds == 1:
        return made
    freedom = made.freedom(made.images, seeds)
    half = float(stdtrit(freedom, 0.5 + LEVEL / 2)) * made.se(made.images, seeds)
    return replace(made, low=made.value - half, high=made.value + half)


def least(enough: Callable[[int], bool], start: int, most: int) -> int | None:
    """The least whole number from `start` to `most` that is enough; None when none is.

    What is enough must stay so for every larger number.
    """
    if not enough(most):
        return None
    low, high = start, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
