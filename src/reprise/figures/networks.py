"""The layer groups of every network, as boxes from left to right."""

import re
from math import log2
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reprise.csv_io import read_csv
from reprise.evaluation.markdown import Missing
from reprise.evaluation.training_tables import KEYS, SHAPE, distinct
from reprise.figures import style
from reprise.params.load import Params

MIN_BOXES = 9  # a row has room for at least this many
WIDTH = 0.86  # of a box; the rest of 1 is the gap to the next
FLAT = 0.16  # height of a vector, where the image has 1
TITLE_LENGTH = 110  # letters
WRAPPERS = re.compile(r"^(backbone|image_encoder|mask_decoder)\.")  # there is no room for them


def networks(results: Path, params: Params, missing: Missing) -> Figure:
    """Draw tables/layers.csv: a row per network that differs from the others."""
    table = read_csv(results / "tables" / "layers.csv", [*KEYS, *SHAPE])
    rows = distinct(table)
    if not rows:
        return style.empty_figure("No runs in params.yaml.")
    boxes = max(MIN_BOXES, *(len(groups) for _, groups in rows))
    figure = style.new_figure(0.72 * (boxes + 1) + 0.2, 1.36 * len(rows) + 0.3)
    grid = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, (names, groups) in zip(grid, rows, strict=True):
        _row(axes, groups, boxes)
        title = style.truncate(f"{groups['model'].iloc[0]}: {names}", TITLE_LENGTH)
        axes.set_title(title, loc="left")
    return figure


def _row(axes: Axes, groups: pd.DataFrame, boxes: int) -> None:
    axes.set(xlim=(-1.05, boxes), ylim=(-1.15, 1.0))
    axes.set_axis_off()
    image = groups["input"].iloc[0]
    total = max(int(groups["multiply_adds"].sum()), 1)
    _box(axes, -1, box_height(image, image), "#eeeeee", ["image", _size(image)])
    shades = mpl.colormaps["Blues"]
    for x, group in enumerate(groups.to_dict("records")):
        counts = [f"{si(group['parameters'])} par.", f"{si(group['multiply_adds'])} m-a"]
        name = style.truncate(WRAPPERS.sub("", str(group["group"])), 15)
        layer = str(group["layers"]).split(", ")[0].replace("convolution", "conv")
        lines = [name, style.truncate(_size(layer), 16), _size(group["output"]), *counts]
        color = shades(0.08 + 0.8 * (group["multiply_adds"] / total))
        _box(axes, x, box_height(group["output"], image), color, lines)


def box_height(output: str, image: str) -> float:
    """Height of a box on a logarithmic scale: 1 for the image's own size, FLAT for a vector.

    `output` and `image` are shapes such as "64 x 16 x 16" (channels, height, width) or "64".
    """
    height, full = (int((size.split(" x ") + ["1"])[1]) for size in (output, image))
    return FLAT + (1 - FLAT) * min(1.0, log2(height) / log2(max(full, 2)))


def si(number: int) -> str:
    """Three digits with the SI prefix k, M or G."""
    for size, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g} {prefix}"
    return str(number)


def _box(axes: Axes, x: float, height: float, color: Any, lines: list[str]) -> None:
    """A box with its left edge at `x`, and lines of text below it."""
    box = Rectangle((x, (1 - height) / 2), WIDTH, height, facecolor=color, edgecolor="#888888")
    axes.add_patch(box)
    look: dict[str, Any] = {"ha": "center", "va": "top", "linespacing": 1.25, "fontsize": 5.6}
    axes.text(x + WIDTH / 2, -0.06, "\n".join(lines), **look)


def _size(size: str) -> str:
    return size.replace(" x ", "\u00d7")
