"""The predictions of every job, counted against the labels and scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reprise.datasets.prepared import Bytes, Classes, PreparedDataset
from reprise.errors import RepriseError
from reprise.evaluation.job_outputs import read_mask, read_predictions
from reprise.evaluation.package_metrics import added_scores
from reprise.evaluation.statistics import Floats
from reprise.metrics.confusion import (
    Matrix,
    center_crop,
    confusion,
    ignored_pixel_predictions,
    mean_iou,
    mean_ious,
)
from reprise.metrics.courses import cs6550_correct, cs6550_ious, cs6550_scores, with_ignored_row

COURSE_METRICS = ("miou_dlcv", "miou_cs6550", "pixel_accuracy_cs6550")  # see metrics/courses.py
BEST_EPOCH = " (best epoch)"  # ends the name under which an ensemble's best epoch is scored
BINS = 10  # of confidences
SCALE = 10**9  # IoUs and shares are summed in whole billionths: exact, in any order


@dataclass(frozen=True, eq=False)
class Score:
    """A metric of one trained network on the test images, 0..1.

    `value` is that on all images (NaN: not defined). `columns` (images, m) are whole numbers whose
    sums over some of the images give the score on these: `of_sums`, (subsets, m) -> (subsets,).
    """

    value: float
    columns: NDArray[np.int64]
    of_sums: Callable[[Floats], Floats]


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """The predictions of a classification job.

    `val_score` is the accuracy on the val split; `test` is the confusion matrix of the test split,
    rows = truth; `correct` (test images,) says which are right, in the order of their ids, and
    `groups` to which group each belongs. `constant` are those that are right if every prediction is
    the most frequent class of the train split. `confidence` (test images,), 0..1, is that of each
    prediction, and `labels` and `predictions` (test images,) are class ids; None where not known.
    """

    classes: Classes
    val_score: float
    test: Matrix
    correct: NDArray[np.bool_]
    groups: NDArray[np.int64]
    constant: NDArray[np.bool_]
    confidence: Floats | None = None
    labels: NDArray[np.int64] | None = None
    predictions: NDArray[np.int64] | None = None

    @cached_property
    def scores(self) -> dict[str, Score]:
        """The accuracy on the test split, and what needs confidences, labels and predictions."""
        scores = {"accuracy": accuracy(self.correct)}
        if self.confidence is not None:
            scores["ece"] = calibration_error(self.correct, self.confidence)
        if self.labels is not None:
            scores |= added_scores("classification", self)
        return scores

    @property
    def constant_score(self) -> Score:
        """The accuracy of the most frequent class."""
        return accuracy(self.constant)


@dataclass(frozen=True, eq=False)
class MaskCounts:
    """The predictions of a segmentation job.

    `val_score` is the mIoU on the val split; `images` (test images, classes, classes) are confusion
    matrices, rows = truth; `ignored` (test images, classes) counts what was predicted on pixels
    whose truth is the ignored label, which the matrices leave out. `groups` (test images,) are ids;
    `most_frequent` is the class with the most pixels in the train split.
    """

    classes: Classes
    val_score: float
    images: Matrix
    ignored: Matrix
    groups: NDArray[np.int64]
    most_frequent: int

    @property
    def test(self) -> Matrix:
        """The confusion matrix of the whole test split, (classes, classes)."""
        return np.asarray(self.images.sum(axis=0))

    @cached_property
    def scores(self) -> dict[str, Score]:
        """The mIoU, COURSE_METRICS and those of other packages on the test split."""
        scores = {"miou": miou(self.images, self.classes.ids)} | course_scores(self)
        return scores | added_scores("segmentation", self)

    @property
    def constant_score(self) -> Score:
        """The mIoU if every pixel is predicted as the most frequent class."""
        images = np.zeros_like(self.images)
        images[:, :, self.most_frequent] = self.images.sum(axis=2)
        return miou(images, self.classes.ids)


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
    labels = dataset.index["label"].iloc[dataset.rows("train")]
    constant = (test["label"] == labels.mode().min()).to_numpy()
    rows = dataset.rows("test")
    groups = pd.Series(dataset.groups(rows), dataset.index["id"].iloc[rows])[test["id"]].to_numpy()
    counts = []
    for column in ("prediction", *extra):
        right, correct = ((split["label"] == split[column]).to_numpy() for split in (val, test))
        truth, predicted = test["label"].to_numpy(), test[column].to_numpy()
        matrix = confusion(truth, predicted, len(dataset.classes.names))
        confidence = test["confidence"].to_numpy(np.float64) if column == "prediction" else None
        outcome = dataset.classes, float(right.mean()), matrix, correct, groups, constant
        counts.append(ClassCounts(*outcome, confidence, truth, predicted))
    return counts


def count_masks(
    folder: Path, dataset: PreparedDataset, merge_classes: int | None, crop: int | None = None
) -> MaskCounts:
    """Count the predicted label maps of a job.

    `folder` holds one `<id>.png` for each image of the splits val and test; `merge_classes` is the
    number of classes if the network was trained on merged ones; `crop`: the masks are of the
    center of the images, a square of this many pixels.

    Raises RepriseError when a mask is wrong (see `read_mask`), the truth holds an id that is not a
    class, or a split has no labeled pixel.
    """
    classes, new_ids = dataset.merged(merge_classes)
    val, _ = count_split("val", folder, dataset, classes, new_ids, crop)
    images, ignored = count_split("test", folder, dataset, classes, new_ids, crop)
    val_score = mean_iou(val.sum(axis=0), classes.ids).value
    pixels = np.zeros(256, np.int64)
    for row in dataset.rows("train"):
        pixels += np.bincount(new_ids[dataset.labels[row]].ravel(), minlength=256)
    most_frequent = max(classes.ids, key=lambda number: pixels[number])
    groups = dataset.groups(dataset.rows("test"))
    return MaskCounts(classes, val_score, images, ignored, groups, most_frequent)


def count_split(
    split: str,
    folder: Path,
    dataset: PreparedDataset,
    classes: Classes,
    new_ids: Bytes,
    crop: int | None,
) -> tuple[Matrix, Matrix]:
    """`images` and `ignored` of MaskCounts for one split; `new_ids` (256,) merges the labels."""
    count, matrices, ignored = len(classes.names), [], []
    for row in dataset.require_rows(split):
        image = dataset.index["id"].iloc[row]
        truth = new_ids[dataset.labels[row]]
        if crop is not None:
            truth = center_crop(truth, crop, crop)
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
    columns = np.stack([correct, np.ones_like(correct)], axis=1).astype(np.int64)
    return Score(float(correct.mean()), columns, lambda sums: sums[:, 0] / sums[:, 1])


def confidence_bins(confidence: Floats) -> NDArray[np.int64]:
    """The bin, 0..BINS - 1, of each confidence in 0..1; all have the same width."""
    bins: NDArray[np.int64] = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return bins


def calibration_error(correct: NDArray[np.bool_], confidence: Floats) -> Score:
    """The expected calibration error (Guo et al. 2017, ICML, eq. 3), 0 if confidences hold.

    The mean over images of |accuracy - mean confidence| of the bin of the image (see
    `confidence_bins`). `correct` and `confidence` are (images,).
    """
    gaps = np.rint((confidence - correct) * SCALE).astype(np.int64)
    of_bin = confidence_bins(confidence)[:, None] == np.arange(BINS)
    columns = np.hstack([of_bin * gaps[:, None], np.ones((len(gaps), 1), np.int64)])

    def of_sums(sums: Floats) -> Floats:
        errors: Floats = np.abs(sums[:, :-1]).sum(axis=1) / (SCALE * sums[:, -1])
        return errors

    return Score(float(of_sums(columns.sum(axis=0, keepdims=True))[0]), columns, of_sums)


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
    shares = np.rint(correct / total * SCALE).astype(np.int64)
    with_count = np.stack([shares, np.ones_like(shares)], axis=1)
    miou_value, accuracy_value = cs6550_scores(images, ignored, class_ids)
    return {
        "miou_dlcv": Score(np.nan if undefined else dlcv.value, dlcv.columns, dlcv.of_sums),
        "miou_cs6550": Score(miou_value, np.hstack([billionths, present]), cs6550_miou),
        "pixel_accuracy_cs6550": Score(
            accuracy_value, with_count, lambda sums: sums[:, 0] / (SCALE * sums[:, 1])
        ),
    }
