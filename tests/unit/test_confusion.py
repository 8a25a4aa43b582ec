"""Promises of the confusion matrix and of the readers of predictions."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix, jaccard_score

from reprise.errors import RepriseError
from reprise.evaluation.confusion import BLOCK, WIDTH, confusion, iou, mean_iou, pixel_accuracy
from reprise.evaluation.intervals import wilson
from reprise.evaluation.predictions import read_mask, read_predictions
from reprise.evaluation.prepared import Labels, read_prepared
from reprise.evaluation.scores import class_frame, score_classes, score_masks

LABELS = Labels(("urban", "forest", "water"), (), None)


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


def test_an_ignored_pixel_does_not_count_and_an_ignored_answer_is_a_miss() -> None:
    matrix = confusion(np.array([0, 0, 1, 2, 2]), np.array([0, 2, 1, 0, 1]), 3, ignore=2)
    assert matrix.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert mean_iou(matrix, declared=[0, 1]) == (0.75, 2, 2)


def test_without_an_ignored_label_the_mean_is_the_courses_official_one() -> None:
    rng = np.random.default_rng(2)
    truth, prediction = rng.integers(0, 7, (2, 4, 16, 16))
    official = []
    for i in range(6):  # mean_iou_evaluate.py: an answer on an unknown pixel is a false positive
        both = np.sum((prediction == i) & (truth == i))
        official.append(both / (np.sum(prediction == i) + np.sum(truth == i) - both))
    assert mean_iou(confusion(truth, prediction, 7), range(6)).value == pytest.approx(
        np.mean(official)
    )


def test_an_absent_class_is_skipped_zero_or_nan_as_asked() -> None:
    matrix = confusion(np.array([0, 0]), np.array([0, 0]), 2)
    assert mean_iou(matrix) == (1.0, 1, 2)
    assert mean_iou(matrix, absent="zero") == (0.5, 2, 2)
    assert math.isnan(mean_iou(matrix, absent="nan").value)
    assert math.isnan(mean_iou(np.zeros((2, 2), np.int64)).value)


@pytest.mark.parametrize(("truth", "prediction"), [([0, 3], [0, 0]), ([0, 0], [0, 3])])
def test_an_id_outside_the_classes_is_refused(truth: list[int], prediction: list[int]) -> None:
    with pytest.raises(ValueError, match="holds id 3; the classes are 0 to 2"):
        confusion(np.array(truth), np.array(prediction), 3)


def test_maps_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="truth is"):
        confusion(np.zeros((2, 2), int), np.zeros((2, 3), int), 2)


def test_wilsons_interval_is_that_of_the_literature() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263 and 0 of 20, method 3
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


def test_accuracy_is_a_whole_number_of_images_over_all(whole_results: Path) -> None:
    prepared = read_prepared(whole_results / "prepare" / "zones")
    path = whole_results / "classify/cnn/0/predictions.csv"
    score = score_classes(path, prepared, "cnn", 0)
    row = class_frame([score]).iloc[0]
    assert row["n"] == 12
    assert row["accuracy"] == row["correct"] / 12 == score.right.mean()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("prediction", "9", r"predictions\.csv: row 4: prediction '9': the classes are 0 to 2"),
        ("prediction", "-1", "row 4: prediction '-1'"),
        ("prediction", "cat", "row 4: prediction 'cat'"),
        ("prediction", "1.5", "row 4: prediction '1.5'"),
        ("prediction", "", "row 4: prediction 'nan'"),
        ("label", "7", "row 4: label '7'"),
        ("confidence", "1.2", "row 4: confidence '1.2'"),
        ("id", "0006", "row 4: id '0006': it stands there twice"),
        ("id", "9999", "row 4: id '9999': not in the data set"),
        ("role", "report", "row 4: role 'report': not that of index.csv"),
    ],
)
def test_a_wrong_prediction_is_named_by_file_and_row(
    results: Path, column: str, value: str, message: str
) -> None:
    path = results / "classify/cnn/0/predictions.csv"
    table = pd.read_csv(path, dtype=str)
    table.loc[2, column] = value
    table.to_csv(path, index=False)
    with pytest.raises(RepriseError, match=message):
        read_predictions(path, read_prepared(results / "prepare" / "zones"))


def test_a_label_that_is_not_the_data_sets_is_refused(results: Path) -> None:
    path = results / "classify/cnn/0/predictions.csv"
    table = pd.read_csv(path, dtype={"id": str})
    table.loc[0, "label"] = (table.loc[0, "label"] + 1) % 3
    table.to_csv(path, index=False)
    with pytest.raises(RepriseError, match=r"row 2: label .*: not that of index\.csv"):
        read_predictions(path, read_prepared(results / "prepare" / "zones"))


def test_an_image_without_a_prediction_is_named(results: Path) -> None:
    path = results / "classify/cnn/0/predictions.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-2]) + "\n")
    with pytest.raises(RepriseError, match=r"no prediction for image '0022' \(2 missing\)"):
        read_predictions(path, read_prepared(results / "prepare" / "zones"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not found"),
        ("", "not a readable csv"),
        ("id,role\n", "column 'label' is missing"),
        (b"\xff\xfe\x00", "not a readable csv"),
    ],
)
def test_an_unreadable_predictions_file_is_named(
    results: Path, content: str | bytes | None, message: str
) -> None:
    path = results / "classify/cnn/0/predictions.csv"
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RepriseError, match=rf"predictions\.csv: {message}"):
        read_predictions(path, read_prepared(results / "prepare" / "zones"))


def test_a_mask_is_read_as_it_was_written(tmp_path: Path) -> None:
    mask = np.array([[0, 1], [2, 0]], np.uint8)
    Image.fromarray(mask).save(tmp_path / "0001.png")
    assert np.array_equal(read_mask(tmp_path / "0001.png", (2, 2), LABELS), mask)


def test_a_missing_mask_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepriseError, match=r"0001\.png: not found"):
        read_mask(tmp_path / "0001.png", (2, 2), LABELS)


@pytest.mark.parametrize("keep", [0, 10, 50])
def test_a_mask_that_cannot_be_decoded_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "0001.png"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RepriseError, match=r"0001\.png: cannot be decoded"):
        read_mask(path, (64, 64), LABELS)


def test_a_mask_of_another_size_than_the_truth_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(tmp_path / "0001.png")
    with pytest.raises(RepriseError, match=r"0001\.png: 3 x 2 pixels, the truth is 2 x 2"):
        read_mask(tmp_path / "0001.png", (2, 2), LABELS)


def test_a_mask_with_an_undeclared_class_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 3, np.uint8)).save(tmp_path / "0001.png")
    with pytest.raises(RepriseError, match=r"0001\.png: class id 3; .* 0 to 2"):
        read_mask(tmp_path / "0001.png", (2, 2), LABELS)


def test_a_coloured_mask_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "0001.png")
    with pytest.raises(RepriseError, match="mode RGB"):
        read_mask(tmp_path / "0001.png", (2, 2), LABELS)


def test_merged_classes_are_scored_against_the_merged_truth(results: Path) -> None:
    prepared = read_prepared(results / "prepare" / "groups")
    folder = results / "street" / "merged" / "0" / "predictions"
    for row in prepared.rows("report"):
        truth = prepared.truth()[row]
        merged = np.select([truth == 0, truth == 3], [0, 2], 1).astype(np.uint8)
        Image.fromarray(merged).save(folder / f"{prepared.index['id'].iloc[row]}.png")
    labels, matrices, void = score_masks(folder, prepared, "report", 3)
    matrix = matrices.sum(axis=0)
    assert labels.names == ("water", "green", "grey")
    assert matrix.sum() + void.sum() == 12 * 8 * 8 and void.any()
    assert mean_iou(matrix, labels.declared) == (1.0, 3, 3)
    assert matrix.sum() == (np.asarray(prepared.truth())[prepared.rows("report")] != 4).sum()


def test_a_truth_outside_the_classes_is_named_by_image(results: Path) -> None:
    path = results / "prepare" / "cover" / "labels.npy"
    truth = np.load(path)
    truth[13, 0, 0] = 200
    np.save(path, truth)
    with pytest.raises(RepriseError, match=r"labels\.npy: image '0013': truth holds id 200"):
        score_masks(
            results / "segment/fcn/0/predictions",
            read_prepared(results / "prepare" / "cover"),
            "report",
            None,
        )
