"""The confusion matrix and the metrics that follow from it."""

import math

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, jaccard_score

from reprise.metrics.confusion import (
    BLOCK,
    WIDTH,
    center_crop,
    confusion,
    iou,
    mean_iou,
    mean_ious,
    pixel_accuracy,
)


def grid(rows: str) -> np.ndarray:
    return np.array([[int(pixel) for pixel in row] for row in rows.split()], np.uint8)


SLIDE_TRUTH = grid("00000 00120 00120 00120 00000")
SLIDE_PREDICTION = grid("00000 00000 01110 02220 00000")


def test_the_slides_worked_example_gives_the_slides_numbers() -> None:
    matrix = confusion(SLIDE_TRUTH, SLIDE_PREDICTION, 3)
    assert matrix.dtype == np.int64
    assert pixel_accuracy(matrix) == 0.76
    assert iou(matrix) == pytest.approx([17 / 21, 0.2, 0.2])
    assert str(mean_iou(matrix)) == f"{(17 / 21 + 0.4) / 3:.4f}, mIoU over 3 of 3 classes"


def test_the_matrix_is_the_same_for_any_batching_and_order() -> None:
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 7, (2, 10, 9, 9))
    whole = confusion(truth, prediction, 7, ignore=6)
    order = rng.permutation(10)
    for cuts in ([1], [3, 4, 9], list(range(1, 10))):
        batches = np.split(order, cuts)
        parts = sum(confusion(truth[b], prediction[b], 7, ignore=6) for b in batches)
        assert np.array_equal(parts, whole)


@pytest.mark.parametrize("classes", [5, 16, 17])  # pairs of 16 fit into a byte, of 17 do not
@pytest.mark.parametrize("size", [500, 4 * WIDTH, 9 * WIDTH + 3, BLOCK + 5 * WIDTH + 1])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_the_matrix_agrees_with_scikit_learn(dtype: type, size: int, classes: int) -> None:
    drawn = np.random.default_rng(1).integers(0, classes, (2, size), dtype=dtype)
    truth, prediction = drawn[0], np.where(drawn[1] % 2, drawn[0], drawn[1])
    matrix = confusion(truth, prediction, classes)
    assert np.array_equal(matrix, confusion_matrix(truth, prediction))
    assert iou(matrix) == pytest.approx(jaccard_score(truth, prediction, average=None))


def test_an_ignored_pixel_does_not_count_and_a_predicted_ignored_id_is_a_miss() -> None:
    matrix = confusion(np.array([0, 0, 1, 2, 2]), np.array([0, 2, 1, 0, 1]), 3, ignore=2)
    assert matrix.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert mean_iou(matrix, class_ids=[0, 1]) == (0.75, 2, 2)


def test_without_an_ignored_label_the_mean_is_the_courses_official_one() -> None:
    rng = np.random.default_rng(2)
    truth, prediction = rng.integers(0, 7, (2, 4, 16, 16))
    official = []
    for i in range(6):  # mean_iou_evaluate.py: a prediction on an unknown pixel is a false positive
        both = np.sum((prediction == i) & (truth == i))
        official.append(both / (np.sum(prediction == i) + np.sum(truth == i) - both))
    assert mean_iou(confusion(truth, prediction, 7), range(6)).value == pytest.approx(
        np.mean(official)
    )


def test_an_absent_class_is_skipped_or_makes_the_mean_nan() -> None:
    matrix = confusion(np.array([0, 0]), np.array([0, 0]), 2)
    assert mean_iou(matrix) == (1.0, 1, 2)
    assert math.isnan(mean_iou(matrix, absent="nan").value)
    assert math.isnan(mean_iou(np.zeros((2, 2), np.int64)).value)


@pytest.mark.parametrize(("truth", "prediction"), [([0, 3], [0, 0]), ([0, 0], [0, 3])])
def test_an_id_outside_the_classes_is_refused(truth: list[int], prediction: list[int]) -> None:
    with pytest.raises(ValueError, match="holds id 3; the classes are 0 to 2"):
        confusion(np.array(truth), np.array(prediction), 3)


def test_maps_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="truth is"):
        confusion(np.zeros((2, 2), int), np.zeros((2, 3), int), 2)


def matrices(images: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, (images, 6, 6))
    guess = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 4, truth.shape))
    return np.array([confusion(t, p, 4, ignore=3) for t, p in zip(truth, guess, strict=True)])


def test_a_miou_of_a_resample_is_that_of_its_summed_matrix() -> None:
    own = matrices(20, 4)
    drawn = np.random.default_rng(5).integers(0, 20, (30, 20))
    sums = own[drawn].sum(axis=1)
    sums[0, 2], sums[0, :, 2] = 0, 0  # a class that is not there
    for class_ids in ([0, 1, 2], [0, 2]):
        one_by_one = [mean_iou(matrix, class_ids).value for matrix in sums]
        assert mean_ious(sums, class_ids) == pytest.approx(one_by_one)


def test_the_center_of_an_image_or_label_map_is_a_view_of_its_size() -> None:
    maps = np.arange(6 * 9).reshape(6, 9)
    assert np.array_equal(center_crop(maps, 4, 4), maps[1:5, 2:6])  # of an odd margin less is left
    assert center_crop(maps, 6, 9).base is not None
    assert np.array_equal(center_crop(maps, 6, 9), maps)
    image = np.arange(360 * 480 * 3).reshape(360, 480, 3)
    assert np.array_equal(center_crop(image, 256, 256), image[52:308, 112:368])  # CS6550's starter
    with pytest.raises(ValueError, match=r"\(6, 9\) is smaller than the crop \(7, 4\)"):
        center_crop(maps, 7, 4)
