"""Counter-based random numbers: a draw is a function of its address alone.

There is no generator state, so the order of work, the batch size, the number of loader workers
and a resumed run cannot change a draw.
"""

import numpy as np
from numpy.typing import NDArray


def uniform(
    seed: int, epoch: int, samples: NDArray[np.int64], view: int, draws: int
) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), (len(samples), draws) float64.

    The key is (seed, epoch, sample, view). Each number is the top 53 bits of SplitMix64's mixing
    function (Steele, Lea and Flood 2014), folded over the key and the number of the draw.
    """
    keys = _mix(np.full(len(samples), seed % 2**64, np.uint64))
    for field in (epoch, samples, view):
        keys = _mix(keys ^ np.asarray(field).astype(np.uint64))
    mixed = _mix(keys[:, None] ^ np.arange(draws, dtype=np.uint64)[None, :])
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """A permutation of range(count), keyed by (seed, epoch)."""
    return np.argsort(uniform(seed, epoch, np.arange(count), -1, 1)[:, 0], kind="stable")


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # arithmetic is modulo 2**64; NumPy arrays wrap around without a warning
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values
