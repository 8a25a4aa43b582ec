"""The courses' own metrics of every segmentation run, with intervals over images and seeds.

`miou_dlcv` is what DLCV's script gives, `miou_cs6550` and `pixel_accuracy_cs6550` what CS6550's
starter gives; evaluation/course.py has the definitions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reprise.evaluation.confusion import mean_iou
from reprise.evaluation.course import (
    Counts,
    Floats,
    cs6550_ious,
    cs6550_right,
    cs6550_scores,
    with_void,
)
from reprise.evaluation.resampling import Measured, mean_ious, resampled_sums
from reprise.evaluation.scores import MaskScore
from reprise.evaluation.uncertainty import Estimate, estimate

COURSE_METRICS = ("miou_dlcv", "miou_cs6550", "pixel_accuracy_cs6550")
WHOLE = 10**9  # IoUs and shares are summed as whole billionths: exact, whatever the order


@dataclass(frozen=True, eq=False)
class One:
    """One network: `value` on all images; of a resample, `score` of the sums of `columns`.

    `columns` is (images, m), whole numbers; `score` takes (draws, m) and gives (draws,).
    """

    value: float
    columns: Counts
    score: Callable[[Floats], Floats]


def course_estimates(scores: Sequence[MaskScore]) -> dict[tuple[str, str], Estimate]:
    """(run, metric of COURSE_METRICS) -> its mean over seeds and how far it can be trusted."""
    runs: dict[str, list[tuple[One, ...]]] = {}
    for score in scores:
        ones = (_dlcv(score), _cs6550(score), _cs6550_accuracy(score))
        runs.setdefault(score.run, []).append(ones)
    return {
        (run, metric): estimate(measured)
        for run, seeds in runs.items()
        for metric, measured in zip(COURSE_METRICS, _measured(seeds), strict=True)
    }


def with_course(frame: pd.DataFrame, estimates: dict[tuple[str, str], Estimate]) -> pd.DataFrame:
    """A table of runs with each of COURSE_METRICS, and its intervals over images and over both.

    Columns <metric>, <metric>_low, _high (images), _both_low, _both_high (NaN with one seed).
    """
    made = frame.copy()
    for metric in COURSE_METRICS:
        own = [estimates[run, metric] for run in frame["run"]]
        ends = {"": "value", "_low": "low_images", "_high": "high_images"}
        for ending, name in (ends | {"_both_low": "low", "_both_high": "high"}).items():
            made[metric + ending] = [float(np.clip(getattr(one, name), 0, 1)) for one in own]
    return made


def _measured(seeds: list[tuple[One, ...]]) -> list[Measured]:
    """Each metric of a run, from all its seeds; the same resamples of the images for all."""
    images = len(seeds[0][0].columns)
    draws = []
    for ones in seeds:
        ends = np.cumsum([one.columns.shape[1] for one in ones])
        sums = resampled_sums(np.concatenate([one.columns for one in ones], axis=1))
        parts = np.split(sums, ends[:-1], axis=1)
        draws.append([one.score(part) for one, part in zip(ones, parts, strict=True)])
    made = []
    for i in range(len(COURSE_METRICS)):
        values = np.array([ones[i].value for ones in seeds])
        # the script gives no number where a class is absent, so a resample has none either
        own = np.stack([drawn[i] for drawn in draws], axis=1)
        made.append(Measured(values, np.where(np.isnan(values), np.nan, own), images))
    return made


def _dlcv(score: MaskScore) -> One:
    declared = score.labels.declared
    images = with_void(score.images, score.void)
    classes = images.shape[-1]
    return One(
        mean_iou(images.sum(axis=0), declared, absent="nan").value,
        images.reshape(len(images), -1),
        lambda sums: mean_ious(sums.reshape(-1, classes, classes), declared),
    )


def _cs6550(score: MaskScore) -> One:
    declared = score.labels.declared
    ious = cs6550_ious(score.images, score.void, declared)
    seen = ~np.isnan(ious)
    billionths = np.rint(np.nan_to_num(ious) * WHOLE).astype(np.int64)

    def resampled(sums: Floats) -> Floats:
        total, count = sums[:, : len(declared)] / WHOLE, sums[:, len(declared) :]
        each = np.divide(total, count, out=np.zeros(total.shape), where=count > 0)
        means: Floats = each.sum(axis=1) / np.maximum((count > 0).sum(axis=1), 1)
        return means

    value, _ = cs6550_scores(score.images, score.void, declared)
    return One(value, np.concatenate([billionths, seen.astype(np.int64)], axis=1), resampled)


def _cs6550_accuracy(score: MaskScore) -> One:
    right, whole = cs6550_right(score.images, score.void)
    billionths = np.rint(right / whole * WHOLE).astype(np.int64)[:, None]
    _, value = cs6550_scores(score.images, score.void, score.labels.declared)
    return One(value, billionths, lambda sums: sums[:, 0] / (WHOLE * len(right)))
