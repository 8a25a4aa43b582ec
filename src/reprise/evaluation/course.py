"""The courses' own metrics, as their scripts count, beside those of this project.

`python -m reprise.evaluation.course -g LABELS -p PREDICTIONS` scores two folders of colour masks.
Masks are paired by name; the course's script pairs them by sorted order.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reprise.cli import run
from reprise.errors import RepriseError
from reprise.evaluation.confusion import MeanIoU, confusion, iou, mean_iou
from reprise.palette import UNKNOWN, decode_mask

CLASSES = UNKNOWN  # ids 0 to 5 are averaged
Maps = NDArray[np.uint8]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def main() -> None:
    """Print the IoU of each class and both means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-g", "--labels", type=Path, required=True, help="folder of true masks")
    parser.add_argument("-p", "--pred", type=Path, required=True, help="folder of predicted masks")
    given = parser.parse_args()
    matrix = np.zeros((UNKNOWN + 1, UNKNOWN + 1), np.int64)
    for truth, prediction in pairs(given.labels, given.pred):
        matrix += confusion(truth, prediction, UNKNOWN + 1)
    for number, value in enumerate(iou(matrix)[:CLASSES]):
        logging.info("class #%d : %1.5f", number, value)
    logging.info("mean_iou: %f (as the course's script)", dlcv_mean_iou(matrix).value)
    logging.info("miou: %s, unknown ignored (this project's)", own_mean_iou(matrix))


def dlcv_mean_iou(matrix: NDArray[np.int64]) -> MeanIoU:
    """mIoU as DLCV's mean_iou_evaluate.py counts it, from a whole set's matrix of ids 0..6.

    The mean of IoU over the classes 0 to 5, each tp / (tp + fp + fn) over the whole set. A class
    that is predicted on an unknown pixel is a false positive. NaN when one of the six is neither
    in the truth nor predicted anywhere: the script divides 0 by 0.
    """
    return mean_iou(matrix, range(CLASSES), absent="nan")


def own_mean_iou(matrix: NDArray[np.int64]) -> MeanIoU:
    """This project's mIoU of the same matrix: unknown pixels do not count, nor absent classes."""
    known = matrix.copy()
    known[UNKNOWN] = 0
    return mean_iou(known, range(CLASSES))


def with_void(images: Counts, void: Counts) -> Counts:
    """Confusion matrices with a row more, of the pixels whose truth is ignored.

    Args:
        images: (..., classes, classes), rows = truth.
        void: (..., classes), what was answered on ignored pixels.

    Returns:
        (..., classes + 1, classes + 1); the column of the new class is empty. DLCV's script counts
        these answers as false positives, so its IoU is that of these matrices.
    """
    made = np.zeros((*images.shape[:-2], images.shape[-1] + 1, images.shape[-1] + 1), np.int64)
    made[..., :-1, :-1] = images
    made[..., -1, :-1] = void
    return made


def cs6550_ious(images: Counts, void: Counts, declared: list[int]) -> Floats:
    """IoU of each declared class in each image, (images, declared); NaN where an image lacks it."""
    return np.array([iou(matrix)[declared] for matrix in with_void(images, void)])


def cs6550_class_ious(images: Counts, void: Counts, declared: list[int]) -> Floats:
    """IoU of each declared class, the mean over the images that have it; NaN where none has."""
    ious = cs6550_ious(images, void, declared)
    seen = (~np.isnan(ious)).sum(axis=0)
    none = np.full(seen.shape, np.nan)
    means: Floats = np.divide(np.nansum(ious, axis=0), seen, out=none, where=seen > 0)
    return means


def cs6550_right(images: Counts, void: Counts) -> tuple[Counts, Counts]:
    """Right pixels and all pixels of each image, (images,) each; those of void are wrong."""
    right: Counts = np.trace(images, axis1=-2, axis2=-1)
    whole: Counts = images.sum(axis=(-2, -1)) + void.sum(axis=-1)
    return right, whole


def cs6550_scores(images: Counts, void: Counts, declared: list[int]) -> tuple[float, float]:
    """mIoU and pixel accuracy as CS6550's starter counts them: image by image.

    Of each image the IoU of each class that stands in its truth or its prediction; of each class
    the mean over the images that have it; of these the mean over the classes. The accuracy is the
    mean over images of the share of right pixels. Void pixels count against both.

    Args:
        images: (n, classes, classes), the confusion matrix of each image, rows = truth.
        void: (n, classes), what was answered where the truth is void.
        declared: the ids that are averaged.
    """
    of_class = cs6550_class_ious(images, void, declared)
    right, whole = cs6550_right(images, void)
    return float(np.nanmean(of_class)), float((right / whole).mean())


def pairs(labels: Path, predictions: Path) -> list[tuple[Maps, Maps]]:
    """Label maps of the *.png of two folders, paired by name.

    Raises RepriseError for a name that one of them lacks, or for masks of different sizes.
    """
    names = [{path.name for path in folder.glob("*.png")} for folder in (labels, predictions)]
    for name in sorted(names[0] ^ names[1]):
        lacking = predictions if name in names[0] else labels
        raise RepriseError(f"{lacking / name}: not found; every mask needs its other")
    if not names[0]:
        raise RepriseError(f"{labels}: no *.png in this folder; name the folder of the masks")
    found = []
    for name in sorted(names[0]):
        truth, prediction = _read(labels / name), _read(predictions / name)
        if truth.shape != prediction.shape:
            raise RepriseError(
                f"{predictions / name}: {prediction.shape} (height, width), its label "
                f"{truth.shape}; predict it at the label's size"
            )
        found.append((truth, prediction))
    return found


def _read(path: Path) -> Maps:
    try:
        with Image.open(path) as image:
            return decode_mask(np.asarray(image.convert("RGB")))
    except (OSError, SyntaxError, ValueError) as error:
        raise RepriseError(f"{path}: does not decode as an image ({error}); replace it") from None


if __name__ == "__main__":
    run(main)
