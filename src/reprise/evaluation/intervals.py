"""How far a proportion can be trusted."""

from math import sqrt
from statistics import NormalDist


def wilson(correct: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of the proportion correct/n (Wilson 1927, JASA 22:209).

    Args:
        correct: number of successes, 0..n; a mean over seeds need not be whole.
        n: number of independent trials, at least 1.
        level: confidence level, 0..1.

    Returns:
        The lower and the upper end, both in 0..1.
    """
    if not 0 <= correct <= n or n < 1:
        raise ValueError(f"no proportion: {correct} of {n}")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = correct / n
    centre = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
