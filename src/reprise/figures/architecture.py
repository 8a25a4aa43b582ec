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

from reprise.evaluation.architecture import KEYS, SHAPE, distinct
from reprise.evaluation.prepared import read_table
from reprise.figures import style

LEAST = 9  # boxes that a row has room for
WIDTH = 0.86  # of a box; the rest of 1 is the gap to the next
FLAT = 0.16  # height of a vector, where the image is 1
LONGEST = 110  # letters of a title
WRAPPERS = re.compile(r"^(backbone|image_encoder|mask_decoder)\.")  # there is no room for them


def architecture(results: Path) -> Figure:
    """Draw tables/layers.csv: a row for each network that differs from the others."""
    table = read_table(results / "tables" / "layers.csv", [*KEYS, *SHAPE], ["setting"])
    rows = distinct(table)
    if not rows:
        return style.notice("No run in params.yaml.")
    longest = max(LEAST, *(len(groups) for _, groups in rows))
    figure = style.new_figure(0.72 * (longest + 1) + 0.2, 1.36 * len(rows) + 0.3)
    grid = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, (names, groups) in zip(grid, rows, strict=True):
        _boxes(axes, groups, longest)
        axes.set_title(style.cut(f"{groups['model'].iloc[0]}: {names}", LONGEST), loc="left")
        axes.title.set_fontsize(7.5)
    return figure


def _boxes(axes: Axes, groups: pd.DataFrame, longest: int) -> None:
    axes.set(xlim=(-1.05, longest), ylim=(-1.15, 1.0))
    axes.set_axis_off()
    image = groups["input"].iloc[0]
    whole = max(int(groups["multiply_adds"].sum()), 1)
    _box(axes, -1, height(image, image), "#eeeeee")
    _words(axes, -1, ["image", _size(image)])
    shades = mpl.colormaps["Blues"]
    for place, group in enumerate(groups.to_dict("records")):
        share = group["multiply_adds"] / whole
        _box(axes, place, height(group["output"], image), shades(0.08 + 0.8 * share))
        numbers = [f"{short(group['parameters'])} par.", f"{short(group['multiply_adds'])} m-a"]
        name = style.cut(WRAPPERS.sub("", str(group["group"])), 15)
        what = str(group["layers"]).split(", ")[0].replace("convolution", "conv")
        _words(axes, place, [name, style.cut(_size(what), 16), _size(group["output"]), *numbers])


def height(output: str, image: str) -> float:
    """Height of a box, on a logarithmic scale: 1 for the image's own size, FLAT for a vector."""
    tall, whole = (int((size.split(" x ") + ["1"])[1]) for size in (output, image))
    return FLAT + (1 - FLAT) * min(1.0, log2(tall) / log2(max(whole, 2)))


def short(number: int) -> str:
    """Three digits with the prefix of a thousand, a million or a thousand millions."""
    for size, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g} {prefix}"
    return str(number)


def _box(axes: Axes, place: float, tall: float, color: Any) -> None:
    box = Rectangle((place, (1 - tall) / 2), WIDTH, tall, facecolor=color, edgecolor="#888888")
    axes.add_patch(box)


def _words(axes: Axes, place: float, lines: list[str]) -> None:
    look: dict[str, Any] = {"ha": "center", "va": "top", "linespacing": 1.25, "fontsize": 5.6}
    axes.text(place + WIDTH / 2, -0.06, "\n".join(lines), **look)


def _size(size: str) -> str:
    return size.replace(" x ", "\u00d7")
