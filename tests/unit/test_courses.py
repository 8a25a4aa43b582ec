"""The course scripts' metrics, against their definitions written out in loops; the command."""

import logging
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reprise.datasets.classes import DEEPGLOBE, UNKNOWN, decode_mask
from reprise.errors import RepriseError
from reprise.metrics.confusion import confusion, ignored_pixel_predictions, iou, mean_iou
from reprise.metrics.courses import (
    cs6550_class_ious,
    cs6550_scores,
    dlcv_mean_iou,
    main,
    mask_pairs,
    reprise_mean_iou,
    with_ignored_row,
)

COLORS = np.array([*(rgb for _, rgb in DEEPGLOBE[:6]), (0, 0, 0), (255, 0, 0)], np.uint8)


def random_masks(seed: int, colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction (4, 24, 20, 3): patches of the colors, a prediction partly right."""
    rng = np.random.default_rng(seed)
    truth = colors[rng.integers(0, len(colors), (4, 6, 5))].repeat(4, 1).repeat(4, 2)
    noise = colors[rng.integers(0, len(colors), truth.shape[:3])]
    return truth, np.where(rng.random(truth.shape[:3])[..., None] < 0.6, truth, noise)


def by_color(mask: np.ndarray, color: np.ndarray) -> np.ndarray:
    return (mask == color).all(axis=-1)


def evaluator(truth: np.ndarray, prediction: np.ndarray) -> float:
    """The definition of mean_iou_evaluate.py: over the whole set, six classes, unknown left out.

    Straight from colors, so that a red pixel is none of the six.
    """
    total = np.float64(0)
    for color in COLORS[:6]:
        t, p = by_color(truth, color), by_color(prediction, color)
        with np.errstate(invalid="ignore"):
            total += np.float64((t & p).sum()) / np.float64(t.sum() + p.sum() - (t & p).sum())
    return float(total / 6)


def matrix_of(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return confusion(decode_mask(truth), decode_mask(prediction), UNKNOWN + 1)


@pytest.mark.parametrize("kinds", [6, 7, 8], ids=["classes", "unknown", "unknown and red"])
@pytest.mark.parametrize("seed", range(20))
def test_miou_is_that_of_the_courses_evaluator(seed: int, kinds: int) -> None:
    truth, prediction = random_masks(seed, COLORS[:kinds])
    matrix = matrix_of(truth, prediction)
    assert dlcv_mean_iou(matrix).value == pytest.approx(evaluator(truth, prediction), abs=1e-12)
    # the same from what is counted of a run: the matrix without unknown, and the predictions there
    t, p = decode_mask(truth), decode_mask(prediction)
    whole = with_ignored_row(
        confusion(t, p, 7, UNKNOWN), ignored_pixel_predictions(t, p, 7, UNKNOWN)
    )
    assert mean_iou(whole, range(6), "nan").value == pytest.approx(evaluator(truth, prediction))
    if kinds > 6:  # a prediction on an unknown pixel is a false positive only there
        assert reprise_mean_iou(matrix).value > dlcv_mean_iou(matrix).value


def test_an_absent_class_is_nan_there_and_left_out_here() -> None:
    truth, prediction = random_masks(0, COLORS[[0, 1, 3, 4, 5, 6]])
    matrix = matrix_of(truth, prediction)
    assert math.isnan(evaluator(truth, prediction)) and math.isnan(dlcv_mean_iou(matrix).value)
    ours = reprise_mean_iou(matrix)
    assert (ours.present, ours.classes) == (5, 6) and 0 < ours.value < 1


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
    ignored = np.array(
        [ignored_pixel_predictions(t, p, 11, 11) for t, p in zip(truth, prediction, strict=True)]
    )
    found = cs6550_scores(images, ignored, list(range(11)))
    assert found == pytest.approx(starter(truth, prediction, 11), abs=1e-12)
    for number, value in enumerate(cs6550_class_ious(images, ignored, list(range(11)))):
        either = [(t == number) | (p == number) for t, p in zip(truth, prediction, strict=True)]
        both = [(t == number) & (p == number) for t, p in zip(truth, prediction, strict=True)]
        own = [b.sum() / e.sum() for b, e in zip(both, either, strict=True) if e.any()]
        expected = np.mean(own) if own else np.nan
        assert value == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_a_class_that_no_image_has_has_no_iou() -> None:
    images, ignored = np.zeros((2, 2, 2), np.int64), np.zeros((2, 2), np.int64)
    images[:, 0, 0] = 5
    found = cs6550_class_ious(images, ignored, [0, 1])
    assert found[0] == 1 and np.isnan(found[1])


def save(folder: Path, name: str, mask: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    Image.fromarray(mask).save(folder / name)


def test_masks_are_paired_by_name_and_an_unpaired_one_is_named(tmp_path: Path) -> None:
    truth, prediction = random_masks(3, COLORS[:6])
    for number in (2, 0, 1):
        save(tmp_path / "g", f"{number:04d}_mask.png", truth[number])
        save(tmp_path / "p", f"{number:04d}_mask.png", prediction[number])
    found = list(mask_pairs(tmp_path / "g", tmp_path / "p"))
    assert len(found) == 3
    for number, (t, p) in enumerate(found):
        assert np.array_equal(t, decode_mask(truth[number]))
        assert np.array_equal(p, decode_mask(prediction[number]))
    save(tmp_path / "g", "0003_mask.png", truth[3])
    with pytest.raises(RepriseError, match=r"g/0003_mask.png: .*p has no mask of this name"):
        list(mask_pairs(tmp_path / "g", tmp_path / "p"))
    save(tmp_path / "p", "0003_mask.png", prediction[3][:8])
    with pytest.raises(RepriseError, match=r"0003_mask.png: \(8, 20\).*its label \(24, 20\)"):
        list(mask_pairs(tmp_path / "g", tmp_path / "p"))
    (tmp_path / "p" / "0003_mask.png").write_bytes(b"not an image")
    with pytest.raises(RepriseError, match=r"0003_mask.png: cannot be decoded"):
        list(mask_pairs(tmp_path / "g", tmp_path / "p"))
    save(tmp_path / "p", "0003_mask.png", prediction[3])
    save(tmp_path / "p", "0003.png", prediction[3])
    with pytest.raises(RepriseError, match=r"p/0003_mask.png: is the mask of the same image as"):
        list(mask_pairs(tmp_path / "g", tmp_path / "p"))


@pytest.mark.parametrize(("label", "predicted"), [
    ("{}_mask.png", "{}.png"),  # as course/2021 and 2022 write them
    ("{}.png", "{}_mask.png"),
    ("{}_mask.PNG", "{}_mask.png"),
])  # fmt: skip
def test_masks_of_every_year_are_paired_and_what_else_lies_there_is_ignored(
    tmp_path: Path, label: str, predicted: str
) -> None:
    truth, prediction = random_masks(5, COLORS[:6])
    for number in range(3):
        save(tmp_path / "g", label.format(f"{number:04d}"), truth[number])
        save(tmp_path / "p", predicted.format(f"{number:04d}"), prediction[number])
        # what macOS writes next to a file, and the satellite image
        (tmp_path / "p" / f"._{number:04d}_mask.png").write_bytes(b"\0\5\x16\7")
        Image.fromarray(truth[number]).save(tmp_path / "g" / f"{number:04d}_sat.jpg")
    (tmp_path / "p" / ".DS_Store").write_bytes(b"x")
    found = list(mask_pairs(tmp_path / "g", tmp_path / "p"))
    assert len(found) == 3
    for number, (t, p) in enumerate(found):
        assert np.array_equal(t, decode_mask(truth[number]))
        assert np.array_equal(p, decode_mask(prediction[number]))


def test_a_folder_that_does_not_exist_or_has_no_mask_is_named(tmp_path: Path) -> None:
    truth, _ = random_masks(6, COLORS[:6])
    save(tmp_path / "g", "0000_mask.png", truth[0])
    with pytest.raises(RepriseError, match=r"/p: not a directory; pass the folder of the masks"):
        list(mask_pairs(tmp_path / "g", tmp_path / "p"))
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "._0000_mask.png").write_bytes(b"x")
    with pytest.raises(RepriseError, match=r"/p: no PNG file in this folder"):
        list(mask_pairs(tmp_path / "g", tmp_path / "p"))


def test_the_command_prints_each_class_and_the_mean_in_both_countings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    truth, prediction = random_masks(4, COLORS[:7])  # some pixels are unknown
    save(tmp_path / "g", "0.png", truth[0])
    save(tmp_path / "p", "0.png", prediction[0])
    arguments = ["-g", str(tmp_path / "g"), "-p", str(tmp_path / "p")]
    monkeypatch.setattr("sys.argv", ["courses", *arguments])
    with caplog.at_level(logging.INFO):
        main()
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(" : ")[0] for line in lines[:6]] == [f"class #{i}" for i in range(6)]
    assert lines[6].startswith("mean_iou: 0.") and "mIoU over 6 of 6 classes" in lines[13]
    scripts, ours = (
        [float(line.split(":")[1].split(",")[0]) for line in part]
        for part in (lines[:6], lines[7:13])
    )
    matrix = matrix_of(truth[:1], prediction[:1])
    assert scripts == pytest.approx(iou(matrix)[:6], abs=1e-5)
    matrix[UNKNOWN] = 0
    assert ours == pytest.approx(iou(matrix)[:6], abs=1e-4)
    assert all(a <= b + 1e-4 for a, b in zip(scripts, ours, strict=True)) and scripts != ours
