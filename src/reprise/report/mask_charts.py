"""The label maps of a segmentation task as images: photo, truth, prediction and errors.

A map is a PNG with one pixel for each label, in the colors of the classes; workflow/report/maps.js
shows them and looks the class of a pixel up by its color.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reprise.datasets.prepared import Bytes, Classes, PreparedDataset
from reprise.evaluation.job_outputs import read_mask
from reprise.evaluation.markdown import Missing
from reprise.evaluation.shown_pixels import shown_pixels
from reprise.jobs import Job
from reprise.params.load import Params
from reprise.report.charts import data_url

EPOCHS = ("early", "middle", "final")  # of the masks
PANELS = ("image", "truth", "prediction", "wrong")
WHOLE = np.arange(256, dtype=np.uint8)  # labels as they are
PHOTO = 256  # pixels, of the image next to the masks
UNLABELED = (0, 0, 0)
GRAYS = (224, 192, 160, 128, 96, 64)
APART = 24  # least distance of two colors that are told apart, in one channel
# bytes of all maps of a page; with more, maps are shown at 1/2, 1/4, ... of their size
MAX_BYTES = 1_000_000


def masks(
    results: Path, params: Params, task: str, dataset: PreparedDataset, missing: Missing
) -> dict[str, Any] | None:
    """The maps of a task, for the lists of images, runs, epochs and classes.

    Returns images, epochs and panels, lists of names; runs, the names and colors of the entries of
    the legend by run; crops, which part of the images a run sees; and maps, URLs by
    image/<image>/<crop> or <panel>/<image>/<run>[/<epoch>]. None if the task has no run, seed or
    image. `missing` collects which masks are missing or cannot be read; their panels are empty.
    """
    block = params.segment[task]
    if not block.runs or not block.seeds or not block.images:
        return None
    maps, legends = _maps(results, params, task, dataset, missing)
    budget = MAX_BYTES // len(params.segment)
    step = 1
    urls = {key: map_url(pixels) for key, pixels in maps.items()}
    while sum(map(len, urls.values())) > budget and step < 64:
        step *= 2
        urls = {key: map_url(pixels[::step, ::step]) for key, pixels in maps.items()}
    crops = {run: str(block.recipes[run].augment.crop_pixels or "whole") for run in block.runs}
    # runs with the same crop share a photo
    for crop, run in {crop: run for run, crop in reversed(crops.items())}.items():
        for image in block.images:
            pixels, _ = shown_pixels(dataset, image, block.recipes[run], WHOLE)
            photo = Image.fromarray(pixels)
            photo.thumbnail((PHOTO, PHOTO))
            urls[f"image/{image}/{crop}"] = data_url(photo, "webp", quality=80)
    lists = {"images": block.images, "epochs": list(EPOCHS), "panels": list(PANELS)}
    return lists | {"runs": legends, "crops": crops, "maps": urls}


def _maps(
    results: Path, params: Params, task: str, dataset: PreparedDataset, missing: Missing
) -> tuple[dict[str, Bytes], dict[str, list[tuple[str, str]]]]:
    """Every map of a task as colors (H, W, 3) uint8 by its key, and the legend of each run."""
    block = params.segment[task]
    maps: dict[str, Bytes] = {}
    legends = {}
    for run in block.runs:
        classes, table = dataset.merged(block.recipes[run].merge_classes)
        legends[run] = legend(classes)
        folder = Job("segment", task, run, block.seeds[0]).folder(results) / "masks"
        for image in block.images:
            _, truth = shown_pixels(dataset, image, block.recipes[run], table)
            maps[f"truth/{image}/{run}"] = colorize(truth, classes)
            for epoch in EPOCHS:
                with missing.collecting("masks"):
                    mask = read_mask(folder / f"{image}_{epoch}.png", truth.shape, classes)
                    place = f"{image}/{run}/{epoch}"
                    maps[f"prediction/{place}"] = colorize(mask, classes)
                    maps[f"wrong/{place}"] = errors_only(mask, truth, classes)
    return maps, legends


def map_url(pixels: Bytes) -> str:
    """A map (H, W, 3) of at most 256 colors as a PNG with a palette."""
    colors, numbers = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    image = Image.fromarray(numbers.reshape(pixels.shape[:2]).astype(np.uint8), "L")
    image.putpalette(colors.ravel().tolist())
    return data_url(image, "png", optimize=True)


def legend(classes: Classes) -> list[tuple[str, str]]:
    """Names and colors of the classes, of right pixels and of those without a label."""
    entries = [(classes.names[i], classes.colors[i]) for i in classes.ids]
    entries += [("right", neutral(classes)), ("no label", UNLABELED)]
    return [(name, "#{:02x}{:02x}{:02x}".format(*color)) for name, color in entries]


def colorize(ids: Bytes, classes: Classes) -> Bytes:
    """A label map (H, W) in the colors of its classes, (H, W, 3); others are UNLABELED."""
    palette = np.full((256, 3), UNLABELED, np.uint8)
    for i in classes.ids:
        palette[i] = classes.colors[i]
    painted: Bytes = palette[ids]
    return painted


def errors_only(mask: Bytes, truth: Bytes, classes: Classes) -> Bytes:
    """Wrong predictions in their colors, right ones in a gray that no class has, (H, W, 3)."""
    painted = colorize(mask, classes)
    painted[mask == truth] = neutral(classes)
    painted[truth == classes.ignore] = UNLABELED
    return painted


def neutral(classes: Classes) -> tuple[int, int, int]:
    """The lightest gray that is APART from the color of every class."""
    colors: Sequence[Any] = [*(classes.colors[i] for i in classes.ids), UNLABELED]
    for level in GRAYS:
        if all(max(abs(channel - level) for channel in color) >= APART for color in colors):
            return level, level, level
    return (GRAYS[0],) * 3
