"""Jobs summed up over their seeds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.evaluation.confusion import iou
from reprise.evaluation.course import cs6550_class_ious
from reprise.evaluation.intervals import wilson
from reprise.evaluation.resampling import Key
from reprise.evaluation.scores import MaskScore
from reprise.evaluation.uncertainty import Estimate


def mean_accuracy(jobs: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Sum up the seeds of each run (or run and setting), in the order of the jobs.

    `accuracy` is the mean over seeds; every seed answers the same images, so it is also
    correct/n with both summed over the seeds. `accuracy_sd` (ddof 1) is NaN for one seed.
    The interval is Wilson's at the number of images, not at n: the same images seen by more
    seeds are no new images.
    """
    columns = [*keys, "accuracy", "accuracy_sd", "accuracy_low", "accuracy_high"]
    columns += ["correct", "n", "images", "select_accuracy", "seeds"]
    rows = []
    for key, group in jobs.groupby(keys, sort=False) if len(jobs) else ():
        images, seeds = int(group["n"].iloc[0]), len(group)
        correct = int(group["correct"].sum())
        low, high = wilson(correct / seeds, images)
        measured = [correct / (images * seeds), group["accuracy"].std(ddof=1), low, high]
        tail = [correct, images * seeds, images, float(group["select_accuracy"].mean()), seeds]
        rows.append([*key, *measured, *tail])
    return pd.DataFrame(rows, columns=columns)


def mean_masks(jobs: pd.DataFrame, images: int) -> pd.DataFrame:
    """Sum up the seeds of each segmentation run, in the order of the jobs."""
    columns = ["run", "miou", "miou_sd", "counted", "declared", "pixel_accuracy"]
    columns += ["pixels", "images", "select_miou", "seeds"]
    rows = []
    for run, group in jobs.groupby("run", sort=False) if len(jobs) else ():
        first = group.iloc[0]
        rows.append(
            [run, group["miou"].mean(), group["miou"].std(ddof=1)]
            # seeds may differ in the classes that they predict; the least is what all agree on
            + [int(group["counted"].min()), int(first["declared"]), group["pixel_accuracy"].mean()]
            + [int(first["pixels"]), images, group["select_miou"].mean(), len(group)]
        )
    return pd.DataFrame(rows, columns=columns)


def with_intervals(
    frame: pd.DataFrame, metric: str, estimates: Mapping[Key, Estimate]
) -> pd.DataFrame:
    """Add the intervals of each run (or run and setting) to a table of means.

    Columns `<metric>_both_low` and `<metric>_both_high`, over images and seeds (NaN with one seed),
    and, of mIoU, `miou_low` and `miou_high` over images; that of an accuracy is Wilson's already.
    """
    settings = frame["setting"] if "setting" in frame else [""] * len(frame)
    own = [estimates[key] for key in zip(frame["run"], settings, strict=True)]
    made = frame.copy()
    if metric == "miou":
        made["miou_low"] = [one.low_images for one in own]
        made["miou_high"] = [one.high_images for one in own]
    made[f"{metric}_both_low"] = [max(one.low, 0.0) for one in own]
    made[f"{metric}_both_high"] = [min(one.high, 1.0) for one in own]
    return made.astype({f"{metric}_both_{end}": float for end in ("low", "high")})


def class_ious(part: str, scores: list[MaskScore]) -> pd.DataFrame:
    """IoU of each declared class (mean over seeds) with its pixels and share in the truth.

    Columns part, run, class, iou (NaN for a class that is absent), pixels, share (0..1), and
    iou_cs6550, the IoU as CS6550's starter counts it (see `cs6550_class_ious`).
    """
    rows = []
    for run in dict.fromkeys(score.run for score in scores):
        seeds = [score for score in scores if score.run == run]
        labels = seeds[0].labels
        each = np.array([iou(score.report)[labels.declared] for score in seeds])
        course = [cs6550_class_ious(one.images, one.void, labels.declared) for one in seeds]
        pixels = seeds[0].report.sum(axis=1)
        means = zip(labels.declared, _known(each), _known(np.array(course)), strict=True)
        for i, own, theirs in means:
            share_ = int(pixels[i]) / int(pixels.sum())
            rows.append([part, run, labels.names[i], own, int(pixels[i]), share_, theirs])
    columns = ["part", "run", "class", "iou", "pixels", "share", "iou_cs6550"]
    return pd.DataFrame(rows, columns=columns)


def _known(values: NDArray[np.float64]) -> list[float]:
    """The mean of each column (seeds, classes) over the seeds that have a number."""
    known = ~np.isnan(values)
    totals = np.where(known, values, 0).sum(axis=0)
    return [t / n if n else float("nan") for t, n in zip(totals, known.sum(axis=0), strict=True)]
