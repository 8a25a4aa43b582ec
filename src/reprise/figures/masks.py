"""Named images with their truth and the masks of the early, middle and final epoch."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from reprise.errors import RepriseError
from reprise.evaluation.confusion import confusion, mean_iou, pixel_accuracy
from reprise.evaluation.holes import Holes
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


class Job(NamedTuple):
    """A row: an image, and the run whose masks of it are shown; `merge` is the run's."""

    part: str
    run: str
    image: str
    merge: int | None


def masks(results: Path, params: Params, part: str, holes: Holes) -> Figure:
    """Draw results/<part>/<run>/<seed>/masks for every run and its first seed.

    Args:
        results: the results folder.
        params: for the runs, the images and the data set.
        part: "segment" or "street".
        holes: learn which masks are missing or cannot be read; the figure says so there.
    """
    block = params.segment if part == "segment" else params.street
    if not block.runs or not block.seeds or not block.images:
        return style.notice(f"No run, seed or image of {part} in params.yaml.")
    prepared = read_prepared(results / "prepare" / block.data)
    jobs = [
        Job(part, run, image, block.recipes[run].merge)
        for image in block.images
        for run in block.runs
    ]
    sets = list(dict.fromkeys(prepared.merged(job.merge)[0] for job in jobs))
    heights = [1.66 * len(jobs) + 0.3] + [0.1 + 0.19 * _lines(labels) for labels in sets]
    figure = style.new_figure(9.4, sum(heights))
    body, *feet = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    grid = body.subplots(len(jobs), 3 + len(MOMENTS), squeeze=False)
    for axes, job in zip(grid, jobs, strict=True):
        folder = results / part / job.run / str(block.seeds[0]) / "masks"
        _row(axes, folder, prepared, job, holes)
        axes[0].set_ylabel(f"{job.image}\n{job.run}", fontsize=8)
    for axes, title in zip(grid[0], ("image", "truth", *MOMENTS, "wrong at the end"), strict=True):
        axes.set_title(title)
    for foot, labels in zip(feet, sets, strict=True):
        foot.legend(
            handles=_handles(labels), loc="center", ncols=COLUMNS, fontsize=7.5, handlelength=1.2
        )
    return figure


def _row(
    axes: NDArray[np.object_], folder: Path, prepared: Prepared, job: Job, holes: Holes
) -> None:
    """The image, its truth, the mask of each moment, and what is wrong in the last one."""
    labels, table = prepared.merged(job.merge)
    row = prepared.row(job.image)
    truth = table[prepared.truth()[row]]
    style.picture(axes[0], np.asarray(prepared.images()[row]), "")
    style.picture(axes[1], paint(truth, labels), "")
    epochs: dict[str, int] = {}
    with holes.leave_out(job.part):
        epochs = read_epochs(folder / "epochs.json")
    for one, moment in zip(axes[2:], MOMENTS, strict=False):
        mask = None
        with holes.leave_out(job.part):
            mask = read_mask(folder / f"{job.image}_{moment}.png", truth.shape, labels)
        if mask is None:
            style.missing(one, truth.shape)
            continue
        epoch = f"epoch {epochs[moment]}, " if epochs else ""
        note = f"{epoch}mIoU {image_miou(truth, mask, labels):.3f}"
        style.picture(one, paint(mask, labels), note)
    if mask is None:
        style.missing(axes[-1], truth.shape)
        return
    matrix = confusion(truth, mask, len(labels.names), labels.ignore)
    note = f"{100 * (1 - pixel_accuracy(matrix)):.1f} % of the pixels"
    style.picture(axes[-1], errors(truth, mask, labels), note)


def read_epochs(path: Path) -> dict[str, int]:
    """The epoch of each of MOMENTS. Raises RepriseError when the file is missing or lacks one."""
    epochs: dict[str, int] = read_json(path)
    for moment in MOMENTS:
        if moment not in epochs:
            raise RepriseError(f"{path}: no epoch for '{moment}'; train again")
    return epochs


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
