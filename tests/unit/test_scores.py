"""The scores of jobs and runs: accuracy, mIoU, the courses' metrics, and their groups."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reprise.datasets.prepared import Classes, PreparedDataset, read_prepared
from reprise.errors import RepriseError
from reprise.evaluation.job_outputs import BEST_EPOCH_COLUMN
from reprise.evaluation.scores import (
    COURSE_METRICS,
    ClassCounts,
    MaskCounts,
    accuracy,
    count_classes,
    count_masks,
    course_scores,
    miou,
)
from reprise.evaluation.statistics import Estimate, SeedScores, wilson
from reprise.evaluation.summaries import concentrated_classes, over_seeds, summarize, worst_group
from reprise.metrics.confusion import (
    confusion,
    ignored_pixel_predictions,
    mean_iou,
    pixel_accuracy,
)
from reprise.metrics.courses import cs6550_scores, with_ignored_row


def matrices(images: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, (images, 6, 6))
    guess = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 4, truth.shape))
    return np.array([confusion(t, p, 4, ignore=3) for t, p in zip(truth, guess, strict=True)])


def jackknife(of_rows: Callable[[np.ndarray], float], groups: np.ndarray) -> float:
    """The standard error of a score of some rows, by leaving out one group at a time."""
    rows, numbers = np.arange(len(groups)), np.unique(groups)
    left_out = np.array([of_rows(rows[groups != number]) for number in numbers])
    k = len(numbers)
    return math.sqrt((k - 1) / k * ((left_out - of_rows(rows)) ** 2).sum())


BLOCKS = np.repeat(np.arange(12), [1, 2, 3, 4, 5, 5, 5, 6, 6, 7, 8, 8])  # of 60 images
TEN = np.arange(10)


def test_a_paired_difference_has_the_error_of_the_groups_that_both_share() -> None:
    rng = np.random.default_rng(1)
    level = rng.normal(0, 0.2, 12)[BLOCKS]
    one, other = rng.random((2, 60)) < np.array([[0.7], [0.6]]) + level
    scores = [over_seeds([accuracy(correct)], BLOCKS) for correct in (one, other)]
    ours = (scores[0] - scores[1]).estimate()
    assert ours.value == pytest.approx(one.mean() - other.mean())
    expected = jackknife(lambda rows: one[rows].mean() - other[rows].mean(), BLOCKS)
    assert ours.groups_se == pytest.approx(expected)
    assert (ours.images, ours.groups) == (60, 12)


def test_only_runs_of_the_same_images_and_seeds_are_compared() -> None:
    one = SeedScores(np.zeros(2), np.zeros((5, 2)), 10)
    fewer_seeds = SeedScores(np.zeros(1), np.zeros((5, 1)), 10)
    for other in (fewer_seeds, SeedScores(one.values, one.left_out, 9)):
        with pytest.raises(ValueError, match="same seeds on the same images"):
            one - other


def test_a_miou_is_that_of_the_summed_matrix_without_each_group() -> None:
    own = matrices(60, 6)
    found = over_seeds([miou(own, [0, 1, 2])], BLOCKS).estimate()
    assert found.value == mean_iou(own.sum(axis=0), [0, 1, 2]).value
    expected = jackknife(lambda rows: mean_iou(own[rows].sum(axis=0), [0, 1, 2]).value, BLOCKS)
    assert found.groups_se == pytest.approx(expected)


def test_the_courses_metrics_have_the_errors_of_groups() -> None:
    rng = np.random.default_rng(1)
    truth = rng.choice([0, 1, 2, 3], (60, 9, 8), p=[0.4, 0.3, 0.2, 0.1]).astype(np.uint8)
    prediction = np.where(rng.random(truth.shape) < rng.random((60, 1, 1)), truth, 1)
    prediction = np.where(prediction == 3, 0, prediction).astype(np.uint8)
    both = list(zip(truth, prediction, strict=True))
    images = np.array([confusion(t, p, 3, 3) for t, p in both])
    ignored = np.array([ignored_pixel_predictions(t, p, 3, 3) for t, p in both])
    found = course_estimates(mask_counts(Classes(("a", "b", "c"), (), 3), images, ignored))

    def dlcv(rows: np.ndarray) -> float:
        whole = with_ignored_row(images[rows].sum(axis=0), ignored[rows].sum(axis=0))
        return mean_iou(whole, range(3)).value

    own: dict[str, Callable[[np.ndarray], float]] = {
        "miou_dlcv": dlcv,
        "miou_cs6550": lambda rows: cs6550_scores(images[rows], ignored[rows], [0, 1, 2])[0],
        "pixel_accuracy_cs6550": lambda rows: cs6550_scores(images[rows], ignored[rows], [0, 1, 2])[
            1
        ],
    }
    for metric in COURSE_METRICS:
        assert found[metric].value == own[metric](np.arange(60))
        assert found[metric].groups_se == pytest.approx(jackknife(own[metric], BLOCKS), rel=1e-6)
    absent = Classes(("a", "b", "c", "d"), (), 4)
    estimates = course_estimates(mask_counts(absent, *with_absent_class(images, ignored)))
    assert math.isnan(estimates["miou_dlcv"].value) and math.isnan(estimates["miou_dlcv"].groups_se)
    assert estimates["miou_cs6550"].value == found["miou_cs6550"].value


def mask_counts(classes: Classes, images: np.ndarray, ignored: np.ndarray) -> MaskCounts:
    return MaskCounts(classes, 0.5, images, ignored, BLOCKS, 0)


def course_estimates(counts: MaskCounts) -> dict[str, Estimate]:
    scores = course_scores(counts)
    return {name: over_seeds([score], BLOCKS).estimate() for name, score in scores.items()}


def test_a_class_in_few_groups_leaves_the_miou_without_an_interval() -> None:
    images = np.tile(np.array([[30, 2, 0], [3, 20, 1], [0, 0, 0]]), (60, 1, 1))
    classes = Classes(("water", "forest", "ice"), (), None)
    none = np.zeros((60, 3), np.int64)
    assert concentrated_classes(mask_counts(classes, images, none)) == []
    images[BLOCKS < 3, 2, 2] = 5
    assert concentrated_classes(mask_counts(classes, images, none)) == ["ice"]


def test_the_constant_prediction_is_the_most_frequent_class_everywhere() -> None:
    images = np.tile(np.array([[30, 2], [3, 20]]), (60, 1, 1))
    counts = mask_counts(Classes(("water", "forest"), (), None), images, np.zeros((60, 2), int))
    assert counts.constant_score.value == pytest.approx(32 / 55 / 2)


def with_absent_class(images: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with one more class, which no image has."""
    return np.pad(images, ((0, 0), (0, 1), (0, 1))), np.pad(ignored, ((0, 0), (0, 1)))


def summary(correct: list[int], groups: np.ndarray = TEN) -> pd.Series:
    """The run of seeds that get this many of 10 images right, against a constant that gets 2."""
    classes = Classes(("a", "b"), (), None)
    rows = []
    for seed, count in enumerate(correct):
        right = np.arange(10) < count
        matrix = np.array([[count, 10 - count], [0, 0]])
        counts = ClassCounts(classes, 0.5, matrix, right, groups, np.arange(10) < 2)
        rows.append(["classify", "baseline", "x", seed, "none", None, counts])
    columns = ["stage", "task", "run", "seed", "weights", "history", "counts"]
    return summarize(pd.DataFrame(rows, columns=columns)).iloc[0]


def test_a_mean_over_seeds_is_all_correct_over_all_n() -> None:
    row = summary([5, 6, 9])
    assert (row["correct"], row["n"], row["images"], row["seeds"]) == (20, 30, 10, 3)
    assert row["test_accuracy"] == 20 / 30 and row["val_accuracy"] == 0.5
    assert row["test_accuracy_sd"] == pytest.approx(np.std([0.5, 0.6, 0.9], ddof=1))


def test_wilsons_interval_stays_where_images_are_groups_and_no_seed_shrinks_it() -> None:
    one, three = summary([6]), summary([6, 6, 6])
    expected = pytest.approx(wilson(6, 10)[0])
    assert one["test_accuracy_groups_low"] == three["test_accuracy_groups_low"] == expected
    grouped = summary([6], np.arange(10) // 2)
    assert grouped["groups"] == 5 and grouped["test_accuracy_groups_low"] != expected


def test_no_interval_where_no_group_differs() -> None:
    row = summary([10, 10, 10], np.arange(10) // 5)
    assert math.isnan(row["test_accuracy_groups_low"]) and math.isnan(row["test_accuracy_ci_low"])


def test_a_run_is_above_the_constant_prediction_if_its_interval_is() -> None:
    assert summary([9, 9, 9])["above_constant"] and summary([9])["above_constant"]
    assert not summary([3, 3, 3])["above_constant"] and not summary([2])["above_constant"]
    assert summary([9])["constant"] == 0.2


def test_one_group_says_nothing_against_a_run() -> None:
    row = summary([9, 9, 9], np.zeros(10, np.int64))
    assert row["groups"] == 1 and row["above_constant"]
    assert math.isnan(row["test_accuracy_groups_low"]) and math.isnan(row["test_accuracy_ci_low"])


def test_the_worst_group_is_the_least_accurate_of_those_with_enough_images() -> None:
    classes, matrix = Classes(("a", "b"), (), None), np.zeros((2, 2), np.int64)
    groups = np.repeat([0, 1, 2], [10, 12, 9])
    constant = np.zeros(31, bool)
    # group 0: 6 and 8 of 10 right; group 1: 6 and 3 of 12; group 2, of 9 images, none
    seeds = [
        ClassCounts(classes, 0.5, matrix, np.arange(31) < 0, groups, constant) for _ in range(2)
    ]
    for counts, first, second in zip(seeds, (6, 8), (6, 3), strict=True):
        counts.correct[:first] = True
        counts.correct[10 : 10 + second] = True
    worst = worst_group(seeds)
    assert worst == {"worst_group_accuracy": pytest.approx(4.5 / 12), "worst_group_images": 12}
    alone = [replace(counts, groups=np.arange(31)) for counts in seeds]
    assert all(np.isnan(value) for value in worst_group(alone).values())


def test_one_seed_has_no_sd() -> None:
    assert math.isnan(summary([5])["test_accuracy_sd"])


def dataset(results: Path, name: str) -> PreparedDataset:
    return read_prepared(results / "prepare" / name)


def test_accuracy_is_a_whole_number_of_images_over_all(evaluated_results: Path) -> None:
    path = evaluated_results / "classify/baseline/cnn/0/predictions.csv"
    (counts,) = count_classes(path, dataset(evaluated_results, "zones"))
    correct = int(np.trace(counts.test))
    table = pd.read_csv(path)
    val = table[table["split"] == "val"]
    assert counts.test.sum() == 12 and len(val) == 6
    assert counts.val_score == (val["prediction"] == val["label"]).mean()
    assert pixel_accuracy(counts.test) == correct / 12 == counts.correct.mean()


def test_the_best_epoch_of_an_ensemble_is_counted_from_its_own_column(evaluated: Path) -> None:
    path = evaluated / "classify/baseline/big/0/predictions.csv"
    columns = ["prediction", BEST_EPOCH_COLUMN]
    counts = count_classes(path, dataset(evaluated, "zones"), [BEST_EPOCH_COLUMN])
    table = pd.read_csv(path)
    table = table[table["split"] == "test"]
    for column, own in zip(columns, counts, strict=True):
        assert np.trace(own.test) == (table[column] == table["label"]).sum()
    pd.read_csv(path, dtype=str).drop(columns=BEST_EPOCH_COLUMN).to_csv(path, index=False)
    with pytest.raises(RepriseError, match=rf"predictions\.csv: column '{BEST_EPOCH_COLUMN}' is"):
        count_classes(path, dataset(evaluated, "zones"), [BEST_EPOCH_COLUMN])


def test_merged_classes_are_counted_against_the_merged_truth(evaluated: Path) -> None:
    groups = dataset(evaluated, "groups")
    folder = evaluated / "segment/skips/merged/0/predictions"
    for row in groups.rows("test"):
        truth = groups.labels[row]
        merged = np.select([truth == 0, truth == 3], [0, 2], 1).astype(np.uint8)
        Image.fromarray(merged).save(folder / f"{groups.index['id'].iloc[row]}.png")
    counts = count_masks(folder, groups, 3)
    matrix, ignored = counts.images.sum(axis=0), counts.ignored
    assert counts.classes.names == ("water", "green", "grey")
    assert matrix.sum() + ignored.sum() == 12 * 8 * 8 and ignored.any()
    assert mean_iou(matrix, counts.classes.ids) == (1.0, 3, 3)
    assert matrix.sum() == (np.asarray(groups.labels)[groups.rows("test")] != 4).sum()
    assert np.array_equal(counts.test, matrix)


def test_masks_of_the_center_are_counted_against_the_center_of_the_truth(evaluated: Path) -> None:
    cover = dataset(evaluated, "cover")
    folder = evaluated / "segment/baseline/fcn/0/predictions"
    for split in ("val", "test"):
        for row in cover.rows(split):
            center = np.asarray(cover.labels[row])[1:7, 1:7]
            known = np.where(center == 3, 0, center).astype(np.uint8)
            Image.fromarray(known).save(folder / f"{cover.index['id'].iloc[row]}.png")
    counts = count_masks(folder, cover, None, crop=6)
    assert counts.test.sum() + counts.ignored.sum() == 12 * 6 * 6
    assert mean_iou(counts.test, counts.classes.ids).value == counts.val_score == 1.0
    with pytest.raises(RepriseError, match="6 x 6 pixels, the truth has 8 x 8"):
        count_masks(folder, cover, None)


def test_a_truth_outside_the_classes_is_named_by_image(evaluated: Path) -> None:
    path = evaluated / "prepare" / "cover" / "labels.npy"
    truth = np.load(path)
    truth[13, 0, 0] = 200
    np.save(path, truth)
    with pytest.raises(RepriseError, match=r"labels\.npy: image '0013': truth holds id 200"):
        count_masks(
            evaluated / "segment/baseline/fcn/0/predictions", dataset(evaluated, "cover"), None
        )
