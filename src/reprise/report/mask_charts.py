"""The interactive chart of a segmentation task: image, truth, prediction and errors.

A label map is a table of its runs of equal pixels, so that hovering names a class.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
from PIL import Image

from reprise.datasets.prepared import Bytes, Classes, PreparedDataset
from reprise.evaluation.job_outputs import read_mask
from reprise.evaluation.markdown import Missing
from reprise.evaluation.shown_pixels import shown_pixels
from reprise.jobs import Job
from reprise.params.load import Params
from reprise.params.segment import SegmentTask
from reprise.report.charts import (
    ALL_CLASSES,
    WIDTH,
    Spec,
    choice,
    csv_data,
    data_url,
    opacity,
    specification,
)

EPOCHS = ("early", "middle", "final")  # of the masks
PANELS = ["image", "truth", "prediction", "wrong"]
PLACE = ("run", "image", "panel", "epoch")  # of a label map
NO_CLASS = 255
WHOLE = np.arange(256, dtype=np.uint8)  # labels as they are
PHOTO = 256  # pixels, of the image next to the masks
# of the label maps of a page, of 20 bytes each; with more, maps are shown at 1/2, 1/4, ... of their
# size. A page of 10 MB has room for them and for the figures.
MAX_RUN_LENGTHS = 60_000


def masks(
    results: Path, params: Params, task: str, dataset: PreparedDataset, missing: Missing
) -> Spec | None:
    """Image, truth, prediction, errors: lists of images, runs and classes, a slider of epochs.

    None if the task has no run, seed or image. `missing` collects which masks are missing or cannot
    be read; their panels stay empty.
    """
    block = params.segment[task]
    if not block.runs or not block.seeds or not block.images:
        return None
    colors: dict[str, str] = {}
    maps = _label_maps(results, params, task, dataset, missing, colors)
    step = step_of([ids for _, ids, _ in maps], MAX_RUN_LENGTHS // len(params.segment))
    frames = [
        run_lengths(ids[::step, ::step], codes).assign(**dict(zip(PLACE, place, strict=True)))
        for place, ids, codes in maps
    ]
    for image, image_id in enumerate(block.images):
        pixels, _ = shown_pixels(dataset, image_id, block.recipes[block.runs[0]], WHOLE)
        photo = Image.fromarray(pixels)
        if max(photo.size) <= PHOTO:
            url = data_url(photo, "png", optimize=True)
        else:
            photo.thumbnail((PHOTO, PHOTO))
            url = data_url(photo, "webp", quality=80)
        frames.append(pd.DataFrame({"image": [image], "panel": [0], "url": [url]}))
    rows = pd.concat(frames, ignore_index=True)
    numbers = [column for column in rows.columns if column != "url"]
    data = csv_data(rows.astype(dict.fromkeys(numbers, "Int64")), numbers)
    height, width = maps[0][1][::step, ::step].shape
    chart = _mask_chart(data, block, colors, (height, width))
    text = f"Label maps of {task}: choose image, run, epoch and class below."
    return specification(chart.properties(description=text))


def _label_maps(
    results: Path,
    params: Params,
    task: str,
    dataset: PreparedDataset,
    missing: Missing,
    colors: dict[str, str],
) -> list[tuple[list[int], Bytes, dict[int, int]]]:
    """Every label map of the chart: its place (see PLACE), its ids (H, W), and the codes of them.

    `colors` gets the names of the classes (see `_codes`).
    """
    block, maps = params.segment[task], []
    for position, run in enumerate(block.runs):
        classes, table = dataset.merged(block.recipes[run].merge_classes)
        codes = _codes(classes, colors, run)
        folder = Job("segment", task, run, block.seeds[0]).folder(results) / "masks"
        for image, image_id in enumerate(block.images):
            _, truth = shown_pixels(dataset, image_id, block.recipes[run], table)
            panels = [(1, 0, truth)]
            for epoch, name in enumerate(EPOCHS, 1):
                with missing.collecting("masks"):
                    mask = read_mask(folder / f"{image_id}_{name}.png", truth.shape, classes)
                    panels += [(2, epoch, mask), (3, epoch, errors_only(mask, truth, classes))]
            maps += [([position, image, panel, at], ids, codes) for panel, at, ids in panels]
    return maps


def step_of(maps: Sequence[Bytes], most: int) -> int:
    """The power of 2 by which label maps are thinned so that their lines have `most` runs."""
    step = 1
    while sum(_count_runs(ids[::step, ::step]) for ids in maps) > most and step < 64:
        step *= 2
    return step


def _count_runs(ids: Bytes) -> int:
    return len(ids) + int((ids[:, 1:] != ids[:, :-1]).sum())


def _mask_chart(
    data: alt.InlineData, block: SegmentTask, colors: dict[str, str], size: tuple[int, ...]
) -> alt.FacetChart:
    """The chart of rows of numbers: class, x, length and y of a run of pixels, and whose it is."""
    height, width = size
    side = WIDTH / 1.5
    slider = alt.binding_range(min=1, max=len(EPOCHS), step=1, name="Early, middle, final: ")
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, width], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[height, 0], nice=False))
    photo = (
        alt.Chart()
        .mark_image(width=side, height=side, smooth=False)
        .encode(x=x, y=y, url="url:N")
        .transform_filter("datum.panel == 0")
        .transform_calculate(x=str(width / 2), y=str(height / 2))
    )
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    color = alt.Color("named:N", title="Class", scale=scale)
    tooltip = [alt.Tooltip("named:N", title="class")]
    code_name = f"{json.dumps(list(colors))}[datum.class]"
    regions = (
        alt.Chart()
        .mark_rect()
        .encode(x=x, y=y, x2="x2:Q", y2="y2:Q", color=color, tooltip=tooltip)
        .encode(opacity=opacity("named", 1, 0.1))
        .transform_filter("datum.panel > 0")
        .transform_calculate(x2="datum.x + datum.length", y2="datum.y + 1", named=code_name)
    )
    visible = (
        f"{json.dumps(block.images)}[datum.image] == chosen_image && (datum.panel == 0 || "
        f"({json.dumps(block.runs)}[datum.run] == chosen_run && "
        "(datum.panel == 1 || datum.epoch == chosen_epoch)))"
    )
    return (
        alt.layer(photo, regions, data=data)
        .properties(width=side, height=side)
        .interactive()
        .facet(alt.Facet("title:N", sort=PANELS, title=None), columns=2)
        .transform_filter(visible)
        .transform_calculate(title=f"{json.dumps(PANELS)}[datum.panel]")
        .add_params(
            choice("chosen_image", "Image: ", block.images),
            choice("chosen_run", "Run: ", block.runs),
            alt.param(name="chosen_epoch", value=len(EPOCHS), bind=slider),
            choice("chosen_class", "Class: ", [ALL_CLASSES, *colors]),
        )
    )


def _codes(classes: Classes, colors: dict[str, str], run: str) -> dict[int, int]:
    """id -> position in `colors`, which gets the names; one with another color names its run."""
    codes = {}
    for i in classes.ids:
        color = "#{:02x}{:02x}{:02x}".format(*classes.colors[i])
        name = classes.names[i]
        name = name if colors.get(name, color) == color else f"{name} ({run})"
        colors[name] = color
        codes[i] = list(colors).index(name)
    return codes


def errors_only(mask: Bytes, truth: Bytes, classes: Classes) -> Bytes:
    """The wrong predictions of a mask; NO_CLASS where it is correct or the pixel is ignored."""
    wrong = (mask != truth) & (truth != classes.ignore)
    errors: Bytes = np.where(wrong, mask, NO_CLASS).astype(np.uint8)
    return errors


def run_lengths(ids: Bytes, codes: dict[int, int]) -> pd.DataFrame:
    """Runs of equal pixels in each line of a label map: class, x, length and y, in pixels.

    Ids without a code (the ignored one, or NO_CLASS) are left out.
    """
    rows = []
    for y, line in enumerate(ids):
        edges = [0, *(np.flatnonzero(np.diff(line)) + 1).tolist(), len(line)]
        for start, end in pairwise(edges):
            if int(line[start]) in codes:
                rows.append((codes[int(line[start])], start, end - start, y))
    return pd.DataFrame(rows, columns=["class", "x", "length", "y"])
