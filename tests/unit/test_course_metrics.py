"""The courses' own metrics, against their definitions written out in loops."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reprise.data.legend import COURSE
from reprise.errors import RepriseError
from reprise.evaluation.confusion import confusion, mean_iou, void_answers
from reprise.evaluation.course import (
    cs6550_class_ious,
    cs6550_scores,
    dlcv_mean_iou,
    own_mean_iou,
    pairs,
    with_void,
)
from reprise.evaluation.course_scores import COURSE_METRICS, course_estimates
from reprise.evaluation.prepared import Labels
from reprise.evaluation.scores import MaskScore
from reprise.palette import UNKNOWN, decode_mask, encode_mask

COLOURS = np.array([*(rgb for _, rgb in COURSE), (0, 0, 0), (255, 0, 0)], np.uint8)


def random_masks(seed: int, colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction (4, 24, 20, 3): blotches of the colours, a prediction partly right."""
    rng = np.random.default_rng(seed)
    truth = colours[rng.integers(0, len(colours), (4, 6, 5))].repeat(4, 1).repeat(4, 2)
    noise = colours[rng.integers(0, len(colours), truth.shape[:3])]
    return truth, np.where(rng.random(truth.shape[:3])[..., None] < 0.6, truth, noise)


def by_colour(mask: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return (mask == colour).all(axis=-1)


def evaluator(truth: np.ndarray, prediction: np.ndarray) -> float:
    """The definition of mean_iou_evaluate.py: over the whole set, six classes, unknown left out.

    Straight from colours, so that a red pixel is none of the six.
    """
    total = np.float64(0)
    for colour in COLOURS[:6]:
        t, p = by_colour(truth, colour), by_colour(prediction, colour)
        with np.errstate(invalid="ignore"):
            total += np.float64((t & p).sum()) / np.float64(t.sum() + p.sum() - (t & p).sum())
    return float(total / 6)


def matrix_of(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return confusion(decode_mask(truth), decode_mask(prediction), UNKNOWN + 1)


@pytest.mark.parametrize("kinds", [6, 7, 8], ids=["classes", "unknown", "unknown and red"])
@pytest.mark.parametrize("seed", range(20))
def test_miou_is_that_of_the_courses_evaluator(seed: int, kinds: int) -> None:
    truth, prediction = random_masks(seed, COLOURS[:kinds])
    matrix = matrix_of(truth, prediction)
    assert dlcv_mean_iou(matrix).value == pytest.approx(evaluator(truth, prediction), abs=1e-12)
    # the same from what a run keeps: the matrix that leaves unknown out, and the answers there
    t, p = decode_mask(truth), decode_mask(prediction)
    whole = with_void(confusion(t, p, 7, UNKNOWN), void_answers(t, p, 7, UNKNOWN))
    assert mean_iou(whole, range(6), "nan").value == pytest.approx(evaluator(truth, prediction))
    if kinds > 6:  # an answer on an unknown pixel is a false positive there, and none here
        assert own_mean_iou(matrix).value > dlcv_mean_iou(matrix).value


def test_an_absent_class_is_nan_there_and_left_out_here() -> None:
    truth, prediction = random_masks(0, COLOURS[[0, 1, 3, 4, 5, 6]])
    matrix = matrix_of(truth, prediction)
    assert math.isnan(evaluator(truth, prediction)) and math.isnan(dlcv_mean_iou(matrix).value)
    ours = own_mean_iou(matrix)
    assert (ours.counted, ours.declared) == (5, 6) and 0 < ours.value < 1


def test_colours_come_back_and_black_is_the_unknown_one() -> None:
    ids = np.arange(7, dtype=np.uint8)
    assert np.array_equal(encode_mask(ids), COLOURS[:7])
    assert np.array_equal(decode_mask(COLOURS), [0, 1, 2, 3, 4, 5, 6, 6])
    blurred = np.where(COLOURS > 0, 128, 127).astype(np.uint8)
    assert np.array_equal(decode_mask(blurred), decode_mask(COLOURS))
    with pytest.raises(ValueError, match="id 7 has no colour"):
        encode_mask(np.array([7], np.uint8))


def starter(truth: np.ndarray, prediction: np.ndarray, classes: int) -> tuple[float, float]:
    """The definition of CS6550's starter: nan where a union is empty, then two means."""
    rows, right = [], []
    for t, p in zip(truth, prediction, strict=True):
        row = []
        for number in range(classes):
            union = ((t == number) | (p == number)).sum()
            both = ((t == number) & (p == number)).sum()
            row.append(both / union if union else float("nan"))
        rows.append(row)
        right.append((t == p).sum() / t.size)
    of_class = [np.nanmean(column) for column in np.array(rows).T if not np.isnan(column).all()]
    return float(np.nanmean(of_class)), float(np.mean(right))


@pytest.mark.parametrize("seed", range(10))
def test_cs6550_averages_over_images_and_void_counts_against_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 2, 3, 4, 11], (6, 9, 8)).astype(np.uint8)  # 11 is void
    truth[0] = 3  # an image of one class: the others are absent from its truth
    truth[1] = 11
    prediction = np.where(rng.random(truth.shape) < 0.7, truth, 4).astype(np.uint8)
    prediction[prediction == 11] = 0
    images = np.array([confusion(t, p, 11, 11) for t, p in zip(truth, prediction, strict=True)])
    void = np.array([void_answers(t, p, 11, 11) for t, p in zip(truth, prediction, strict=True)])
    found = cs6550_scores(images, void, list(range(11)))
    assert found == pytest.approx(starter(truth, prediction, 11), abs=1e-12)
    for number, value in enumerate(cs6550_class_ious(images, void, list(range(11)))):
        either = [(t == number) | (p == number) for t, p in zip(truth, prediction, strict=True)]
        both = [(t == number) & (p == number) for t, p in zip(truth, prediction, strict=True)]
        own = [b.sum() / e.sum() for b, e in zip(both, either, strict=True) if e.any()]
        expected = np.mean(own) if own else np.nan
        assert value == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_a_class_that_no_image_has_has_no_iou() -> None:
    images, void = np.zeros((2, 2, 2), np.int64), np.zeros((2, 2), np.int64)
    images[:, 0, 0] = 5
    found = cs6550_class_ious(images, void, [0, 1])
    assert found[0] == 1 and np.isnan(found[1])


def save(folder: Path, name: str, mask: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    Image.fromarray(mask).save(folder / name)


def test_masks_are_paired_by_name_and_a_lone_one_is_named(tmp_path: Path) -> None:
    truth, prediction = random_masks(3, COLOURS)
    for number in (2, 0, 1):
        save(tmp_path / "g", f"{number:04d}_mask.png", truth[number])
        save(tmp_path / "p", f"{number:04d}_mask.png", prediction[number])
    found = pairs(tmp_path / "g", tmp_path / "p")
    for number, (t, p) in enumerate(found):
        assert np.array_equal(t, decode_mask(truth[number]))
        assert np.array_equal(p, decode_mask(prediction[number]))
    save(tmp_path / "g", "0003_mask.png", truth[3])
    with pytest.raises(RepriseError, match=r"p/0003_mask.png: not found"):
        pairs(tmp_path / "g", tmp_path / "p")
    save(tmp_path / "p", "0003_mask.png", prediction[3][:8])
    with pytest.raises(RepriseError, match=r"0003_mask.png: \(8, 20\).*its label \(24, 20\)"):
        pairs(tmp_path / "g", tmp_path / "p")
    (tmp_path / "p" / "0003_mask.png").write_bytes(b"no picture")
    with pytest.raises(RepriseError, match=r"0003_mask.png: does not decode"):
        pairs(tmp_path / "g", tmp_path / "p")


def test_the_courses_metrics_have_the_intervals_of_resampled_images() -> None:
    rng = np.random.default_rng(1)
    truth = rng.choice([0, 1, 2, 3], (30, 9, 8), p=[0.4, 0.3, 0.2, 0.1]).astype(np.uint8)
    prediction = np.where(rng.random(truth.shape) < rng.random((30, 1, 1)), truth, 1)
    prediction = np.where(prediction == 3, 0, prediction).astype(np.uint8)
    both = list(zip(truth, prediction, strict=True))
    images = np.array([confusion(t, p, 3, 3) for t, p in both])
    void = np.array([void_answers(t, p, 3, 3) for t, p in both])
    labels = Labels(("a", "b", "c"), (), 3)
    score = MaskScore("run", 0, labels, images.sum(axis=0), images, void)
    found = course_estimates([score])
    own: dict[str, list[float]] = {metric: [] for metric in COURSE_METRICS}
    for drawn in [np.arange(30), *rng.integers(0, 30, (3000, 30))]:
        whole = with_void(images[drawn].sum(axis=0), void[drawn].sum(axis=0))
        own["miou_dlcv"].append(mean_iou(whole, range(3)).value)
        miou, accuracy = cs6550_scores(images[drawn], void[drawn], [0, 1, 2])
        own["miou_cs6550"].append(miou)
        own["pixel_accuracy_cs6550"].append(accuracy)
    for metric, values in own.items():
        one = found["run", metric]
        assert one.value == values[0]
        ends = np.quantile(values[1:], [0.025, 0.975])
        assert (one.low_images, one.high_images) == pytest.approx(ends, abs=0.005)
    lacking = MaskScore("run", 0, Labels(("a", "b", "c", "d"), (), 4), *grown(images, void))
    estimates = course_estimates([lacking])
    assert math.isnan(estimates["run", "miou_dlcv"].value)
    assert estimates["run", "miou_cs6550"].value == found["run", "miou_cs6550"].value


def grown(images: np.ndarray, void: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same with a class more, which no image has: select, images and void."""
    more = np.pad(images, ((0, 0), (0, 1), (0, 1)))
    return more.sum(axis=0), more, np.pad(void, ((0, 0), (0, 1)))
