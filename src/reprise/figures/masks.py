"""Named images with their truth and the masks of the early, middle and final epoch.

`masks` shows them in a row for each image, `overlays` each mask and the image under it.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from reprise.atomic_io import read_json
from reprise.datasets.prepared import Bytes, Classes, read_prepared
from reprise.errors import RepriseError
from reprise.evaluation.job_outputs import read_mask
from reprise.evaluation.markdown import Missing
from reprise.evaluation.shown_pixels import shown_pixels
from reprise.figures import style
from reprise.jobs import Job
from reprise.metrics.confusion import confusion, mean_iou, pixel_accuracy
from reprise.params.load import Params

EPOCHS = ("early", "middle", "final")
UNLABELED = (0, 0, 0)
CORRECT = (229, 229, 229)
WRONG = (213, 94, 0)  # differs from CORRECT in lightness too
LEGEND_COLUMNS = 6
LEGEND: dict[str, Any] = {"ncols": LEGEND_COLUMNS, "fontsize": 7.5, "handlelength": 1.2}
WIDTH = 11.0  # inches of the figure of masks
RUNS_IN_ROW = 2
OPACITY = 0.5  # of a mask over its image


def masks(results: Path, params: Params, missing: Missing, task: str) -> Figure:
    """Draw the masks of every image and run of a segmentation task, of the first seed.

    A row for each image, and a block of columns for each run; of more than RUNS_IN_ROW runs, or of
    other classes, further blocks below. `missing` collects which masks are missing or cannot be
    read; the figure marks them.
    """
    block = params.segment[task]
    if not block.runs or not block.seeds or not block.images:
        return style.empty_figure(f"No run, seed or image of segment {task} in params.yaml.")
    dataset = read_prepared(results / "prepare" / block.data)
    merged = {run: dataset.merged(block.recipes[run].merge_classes) for run in block.runs}
    together = _rows_of_runs({run: classes for run, (classes, _) in merged.items()})
    most = max(len(runs) for _, runs in together)
    columns = 2 + most * (len(EPOCHS) + 1)
    row_height = WIDTH / columns + (0.12 if most > 1 else 0.2)
    height = row_height * len(block.images) + 0.55
    heights = [height + 0.1 + 0.19 * -(-len(c.names) // LEGEND_COLUMNS) for c, _ in together]
    figure = style.new_figure(WIDTH, sum(heights))
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for rows_of_runs, (classes, runs) in zip(parts, together, strict=True):
        rows_of_runs.legend(handles=_handles(classes), loc="outside lower center", **LEGEND)
        grid = rows_of_runs.subplots(len(block.images), columns, squeeze=False)
        for cell in grid[:, 2 + len(runs) * (len(EPOCHS) + 1) :].ravel():
            cell.set_axis_off()
        _head(grid[0], runs)
        for line, image in zip(grid, block.images, strict=True):
            line[0].set_ylabel(image, fontsize=8)
            for number, run in enumerate(runs):
                folder = Job("segment", task, run, block.seeds[0]).folder(results) / "masks"
                shown = shown_pixels(dataset, image, block.recipes[run], merged[run][1])
                if number == 0:
                    style.show_image(line[0], shown[0])
                    style.show_image(line[1], colorize(shown[1], classes))
                start = 2 + number * (len(EPOCHS) + 1)
                cells = line[start : start + len(EPOCHS) + 1]
                _row(cells, image, shown[1], classes, folder, missing)
    return figure


def _rows_of_runs(classes: Mapping[str, Classes]) -> list[tuple[Classes, list[str]]]:
    """The runs with the same classes, at most RUNS_IN_ROW together; `classes` are by run."""
    together: list[tuple[Classes, list[str]]] = []
    for run, of_run in classes.items():
        if not together or together[-1][0] != of_run or len(together[-1][1]) == RUNS_IN_ROW:
            together.append((of_run, []))
        together[-1][1].append(run)
    return together


def _head(cells: NDArray[np.object_], runs: Sequence[str]) -> None:
    """The titles of the columns; a run is named above its first mask."""
    titles = ["image", "truth"]
    for run in runs:
        titles += [f"{run}\n{EPOCHS[0]}", *EPOCHS[1:], "wrong"]
    for cell, title in zip(cells, titles, strict=False):
        cell.set_title(title, fontsize=8, loc="left" if "\n" in title else "center")


def overlays(results: Path, params: Params, missing: Missing, task: str) -> Figure:
    """Draw each mask of the task's `overlays` and, to its right, the image with the mask over it.

    Of the first seed, at the early, middle and final epoch, as the 2022 homework does.
    """
    block = params.segment[task]
    shown_runs = [run for run in block.overlays if run in block.runs]
    if not shown_runs or not block.seeds or not block.images:
        return style.empty_figure(f"No run, seed or image of segment {task} in params.yaml.")
    dataset = read_prepared(results / "prepare" / block.data)
    rows = list(product(block.images, shown_runs))
    merged = {run: dataset.merged(block.recipes[run].merge_classes) for run in shown_runs}
    legends = list(dict.fromkeys(classes for classes, _ in merged.values()))
    figure, grid = _grid(10.6, 1.6, len(rows), 2 * len(EPOCHS), legends)
    for line, (image, run) in zip(grid, rows, strict=True):
        folder = Job("segment", task, run, block.seeds[0]).folder(results) / "masks"
        classes, table = merged[run]
        photo, truth = shown_pixels(dataset, image, block.recipes[run], table)
        for (left, right), name in zip(line.reshape(-1, 2), EPOCHS, strict=True):
            mask = None
            with missing.collecting("masks"):
                mask = read_mask(folder / f"{image}_{name}.png", truth.shape, classes)
            if mask is None:
                style.show_missing(left, truth.shape)
                style.show_missing(right, truth.shape)
                continue
            painted = colorize(mask, classes)
            style.show_image(left, painted)
            style.show_image(right, blend(photo, painted))
        line[0].set_ylabel(f"{image}\n{run}", fontsize=8)
    for (left, right), name in zip(grid[0].reshape(-1, 2), EPOCHS, strict=True):
        left.set_title(name)
        right.set_title("over the image")
    return figure


def _grid(
    width: float, row_height: float, rows: int, columns: int, legends: list[Classes]
) -> tuple[Figure, NDArray[np.object_]]:
    """A figure with axes in rows and columns, and a legend for each set of classes below them."""
    heights = [row_height * rows + 0.3]
    heights += [0.1 + 0.19 * -(-len(classes.names) // LEGEND_COLUMNS) for classes in legends]
    figure = style.new_figure(width, sum(heights))
    body, *feet = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for foot, classes in zip(feet, legends, strict=True):
        foot.legend(handles=_handles(classes), loc="center", **LEGEND)
    grid: NDArray[np.object_] = body.subplots(rows, columns, squeeze=False)
    return figure, grid


def blend(photo: Bytes, painted: Bytes) -> Bytes:
    """An image (H, W, 3) under a painted mask of OPACITY."""
    mixed: Bytes = np.rint((1 - OPACITY) * photo + OPACITY * painted).astype(np.uint8)
    return mixed


def _row(
    axes: NDArray[np.object_],
    image: str,
    truth: Bytes,
    classes: Classes,
    folder: Path,
    missing: Missing,
) -> None:
    """The mask of each epoch with its mIoU, and the wrong pixels of the last one.

    A mIoU is of one image, over the classes in its truth or its mask (NaN without a labeled pixel);
    that of a table is of the whole split and is not the mean of these.
    """
    epochs: dict[str, int] = {}
    with missing.collecting("masks"):
        epochs = read_epochs(folder / "epochs.json")
    for cell, name in zip(axes, EPOCHS, strict=False):
        mask = None
        with missing.collecting("masks"):
            mask = read_mask(folder / f"{image}_{name}.png", truth.shape, classes)
        if mask is None:
            style.show_missing(cell, truth.shape)
            continue
        matrix = confusion(truth, mask, len(classes.names), classes.ignore)
        epoch = f"{epochs[name]}: " if epochs else ""
        style.show_image(cell, colorize(mask, classes))
        note = f"{epoch}mIoU {mean_iou(matrix, classes.ids).value:.2f}"
        cell.set_xlabel(note, fontsize=7, labelpad=2)
    if mask is None:
        style.show_missing(axes[-1], truth.shape)
        return
    style.show_image(axes[-1], error_map(truth, mask, classes))
    axes[-1].set_xlabel(f"{100 * (1 - pixel_accuracy(matrix)):.1f} %", fontsize=7, labelpad=2)


def read_epochs(path: Path) -> dict[str, int]:
    """The number of each of EPOCHS. Raises RepriseError when the file is missing or lacks one."""
    epochs: dict[str, int] = read_json(path)
    for name in EPOCHS:
        if name not in epochs:
            raise RepriseError(f"{path}: no epoch for '{name}'; train again")
    return epochs


def error_map(truth: Bytes, mask: Bytes, classes: Classes) -> Bytes:
    """(H, W, 3) uint8: wrong pixels in WRONG, correct ones in CORRECT, unlabeled ones black."""
    correct, wrong = np.array([CORRECT, WRONG], np.uint8)
    pixels: Bytes = np.where((truth == mask)[..., None], correct, wrong)
    pixels[truth == classes.ignore] = UNLABELED
    return pixels


def colorize(mask: Bytes, classes: Classes) -> Bytes:
    """Paint a label map, (H, W) uint8 ids -> (H, W, 3) uint8, in the colors of dataset.json.

    An id that is not of a class (the ignored one) becomes black. Raises RepriseError when a class
    has no color.
    """
    palette = np.full((256, 3), UNLABELED, np.uint8)
    if len(classes.colors) != len(classes.names):
        raise RepriseError("dataset.json: a class has no color; add [red, green, blue] to each")
    palette[: len(classes.colors)] = classes.colors
    return palette[mask]


def _handles(classes: Classes) -> list[Patch]:
    handles = []
    for i, (name, color) in enumerate(zip(classes.names, classes.colors, strict=True)):
        label = f"{name} (ignored)" if i == classes.ignore else name
        red, green, blue = (channel / 255 for channel in color)
        handles.append(Patch(facecolor=(red, green, blue), edgecolor="#888888", label=label))
    return handles
