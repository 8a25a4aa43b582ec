"""Metrics as the course scripts compute them: DLCV's mean_iou_evaluate.py and CS6550's starter.

`python -m reprise.metrics.courses -g LABELS -p PREDICTIONS` scores two folders of color masks as
the DLCV script does, and as Reprise does. Masks are paired by name, where `0000.png` and
`0000_mask.png` are the same name; the course's script pairs them by sorted order.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reprise.cli import run
from reprise.datasets.classes import UNKNOWN, decode_mask
from reprise.errors import RepriseError
from reprise.images import list_images, read_image
from reprise.metrics.confusion import MeanIoU, confusion, iou, mean_iou

Bytes = NDArray[np.uint8]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def dlcv_mean_iou(matrix: Counts) -> MeanIoU:
    """mIoU as DLCV's mean_iou_evaluate.py computes it, from one matrix of ids 0..6 over all images.

    The mean of IoU over the classes 0 to 5, each tp / (tp + fp + fn) over all images. A class that
    is predicted on an unknown pixel is a false positive. NaN when one of the six is neither in the
    truth nor predicted anywhere: the script divides 0 by 0.
    """
    return mean_iou(matrix, range(UNKNOWN), absent="nan")


def reprise_mean_iou(matrix: Counts) -> MeanIoU:
    """Reprise's mIoU of the same matrix: unknown pixels and absent classes are left out."""
    return mean_iou(known_pixels(matrix), range(UNKNOWN))


def known_pixels(matrix: Counts) -> Counts:
    """The same matrix without the pixels whose truth is unknown."""
    known = matrix.copy()
    known[UNKNOWN] = 0
    return known


def with_ignored_row(images: Counts, ignored: Counts) -> Counts:
    """Confusion matrices with one more row, for the pixels whose truth is ignored.

    From (..., classes, classes), rows = truth, and (..., classes), what was predicted on ignored
    pixels, to (..., classes + 1, classes + 1); the column of the new class is empty. The DLCV
    script counts these predictions as false positives, so its IoU is that of these matrices.
    """
    matrices = np.zeros((*images.shape[:-2], images.shape[-1] + 1, images.shape[-1] + 1), np.int64)
    matrices[..., :-1, :-1] = images
    matrices[..., -1, :-1] = ignored
    return matrices


def cs6550_ious(images: Counts, ignored: Counts, class_ids: list[int]) -> Floats:
    """IoU of each class in each image, (images, class_ids); NaN where an image lacks the class."""
    return iou(with_ignored_row(images, ignored)).take(class_ids, axis=-1)


def cs6550_class_ious(images: Counts, ignored: Counts, class_ids: list[int]) -> Floats:
    """IoU of each class, the mean over the images that have it; NaN where none has."""
    ious = np.ma.masked_invalid(cs6550_ious(images, ignored, class_ids))
    means: Floats = ious.mean(axis=0).filled(np.nan)
    return means


def cs6550_correct(images: Counts, ignored: Counts) -> tuple[Counts, Counts]:
    """Correct pixels and all pixels of each image, (images,) each; ignored pixels are wrong."""
    correct: Counts = np.trace(images, axis1=-2, axis2=-1)
    total: Counts = images.sum(axis=(-2, -1)) + ignored.sum(axis=-1)
    return correct, total


def cs6550_scores(images: Counts, ignored: Counts, class_ids: list[int]) -> tuple[float, float]:
    """mIoU and pixel accuracy as CS6550's starter computes them, image by image.

    The mIoU takes, in each image, the IoU of each class of its truth or its prediction; for each
    class the mean over the images that have it; then the mean over the classes. The accuracy is the
    mean over images of the share of correct pixels. Ignored pixels count against both.

    `images` (n, classes, classes) are the confusion matrices, rows = truth; `ignored` (n, classes)
    is what was predicted where the truth is ignored.
    """
    correct, total = cs6550_correct(images, ignored)
    of_class = cs6550_class_ious(images, ignored, class_ids)
    return float(np.nanmean(of_class)), float((correct / total).mean())


def main() -> None:
    """Score two folders of color masks: print the IoU of each class and the mean, counted twice."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("-g", "--labels", type=Path, required=True, help="folder of true masks")
    parser.add_argument("-p", "--pred", type=Path, required=True, help="folder of predicted masks")
    args = parser.parse_args()
    matrix = np.zeros((UNKNOWN + 1, UNKNOWN + 1), np.int64)
    for truth, prediction in mask_pairs(args.labels, args.pred):
        matrix += confusion(truth, prediction, UNKNOWN + 1)
    for class_id, value in enumerate(iou(matrix)[:UNKNOWN]):
        logging.info("class #%d : %1.5f", class_id, value)
    logging.info("mean_iou: %f (as the course's script)", dlcv_mean_iou(matrix).value)
    for class_id, value in enumerate(iou(known_pixels(matrix))[:UNKNOWN]):
        logging.info("class %d: %.4f, unknown ignored (Reprise's)", class_id, value)
    logging.info("miou: %s, unknown ignored (Reprise's)", reprise_mean_iou(matrix))


def mask_pairs(labels: Path, predictions: Path) -> Iterator[tuple[Bytes, Bytes]]:
    """Label maps (H, W) of the PNG files of two folders, paired by `mask_names`.

    Raises RepriseError as `mask_names` does, for an unpaired mask, or for masks of different sizes.
    """
    truths, predicted = mask_names(labels), mask_names(predictions)
    for name in sorted(truths.keys() ^ predicted.keys()):
        path, other = (truths[name], predictions) if name in truths else (predicted[name], labels)
        raise RepriseError(
            f"{path}: {other} has no mask of this name; every mask must be in both folders"
        )
    for name, path in truths.items():
        truth, prediction = (decode_mask(read_image(p, "RGB")) for p in (path, predicted[name]))
        if truth.shape != prediction.shape:
            raise RepriseError(
                f"{predicted[name]}: {prediction.shape} (height, width), its label "
                f"{truth.shape}; predict it at the label's size"
            )
        yield truth, prediction


def mask_names(folder: Path) -> dict[str, Path]:
    """The PNG files of a folder, by their names without ending and without `_mask`, sorted.

    Hidden files are left out, such as those that macOS writes next to each file (`._0000.png`).
    Raises RepriseError if the folder does not exist or has no mask, or for two files of one name.
    """
    if not folder.is_dir():
        raise RepriseError(f"{folder}: not a directory; pass the folder of the masks")
    masks: dict[str, Path] = {}
    for path in list_images(folder):
        if path.suffix.lower() != ".png":
            continue
        name = path.stem.removesuffix("_mask")
        if name in masks:
            raise RepriseError(f"{path}: is the mask of the same image as {masks[name].name}")
        masks[name] = path
    if not masks:
        raise RepriseError(f"{folder}: no PNG file in this folder; pass the folder of the masks")
    return dict(sorted(masks.items()))


if __name__ == "__main__":
    run(main)
