"""The predictions of every job, counted against the labels and scored; every run over its seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.datasets.prepared import Bytes, Classes, PreparedDataset
from reprise.errors import RepriseError
from reprise.evaluation.job_outputs import METRICS, read_mask, read_predictions
from reprise.evaluation.statistics import Floats, SeedScores, resampled_sums, wilson
from reprise.metrics.confusion import (
    Matrix,
    confusion,
    ignored_pixel_predictions,
    mean_iou,
    mean_ious,
    pixel_accuracy,
)
from reprise.metrics.courses import cs6550_correct, cs6550_ious, cs6550_scores, with_ignored_row

COURSE_METRICS = ("miou_dlcv", "miou_cs6550", "pixel_accuracy_cs6550")  # see metrics/courses.py
BEST_EPOCH = " (best epoch)"  # ends the name under which an ensemble's best epoch is scored
SCALE = 10**9  # IoUs and shares are summed in whole billionths: exact, in any order


@dataclass(frozen=True, eq=False)
class Score:
    """A metric of one trained network on the test images, 0..1.

    `value` is that on all images (NaN: not defined). `columns` (images, m) are whole numbers whose
    sums over a resample of the images give its score: `of_sums`, (resamples, m) -> (resamples,).
    """

    value: float
    columns: NDArray[np.int64]
    of_sums: Callable[[Floats], Floats]


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """The predictions of a classification job.

    `val_score` is the accuracy on the val split; `test` is the confusion matrix of the test split,
    rows = truth; `correct` (test images,) says which are right, in the order of their ids.
    """

    classes: Classes
    val_score: float
    test: Matrix
    correct: NDArray[np.bool_]

    @cached_property
    def scores(self) -> dict[str, Score]:
        """The accuracy on the test split."""
        return {"accuracy": accuracy(self.correct)}


@dataclass(frozen=True, eq=False)
class MaskCounts:
    """The predictions of a segmentation job.

    `val_score` is the mIoU on the val split; `images` (test images, classes, classes) are confusion
    matrices, rows = truth; `ignored` (test images, classes) counts what was predicted on pixels
    whose truth is the ignored label, which the matrices leave out.
    """

    classes: Classes
    val_score: float
    images: Matrix
    ignored: Matrix

    @property
    def test(self) -> Matrix:
        """The confusion matrix of the whole test split, (classes, classes)."""
        return np.asarray(self.images.sum(axis=0))

    @cached_property
    def scores(self) -> dict[str, Score]:
        """The mIoU and COURSE_METRICS on the test split."""
        return {"miou": miou(self.images, self.classes.ids)} | course_scores(self)


def count_classes(
    path: Path, dataset: PreparedDataset, extra: Sequence[str] = ()
) -> list[ClassCounts]:
    """Count one predictions.csv: its column prediction, and each of `extra` like it.

    Raises RepriseError: see `read_predictions`; or a split has no image.
    """
    table = read_predictions(path, dataset, extra).sort_values("id", kind="stable")
    for split in ("val", "test"):
        dataset.require_rows(split)
    val, test = (table[table["split"] == split] for split in ("val", "test"))
    counts = []
    for column in ("prediction", *extra):
        right, correct = ((rows["label"] == rows[column]).to_numpy() for rows in (val, test))
        matrix = confusion(
            test["label"].to_numpy(), test[column].to_numpy(), len(dataset.classes.names)
        )
        counts.append(ClassCounts(dataset.classes, float(right.mean()), matrix, correct))
    return counts


def count_masks(folder: Path, dataset: PreparedDataset, merge_classes: int | None) -> MaskCounts:
    """Count the predicted label maps of a job.

    `folder` holds one `<id>.png` for each image of the splits val and test; `merge_classes` is the
    number of classes if the network was trained on merged ones.

    Raises RepriseError when a mask is wrong (see `read_mask`), the truth holds an id that is not a
    class, or a split has no labeled pixel.
    """
    classes, new_ids = dataset.merged(merge_classes)
    val, _ = _count_split("val", folder, dataset, classes, new_ids)
    images, ignored = _count_split("test", folder, dataset, classes, new_ids)
    val_score = mean_iou(val.sum(axis=0), classes.ids).value
    return MaskCounts(classes, val_score, images, ignored)


def _count_split(
    split: str, folder: Path, dataset: PreparedDataset, classes: Classes, new_ids: Bytes
) -> tuple[Matrix, Matrix]:
    """`images` and `ignored` of MaskCounts for one split; `new_ids` (256,) merges the labels."""
    count, matrices, ignored = len(classes.names), [], []
    for row in dataset.require_rows(split):
        image = dataset.index["id"].iloc[row]
        truth = new_ids[dataset.labels[row]]
        mask = read_mask(folder / f"{image}.png", truth.shape, classes)
        try:
            matrices.append(confusion(truth, mask, count, classes.ignore))
        except ValueError as error:
            path = dataset.folder / "labels.npy"
            raise RepriseError(
                f"{path}: image '{image}': {error}; prepare the dataset again"
            ) from None
        ignored.append(ignored_pixel_predictions(truth, mask, count, classes.ignore))
    if not np.any(matrices):
        raise RepriseError(
            f"{dataset.folder}: the {split} split has no labeled pixel; prepare the dataset again"
        )
    return np.array(matrices), np.array(ignored)


def accuracy(correct: NDArray[np.bool_]) -> Score:
    """The share of correct images; `correct` is (images,)."""
    columns = correct.astype(np.int64)[:, None]
    return Score(float(correct.mean()), columns, lambda sums: sums[:, 0] / len(correct))


def miou(images: Matrix, class_ids: list[int]) -> Score:
    """The mIoU of the summed matrices (images, classes, classes), absent classes left out."""
    classes = images.shape[-1]
    return Score(
        mean_iou(images.sum(axis=0), class_ids).value,
        images.reshape(len(images), -1),
        lambda sums: mean_ious(sums.reshape(-1, classes, classes), class_ids),
    )


def course_scores(counts: MaskCounts) -> dict[str, Score]:
    """Each of COURSE_METRICS."""
    images, ignored, class_ids = counts.images, counts.ignored, counts.classes.ids
    with_row = with_ignored_row(images, ignored)
    undefined = np.isnan(mean_iou(with_row.sum(axis=0), class_ids, absent="nan").value)
    dlcv = miou(with_row, class_ids)
    ious = cs6550_ious(images, ignored, class_ids)
    present = (~np.isnan(ious)).astype(np.int64)
    billionths = np.rint(np.nan_to_num(ious) * SCALE).astype(np.int64)

    def cs6550_miou(sums: Floats) -> Floats:
        total, count = sums[:, : len(class_ids)] / SCALE, sums[:, len(class_ids) :]
        each = total / np.maximum(count, 1)  # 0 where no image has the class
        means: Floats = each.sum(axis=1) / np.maximum((count > 0).sum(axis=1), 1)
        return means

    correct, total = cs6550_correct(images, ignored)
    shares = np.rint(correct / total * SCALE).astype(np.int64)[:, None]
    miou_value, accuracy_value = cs6550_scores(images, ignored, class_ids)
    return {
        "miou_dlcv": Score(np.nan if undefined else dlcv.value, dlcv.columns, dlcv.of_sums),
        "miou_cs6550": Score(miou_value, np.hstack([billionths, present]), cs6550_miou),
        "pixel_accuracy_cs6550": Score(
            accuracy_value, shares, lambda sums: sums[:, 0] / (SCALE * len(images))
        ),
    }


def over_seeds(scores: Sequence[Score]) -> SeedScores:
    """The scores of one metric of a run's seeds, with their resamples."""
    sums = resampled_sums(np.concatenate([score.columns for score in scores], axis=1))
    ends = np.cumsum([score.columns.shape[1] for score in scores])[:-1]
    sums_by_seed = zip(scores, np.split(sums, ends, axis=1), strict=True)
    resamples = [score.of_sums(seed_sums) for score, seed_sums in sums_by_seed]
    values = np.array([score.value for score in scores])
    # where a metric is not defined on all images, it is not on resamples
    stacked = np.where(np.isnan(values), np.nan, np.stack(resamples, axis=1))
    return SeedScores(values, stacked, len(scores[0].columns))


def summarize(jobs: pd.DataFrame) -> pd.DataFrame:
    """The mean over the seeds of every run, from the rows of `evaluate.read_jobs` with counts.

    Returns one row per run, in the order of the jobs: stage, task, run, weights; seed_list (a
    tuple); seeds and images (how many); `counts`, a list, by job; `scores`, SeedScores by name of
    the metric. In 0..1: val_<m> of the metric of METRICS, and for each metric test_<m>, test_<m>_sd
    (NaN for one seed) and the intervals test_<m>_images_low, _images_high, _ci_low and _ci_high
    (see Estimate). Classification: correct, n (summed over the seeds), test_accuracy_wilson_low and
    _high. Segmentation: present_classes, classes, test_pixel_accuracy, pixels.
    """
    keys = ["stage", "task", "run"]
    rows = []
    for key, of_run in jobs.groupby(keys, sort=False):
        metric, counts = METRICS[str(key[0])], list(of_run["counts"])
        by_job = [each.scores for each in counts]
        scores = {name: over_seeds([each[name] for each in by_job]) for name in by_job[0]}
        row = dict(zip(keys, key, strict=True)) | {
            "weights": of_run["weights"].iloc[0],
            "seed_list": tuple(of_run["seed"]),
            "seeds": len(of_run),
            "images": scores[metric].images,
            f"val_{metric}": np.mean([each.val_score for each in counts]),
            "counts": counts,
            "scores": scores,
        }
        for name, seeds in scores.items():
            result = seeds.estimate()
            row |= {f"test_{name}": np.clip(result.value, 0, 1), f"test_{name}_sd": result.seeds_sd}
            for end in ("images_low", "images_high", "ci_low", "ci_high"):
                row[f"test_{name}_{end}"] = np.clip(getattr(result, end), 0, 1)
        rows.append(row | (_correct(counts) if metric == "accuracy" else _pixels(counts)))
    return pd.DataFrame(rows, columns=None if rows else [*keys, "counts"])


def _correct(seeds: Sequence[ClassCounts]) -> dict[str, Any]:
    """Correct images of all seeds; Wilson's interval is at the number of images, not at n.

    More seeds on the same images do not add images.
    """
    correct, images = sum(int(counts.correct.sum()) for counts in seeds), len(seeds[0].correct)
    low, high = wilson(correct / len(seeds), images)
    n = len(seeds) * images
    ends = {"test_accuracy_wilson_low": low, "test_accuracy_wilson_high": high}
    return {"correct": correct, "n": n, "test_accuracy": correct / n} | ends


def _pixels(seeds: Sequence[MaskCounts]) -> dict[str, Any]:
    """Labeled pixels, their accuracy, and the classes that are present in all seeds."""
    means = [mean_iou(counts.test, counts.classes.ids) for counts in seeds]
    return {
        "present_classes": min(mean.present for mean in means),
        "classes": means[0].classes,
        "test_pixel_accuracy": np.mean([pixel_accuracy(counts.test) for counts in seeds]),
        "pixels": int(seeds[0].test.sum()),
    }
