"""Every pair of runs or settings on the same images: what the data show of the difference."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import isnan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.evaluation.resampling import Measured
from reprise.evaluation.significance import holm, mcnemar
from reprise.evaluation.uncertainty import LEVEL, POWER, estimate

COLUMNS = ["part", "run", "second", "first", "metric", "images", "seeds", "difference", "sd_seeds"]
COLUMNS += ["se_images", "low_images", "high_images", "low_both", "high_both", "test", "p"]
NEEDED = ["images_needed", "seeds_needed", "times_needed"]
COLUMNS += ["p_holm", "shown", *NEEDED, "said"]
EXACT = ["part", "run", "second", "first", "seed", "second_only", "first_only", "p"]

Answers = Mapping[str, NDArray[np.bool_]]


def compare(part: str, run: str, scores: Mapping[str, Measured], right: Answers) -> pd.DataFrame:
    """Compare each pair of a family; Holm's correction is over these pairs.

    Args:
        part: finetune, classify, faces, segment or street.
        run: the run whose settings are compared; "" where runs are.
        scores: name -> score, of the same seeds on the same images, in the order of the table.
        right: name -> (seeds, images), which images were right; empty for mIoU.

    Returns:
        COLUMNS, one row a pair: second minus first, in points of 0..1. `p` is of a difference of
        0; `test` says which: Student's over images and seeds, or, with one seed, McNemar's exact
        test (accuracy) or Student's over images (mIoU). `*_needed` are whole numbers or NaN, given
        where the pair is not shown. NaN stands for what one seed cannot tell.
    """
    rows = []
    for first, second in combinations(scores, 2):
        found = estimate(scores[second] - scores[first])
        exact = found.seeds == 1 and bool(right)
        p = mcnemar(*only(right[second][0], right[first][0])) if exact else found.p()
        rows.append(
            {
                "part": part,
                "run": run,
                "second": second,
                "first": first,
                "metric": "accuracy" if right else "miou",
                "images": found.images,
                "seeds": found.seeds,
                "difference": found.value,
                "sd_seeds": found.sd_seeds,
                "se_images": found.se_images,
                "low_images": found.low_images,
                "high_images": found.high_images,
                "low_both": found.low,
                "high_both": found.high,
                "test": "McNemar" if exact else "Student",
                "p": p,
                "images_needed": found.images_needed(),
                "seeds_needed": found.seeds_needed(),
                "times_needed": found.times_needed(),
            }
        )
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["p_holm"] = holm(frame["p"].tolist())
    frame["shown"] = frame["p_holm"] < 1 - LEVEL
    frame[NEEDED] = frame[NEEDED].astype(float).where(~frame["shown"])
    frame["said"] = [sentence(row, len(frame)) for row in frame.to_dict("records")]
    return frame


def only(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[int, int]:
    """How many images one network got right and the other wrong, and the reverse."""
    return int((one & ~other).sum()), int((other & ~one).sum())


def exact_tests(part: str, run: str, seeds: Sequence[int], right: Answers) -> pd.DataFrame:
    """McNemar's exact test of each pair and seed, each on its own; columns EXACT."""
    rows = []
    for first, second in combinations(right, 2):
        for seed, one, other in zip(seeds, right[second], right[first], strict=True):
            counts = only(one, other)
            rows.append([part, run, second, first, seed, *counts, mcnemar(*counts)])
    return pd.DataFrame(rows, columns=EXACT)


def sentence(row: Mapping[Any, Any], pairs: int) -> str:
    """What a pair shows, from its numbers; `pairs` were compared at once."""
    gap = 100 * row["difference"]
    side = "level with" if round(gap, 1) == 0 else "above" if gap > 0 else "below"
    size = "" if side == "level with" else f" by {points(abs(gap))}"
    return (
        f"{row['second']} {side} {row['first']}{size}, {interval(row)}: {verdict(row, pairs)}."
        f"{outlook(row)}"
    )


def points(value: float) -> str:
    """So many points, with one decimal."""
    return f"{value:.1f} point" + ("" if f"{value:.1f}" == "1.0" else "s")


def interval(row: Mapping[Any, Any]) -> str:
    """The interval over images and seeds, or over images alone when there is one seed."""
    one = isnan(row["low_both"])
    low, high = (
        (row["low_images"], row["high_images"]) if one else (row["low_both"], row["high_both"])
    )
    return f"interval {100 * low:.1f} to {100 * high:.1f}" + (" (images alone)" if one else "")


def verdict(row: Mapping[Any, Any], pairs: int) -> str:
    """Whether the pair is shown, alone and among all pairs."""
    counted = f" with all {pairs} pairs counted" if pairs > 1 else ""
    if row["shown"]:
        whom = ", of these two networks (one seed each)" if isnan(row["low_both"]) else ""
        return f"shown by these data{counted}{whom}"
    if row["p"] < 1 - LEVEL:
        return f"not shown by these data{counted}, though alone it would be"
    return "not shown by these data"


def outlook(row: Mapping[Any, Any]) -> str:
    """What it would take to show a pair that is not shown; "" for the others."""
    ways = []
    if not isnan(row["images_needed"]):
        ways.append(f"about {_round(row['images_needed'])} images")
    if not isnan(row["seeds_needed"]):
        ways.append(f"about {_round(row['seeds_needed'])} seeds on these {row['images']} images")
    if not isnan(row["times_needed"]):
        ways.append(f"{_round(row['times_needed'])} times as many images and seeds")
    if row["shown"] or not ways:
        return ""
    return f" If the true difference is this one, {' or '.join(ways)} would show it."


def _round(number: float) -> int:
    """Two digits: such a forecast knows no more."""
    whole = int(number)
    return round(whole, min(0, 2 - len(str(whole))))


def method(frame: pd.DataFrame) -> str:
    """How the intervals of a family of pairs were made, in words."""
    pairs = len(frame)
    alone = bool(frame["low_both"].isna().all())
    sources = (
        "over 10 000 paired resamples of the images; one seed, so nothing is known of other seeds"
        if alone
        else "over images (10 000 paired resamples) and seeds (Student's t)"
    )
    return (
        f"Intervals: {LEVEL:.0%} {sources}. Shown: p below {1 - LEVEL:.2f} after Holm's correction "
        f"for {pairs} pair{'s' if pairs > 1 else ''}. Forecasts: with {POWER:.0%} probability, for "
        "one pair alone."
    )
