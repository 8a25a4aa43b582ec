"""The scores of jobs and runs: accuracy, mIoU and the courses' metrics share their resamples."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

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
    over_seeds,
    summarize,
)
from reprise.evaluation.statistics import Estimate, SeedScores, wilson
from reprise.metrics.confusion import (
    confusion,
    ignored_pixel_predictions,
    mean_iou,
    mean_ious,
    pixel_accuracy,
)
from reprise.metrics.courses import cs6550_scores, with_ignored_row


def matrices(images: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, (images, 6, 6))
    guess = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 4, truth.shape))
    return np.array([confusion(t, p, 4, ignore=3) for t, p in zip(truth, guess, strict=True)])


def test_a_paired_difference_has_scipys_interval() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.random((2, 300)) < np.array([[0.7], [0.6]])
    ours = (over_seeds([accuracy(one)]) - over_seeds([accuracy(other)])).estimate()
    theirs = stats.bootstrap(
        (one.astype(float), other.astype(float)),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=True, method="percentile", n_resamples=10_000, rng=2,
    )  # fmt: skip
    assert ours.value == pytest.approx(one.mean() - other.mean())
    assert ours.images_se == pytest.approx(theirs.standard_error, rel=0.03)
    assert (ours.images_low, ours.images_high) == pytest.approx(
        theirs.confidence_interval, abs=0.005
    )


def test_the_same_resamples_are_drawn_for_every_run_and_each_time() -> None:
    correct = np.random.default_rng(3).random((2, 40)) < 0.5
    first, again = (over_seeds([accuracy(seed) for seed in correct]) for _ in range(2))
    wrong = over_seeds([accuracy(~seed) for seed in correct])
    assert np.array_equal(first.resamples, again.resamples)
    assert first.resamples + wrong.resamples == pytest.approx(1)


def test_the_seeds_of_a_run_do_not_change_each_others_resamples() -> None:
    correct = np.random.default_rng(0).random((3, 40)) < 0.6
    three = over_seeds([accuracy(seed) for seed in correct])
    two = over_seeds([accuracy(seed) for seed in correct[:2]])
    assert np.array_equal(two.resamples, three.resamples[:, :2])


def test_only_runs_of_the_same_images_and_seeds_are_compared() -> None:
    one = SeedScores(np.zeros(2), np.zeros((5, 2)), 10)
    fewer_seeds = SeedScores(np.zeros(1), np.zeros((5, 1)), 10)
    for other in (fewer_seeds, SeedScores(one.values, one.resamples, 9)):
        with pytest.raises(ValueError, match="same seeds on the same images"):
            one - other


def test_a_mious_interval_is_scipys() -> None:
    own = matrices(60, 6)
    found = over_seeds([miou(own, [0, 1, 2])]).estimate()
    theirs = stats.bootstrap(
        (np.arange(60),),
        lambda rows, axis: mean_ious(own[rows].sum(axis=-4 + 1), [0, 1, 2]),
        method="percentile", n_resamples=4000, rng=7,
    )  # fmt: skip
    assert found.value == mean_iou(own.sum(axis=0), [0, 1, 2]).value
    assert (found.images_low, found.images_high) == pytest.approx(
        theirs.confidence_interval, abs=0.003
    )


def test_the_courses_metrics_have_the_intervals_of_resampled_images() -> None:
    rng = np.random.default_rng(1)
    truth = rng.choice([0, 1, 2, 3], (30, 9, 8), p=[0.4, 0.3, 0.2, 0.1]).astype(np.uint8)
    prediction = np.where(rng.random(truth.shape) < rng.random((30, 1, 1)), truth, 1)
    prediction = np.where(prediction == 3, 0, prediction).astype(np.uint8)
    both = list(zip(truth, prediction, strict=True))
    images = np.array([confusion(t, p, 3, 3) for t, p in both])
    ignored = np.array([ignored_pixel_predictions(t, p, 3, 3) for t, p in both])
    classes = Classes(("a", "b", "c"), (), 3)
    found = course_estimates(MaskCounts(classes, 0.5, images, ignored))
    own: dict[str, list[float]] = {metric: [] for metric in COURSE_METRICS}
    for drawn in [np.arange(30), *rng.integers(0, 30, (3000, 30))]:
        whole = with_ignored_row(images[drawn].sum(axis=0), ignored[drawn].sum(axis=0))
        own["miou_dlcv"].append(mean_iou(whole, range(3)).value)
        miou, accuracy = cs6550_scores(images[drawn], ignored[drawn], [0, 1, 2])
        own["miou_cs6550"].append(miou)
        own["pixel_accuracy_cs6550"].append(accuracy)
    for metric, values in own.items():
        one = found[metric]
        assert one.value == values[0]
        ends = np.quantile(values[1:], [0.025, 0.975])
        assert (one.images_low, one.images_high) == pytest.approx(ends, abs=0.005)
    absent = Classes(("a", "b", "c", "d"), (), 4)
    estimates = course_estimates(MaskCounts(absent, 0.5, *with_absent_class(images, ignored)))
    assert math.isnan(estimates["miou_dlcv"].value) and math.isnan(estimates["miou_dlcv"].images_se)
    assert estimates["miou_cs6550"].value == found["miou_cs6550"].value


def course_estimates(counts: MaskCounts) -> dict[str, Estimate]:
    return {name: over_seeds([score]).estimate() for name, score in course_scores(counts).items()}


def with_absent_class(images: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with one more class, which no image has."""
    return np.pad(images, ((0, 0), (0, 1), (0, 1))), np.pad(ignored, ((0, 0), (0, 1)))


def summary(correct: list[int]) -> pd.Series:
    """The run of seeds that get this many of 10 images right."""
    classes = Classes(("a", "b"), (), None)
    rows = []
    for seed, count in enumerate(correct):
        right = np.arange(10) < count
        matrix = np.array([[count, 10 - count], [0, 0]])
        counts = ClassCounts(classes, 0.5, matrix, right)
        rows.append(["classify", "baseline", "x", seed, "none", None, counts])
    columns = ["stage", "task", "run", "seed", "weights", "history", "counts"]
    return summarize(pd.DataFrame(rows, columns=columns)).iloc[0]


def test_a_mean_over_seeds_is_all_correct_over_all_n() -> None:
    row = summary([5, 6, 9])
    assert (row["correct"], row["n"], row["images"], row["seeds"]) == (20, 30, 10, 3)
    assert row["test_accuracy"] == 20 / 30 and row["val_accuracy"] == 0.5
    assert row["test_accuracy_sd"] == pytest.approx(np.std([0.5, 0.6, 0.9], ddof=1))


def test_the_interval_does_not_shrink_when_more_seeds_see_the_same_images() -> None:
    one, three = summary([6]), summary([6, 6, 6])
    assert one["test_accuracy_wilson_low"] == three["test_accuracy_wilson_low"] == wilson(6, 10)[0]


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


def test_a_truth_outside_the_classes_is_named_by_image(evaluated: Path) -> None:
    path = evaluated / "prepare" / "cover" / "labels.npy"
    truth = np.load(path)
    truth[13, 0, 0] = 200
    np.save(path, truth)
    with pytest.raises(RepriseError, match=r"labels\.npy: image '0013': truth holds id 200"):
        count_masks(
            evaluated / "segment/baseline/fcn/0/predictions", dataset(evaluated, "cover"), None
        )
