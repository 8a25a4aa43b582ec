"""Named images with their truth and the masks of the early, middle and final epoch."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from reprise.errors import RepriseError
from reprise.evaluation.confusion import confusion, mean_iou, pixel_accuracy
from reprise.evaluation.predictions import read_mask
from reprise.evaluation.prepared import Labels, Prepared, read_prepared
from reprise.figures import style
from reprise.files import read_json
from reprise.params import Params

MOMENTS = ("early", "middle", "final")
UNLABELLED = (0, 0, 0)
RIGHT = (229, 229, 229)
WRONG = (213, 94, 0)  # told from RIGHT by lightness too
Mask = NDArray[np.uint8]
COLUMNS = 6  # of the legend


def masks(results: Path, params: Params, part: str) -> Figure:
    """Draw results/<part>/<run>/<seed>/masks for every run and its first seed.

    Args:
        results: the results folder.
        params: for the runs, the images and the data set.
        part: "segment" or "street".
    """
    block = params.segment if part == "segment" else params.street
    if not block.runs or not block.seeds or not block.images:
        return style.notice(f"No run, seed or image of {part} in params.yaml.")
    prepared = read_prepared(results / "prepare" / block.data)
    jobs = [(image, run) for image in block.images for run in block.runs]
    sets = list(dict.fromkeys(prepared.merged(block.recipes[run].merge)[0] for run in block.runs))
    heights = [1.66 * len(jobs) + 0.3] + [0.1 + 0.19 * _lines(labels) for labels in sets]
    figure = style.new_figure(9.4, sum(heights))
    body, *feet = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    grid = body.subplots(len(jobs), 3 + len(MOMENTS), squeeze=False)
    for axes, (image, run) in zip(grid, jobs, strict=True):
        folder = results / part / run / str(block.seeds[0]) / "masks"
        _row(axes, folder, prepared, image, block.recipes[run].merge)
        axes[0].set_ylabel(f"{image}\n{run}", fontsize=8)
    for axes, title in zip(grid[0], ("image", "truth", *MOMENTS, "wrong at the end"), strict=True):
        axes.set_title(title)
    for foot, labels in zip(feet, sets, strict=True):
        foot.legend(
            handles=_handles(labels), loc="center", ncols=COLUMNS, fontsize=7.5, handlelength=1.2
        )
    return figure


def _row(
    axes: NDArray[np.object_], folder: Path, prepared: Prepared, image: str, merge: int | None
) -> None:
    labels, table = prepared.merged(merge)
    row = prepared.row(image)
    truth = table[prepared.truth()[row]]
    epochs = read_json(folder / "epochs.json")
    pictures = [np.asarray(prepared.images()[row]), paint(truth, labels)]
    notes = ["", ""]
    for moment in MOMENTS:
        if moment not in epochs:
            raise RepriseError(f"{folder / 'epochs.json'}: no epoch for '{moment}'; train again")
        mask = read_mask(folder / f"{image}_{moment}.png", truth.shape, labels)
        pictures.append(paint(mask, labels))
        notes.append(f"epoch {epochs[moment]}, mIoU {image_miou(truth, mask, labels):.3f}")
    pictures.append(errors(truth, mask, labels))
    matrix = confusion(truth, mask, len(labels.names), labels.ignore)
    notes.append(f"{100 * (1 - pixel_accuracy(matrix)):.1f} % of the pixels")
    for one, picture, note in zip(axes, pictures, notes, strict=True):
        _show(one, picture, note)


def _show(axes: Axes, picture: NDArray[np.uint8], note: str) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(note, fontsize=7.5, labelpad=2)
    axes.grid(False)
    axes.spines[:].set_visible(True)


def image_miou(truth: Mask, mask: Mask, labels: Labels) -> float:
    """mIoU of one image, over the classes that are in its truth or its mask; NaN without a label.

    The mIoU of a table is of the whole role instead, and is not the mean of these.
    """
    matrix = confusion(truth, mask, len(labels.names), labels.ignore)
    return mean_iou(matrix, labels.declared).value


def errors(truth: Mask, mask: Mask, labels: Labels) -> Mask:
    """(H, W, 3) uint8: wrong pixels in WRONG, right ones in RIGHT, those without a label black."""
    right, wrong = np.array([RIGHT, WRONG], np.uint8)
    picture: Mask = np.where((truth == mask)[..., None], right, wrong)
    picture[truth == labels.ignore] = UNLABELLED
    return picture


def paint(mask: NDArray[np.uint8], labels: Labels) -> NDArray[np.uint8]:
    """Colour a label map with the palette of dataset.json.

    Args:
        mask: (H, W) uint8 ids.
        labels: the classes; an id without a colour (the ignored one) becomes black.

    Returns:
        (H, W, 3) uint8.
    """
    palette = np.full((256, 3), UNLABELLED, np.uint8)
    if len(labels.colors) != len(labels.names):
        raise RepriseError("dataset.json: a class has no color; add [red, green, blue] to each")
    palette[: len(labels.colors)] = labels.colors
    return palette[mask]


def _lines(labels: Labels) -> int:
    return -(-len(labels.names) // COLUMNS)


def _handles(labels: Labels) -> list[Patch]:
    handles = []
    for i in range(len(labels.names)):
        red, green, blue = (channel / 255 for channel in labels.colors[i])
        note = " (does not count)" if i == labels.ignore else ""
        handles.append(
            Patch(facecolor=(red, green, blue), edgecolor="#888888", label=labels.names[i] + note)
        )
    return handles
