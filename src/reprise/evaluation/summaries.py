"""Every run over its seeds: means, standard deviations and intervals of its scores."""

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.evaluation.job_outputs import METRICS
from reprise.evaluation.scores import ClassCounts, MaskCounts, Score
from reprise.evaluation.statistics import Estimate, SeedScores, group_sums, wilson
from reprise.metrics.confusion import mean_iou, pixel_accuracy

MIN_EFFECTIVE_GROUPS = 4  # see `concentrated_classes`
MIN_GROUP_IMAGES = 10  # of a group, to be the worst one


def over_seeds(scores: Sequence[Score], groups: NDArray[np.int64]) -> SeedScores:
    """The scores of one metric of a run's seeds, on all images and without each group of them."""
    values = np.array([score.value for score in scores])
    left_out = []
    for score in scores:
        sums = group_sums(score.columns, groups)
        with np.errstate(invalid="ignore"):  # without the only group there is no image
            left_out.append(score.of_sums(sums.sum(axis=0) - sums))
    # where a metric is not defined on all images, it is not on some of them
    stacked = np.where(np.isnan(values), np.nan, np.stack(left_out, axis=1))
    return SeedScores(values, stacked, len(groups))


def concentrated_classes(counts: MaskCounts) -> list[str]:
    """Classes whose pixels lie in so few groups that the mIoU has no interval.

    The effective number of groups, (sum of pixels)^2 / sum of (pixels of a group)^2, is below
    MIN_EFFECTIVE_GROUPS; docs/coverage.md shows how often intervals with fewer missed the truth.
    """
    pixels = group_sums(counts.images.sum(axis=2), counts.groups)
    effective = pixels.sum(axis=0) ** 2 / np.maximum((pixels**2).sum(axis=0), 1)
    few = (effective < MIN_EFFECTIVE_GROUPS) & (pixels.sum(axis=0) > 0)
    return [counts.classes.names[number] for number in counts.classes.ids if few[number]]


def summarize(jobs: pd.DataFrame) -> pd.DataFrame:
    """The mean over the seeds of every run, from the rows of `evaluate.read_jobs` with counts.

    Returns one row per run, in the order of the jobs: stage, task, run, weights; seed_list (a
    tuple); seeds, images and groups (how many); `counts`, a list, by job; `scores`, SeedScores by
    name of the metric; constant, the score of the most frequent class, and above_constant, whether
    the interval of the difference to it is above 0 (with one group there is none: true). In 0..1:
    val_<m> of the metric of METRICS, and for each metric test_<m>, test_<m>_sd (NaN for one seed)
    and the intervals test_<m>_groups_low, _groups_high, _ci_low and _ci_high (see `_intervals`).
    Classification: correct, n (summed over the seeds), and what
    `worst_group` returns. Segmentation: present_classes,
    classes, test_pixel_accuracy, pixels, concentrated.
    """
    keys = ["stage", "task", "run"]
    rows = []
    for key, of_run in jobs.groupby(keys, sort=False):
        metric, counts = METRICS[str(key[0])], list(of_run["counts"])
        by_job, groups = [each.scores for each in counts], counts[0].groups
        scores = {name: over_seeds([each[name] for each in by_job], groups) for name in by_job[0]}
        constant = over_seeds([each.constant_score for each in counts], groups)
        above = (scores[metric] - constant).estimate()
        low = above.ci_low if above.seeds > 1 else above.groups_low
        row = dict(zip(keys, key, strict=True)) | {
            "weights": of_run["weights"].iloc[0],
            "seed_list": tuple(of_run["seed"]),
            "seeds": len(of_run),
            "images": len(groups),
            "groups": above.groups,
            "constant": constant.values[0],
            "above_constant": low > 0 or above.groups == 1,
            f"val_{metric}": np.mean([each.val_score for each in counts]),
            "counts": counts,
            "scores": scores,
        }
        counted = _correct(counts) if metric == "accuracy" else _pixels(counts)
        for name, seeds in scores.items():
            row |= _intervals(name, seeds.estimate(), bool(counted.get("concentrated")))
        rows.append(row | counted)
    return pd.DataFrame(rows, columns=None if rows else [*keys, "counts", "above_constant"])


def _intervals(metric: str, result: Estimate, without: bool) -> dict[str, float]:
    """The columns of a metric; NaN for intervals `without` them, or where no group differs.

    Where each image is its own group, the interval of an accuracy over groups is Wilson's, at the
    number of images: more seeds on the same images do not add images.
    """
    row = {f"test_{metric}": np.clip(result.value, 0, 1), f"test_{metric}_sd": result.seeds_sd}
    ends = {
        name: np.clip(getattr(result, name), 0, 1) if result.groups_se > 0 else nan
        for name in ("groups_low", "groups_high", "ci_low", "ci_high")
    }
    if metric == "accuracy" and result.groups == result.images:
        low, high = wilson(result.value * result.images, result.images)
        ends |= {"groups_low": low, "groups_high": high}
    return row | {f"test_{metric}_{name}": nan if without else end for name, end in ends.items()}


def _correct(seeds: Sequence[ClassCounts]) -> dict[str, Any]:
    """Correct images of all seeds."""
    correct = sum(int(counts.correct.sum()) for counts in seeds)
    n = len(seeds) * len(seeds[0].correct)
    return {"correct": correct, "n": n, "test_accuracy": correct / n} | worst_group(seeds)


def worst_group(seeds: Sequence[ClassCounts]) -> dict[str, float]:
    """The group of test images with the lowest accuracy, which is the mean over the seeds.

    Of the groups with at least MIN_GROUP_IMAGES; NaN where there is none. As the worst-group
    accuracy of Sagawa et al. 2020 (ICLR, section 2), with the groups of the dataset.
    """
    right = np.mean([counts.correct for counts in seeds], axis=0)
    _, place, images = np.unique(seeds[0].groups, return_inverse=True, return_counts=True)
    share = np.bincount(place, right) / images
    large = np.flatnonzero(images >= MIN_GROUP_IMAGES)
    if not large.size:
        return {"worst_group_accuracy": nan, "worst_group_images": nan}
    worst = large[share[large].argmin()]
    return {"worst_group_accuracy": share[worst], "worst_group_images": images[worst]}


def _pixels(seeds: Sequence[MaskCounts]) -> dict[str, Any]:
    """Labeled pixels, their accuracy, and the classes that are present in all seeds."""
    means = [mean_iou(counts.test, counts.classes.ids) for counts in seeds]
    return {
        "present_classes": min(mean.present for mean in means),
        "classes": means[0].classes,
        "test_pixel_accuracy": np.mean([pixel_accuracy(counts.test) for counts in seeds]),
        "pixels": int(seeds[0].test.sum()),
        "concentrated": ", ".join(concentrated_classes(seeds[0])),
    }


def constant_sentences(runs: pd.DataFrame) -> list[str]:
    """A sentence for each run that is not above a constant prediction, and is not compared."""
    sentences = []
    for row in runs[~runs["above_constant"].astype(bool)].to_dict("records"):
        score = row[f"test_{METRICS[row['stage']]}"]
        sentences.append(
            f"{row['run']} ({score:.3f}) is not significantly above the constant prediction of the "
            f"most frequent class ({row['constant']:.3f}), so it is not compared."
        )
    return sentences
