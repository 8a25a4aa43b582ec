"""The layer groups of every network, as boxes from left to right."""

import re
import textwrap
from math import log2
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reprise.csv_io import read_csv
from reprise.evaluation.markdown import Missing
from reprise.evaluation.training_tables import KEYS, SHAPE, distinct
from reprise.figures import style
from reprise.params.load import Params

MIN_BOXES = 9  # a row has room for at least this many
INCHES = 0.86  # of a box with the gap to the next
WIDTH = 0.84  # of a box; the rest of 1 is the gap to the next
FLAT = 0.16  # height of a vector, where the image has 1
TITLE_LENGTH = 110  # letters
LETTERS = 14  # of a line below a box
WRAPPERS = re.compile(r"^(backbone|image_encoder|mask_decoder)\.")  # there is no room for them
RESIDUAL = re.compile(r"BasicBlock|Bottleneck|InvertedResidual")  # blocks that add their input
SKIPS = re.compile(r"fcn8s|unet")  # networks whose decoder takes maps of the encoder ...
NO_SKIPS = "noskip"  # ... but for these
DECODER = re.compile(r"(ups|up|decoder)[.\d]")
FCN_SKIPS = 2  # of an FCN-8s; a U-Net has one at each size
MOMENTUM = ("moco_v2", "dino")  # methods with a second network that is a moving average
COLORMAP = "Blues"


def networks(results: Path, params: Params, missing: Missing) -> Figure:
    """Draw tables/layers.csv: a row per network that differs from the others.

    An arc above a box is a residual connection inside it, one from box to box a skip connection; a
    dashed line is below what a target network follows.
    """
    table = read_csv(results / "tables" / "layers.csv", [*KEYS, *SHAPE])
    rows = distinct(table)
    if not rows:
        return style.empty_figure("No runs in params.yaml.")
    boxes = max(MIN_BOXES, *(len(groups) for _, groups in rows))
    figure = style.new_figure(INCHES * (boxes + 1) + 0.9, 1.95 * len(rows) + 0.3)
    grid = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, (names, groups) in zip(grid, rows, strict=True):
        _row(axes, groups, boxes)
        if follows(params, str(groups["stage"].iloc[0]), *groups[["task", "run"]].iloc[0]):
            _target(axes, groups)
        title = style.truncate(f"{groups['model'].iloc[0]}: {names}", TITLE_LENGTH)
        axes.set_title(title, loc="left")
    shades = ScalarMappable(Normalize(0, 100), LinearSegmentedColormap.from_list("", _shades()))
    bar = figure.colorbar(shades, ax=list(grid), fraction=0.012, pad=0.01, aspect=40, shrink=0.5)
    bar.set_label("% of the network's multiply-adds", fontsize=8)
    return figure


def _shades() -> list[Any]:
    return [_shade(share) for share in np.linspace(0, 1, 32)]


def _shade(share: float) -> Any:
    """The color of a group by its share of the multiply-adds, 0..1."""
    return mpl.colormaps[COLORMAP](0.06 + 0.7 * share)


def _row(axes: Axes, groups: pd.DataFrame, boxes: int) -> None:
    axes.set(xlim=(-1.05, boxes), ylim=(-1.35, 1.5))
    axes.set_axis_off()
    image = groups["input"].iloc[0]
    total = max(int(groups["multiply_adds"].sum()), 1)
    _box(axes, -1, box_height(image, image), "#eeeeee", ["image", _size(image)])
    for x, group in enumerate(groups.to_dict("records")):
        counts = [f"{si(group['parameters'])} par.", f"{si(group['multiply_adds'])} MAdds"]
        name = WRAPPERS.sub("", str(group["group"]))
        layer = str(group["layers"]).split(", ")[0].replace("convolution", "conv")
        layer = layer.replace("InvertedResidual", "inv. residual").replace("Depthwise", "depthw. ")
        described = textwrap.wrap(_size(layer), LETTERS)[:2]
        lines = [style.truncate(name, LETTERS), *described, _size(group["output"]), *counts]
        height = box_height(group["output"], image)
        _box(axes, x, height, _shade(group["multiply_adds"] / total), lines)
        if RESIDUAL.search(str(group["layers"])):
            _arc(axes, x + 0.12, x + WIDTH - 0.12, (1 + height) / 2, 0.2, style.CYCLE[2])
    for start, end in skips(groups):
        top = max((1 + box_height(groups["output"].iloc[k], image)) / 2 for k in (start, end))
        _arc(axes, start + WIDTH / 2, end + WIDTH / 2, top, 0.42, style.CYCLE[1])


def skips(groups: pd.DataFrame) -> list[tuple[int, int]]:
    """The skip connections of a network: places of the encoder's and of the decoder's groups.

    A decoder takes the last map of the encoder that has its size.
    """
    model = str(groups["model"].iloc[0])
    if not SKIPS.search(model) or NO_SKIPS in model:
        return []
    names = groups["group"].astype(str).tolist()
    sizes = [str(size).split(" x ")[1:] for size in groups["output"]]
    first = next((i for i, name in enumerate(names) if DECODER.match(name)), len(names))
    pairs = []
    for end in range(first, len(names)):
        if DECODER.match(names[end]) and sizes[end] in sizes[:first]:
            pairs.append((first - 1 - sizes[:first][::-1].index(sizes[end]), end))
    return pairs[:FCN_SKIPS] if "fcn8s" in model else pairs


def follows(params: Params, stage: str, task: str, run: str) -> bool:
    """Whether a target network follows the network of a run, as a moving average."""
    if stage != "pretrain":
        return False
    recipe = params.pretrain[task].recipes[run]
    return recipe.method in MOMENTUM or bool(getattr(recipe, "use_momentum", False))


def _target(axes: Axes, groups: pd.DataFrame) -> None:
    """A dashed line below the boxes that a target network has too: all but the predictor."""
    end = sum(not str(name).startswith("predictor") for name in groups["group"]) - 1 + WIDTH
    axes.plot([0, end], [-1.22] * 2, ls="--", lw=1.2, color=style.CYCLE[1])
    text = "target network: a moving average of these layers, without a gradient"
    axes.text(end / 2, -1.25, text, ha="center", va="top", fontsize=7, color=style.CYCLE[1])


def _arc(axes: Axes, start: float, end: float, top: float, rise: float, color: str) -> None:
    """An arrow over boxes."""
    path = [(start, top), (start, top + rise), (end, top + rise), (end, top + 0.02)]
    axes.plot(*zip(*path[:3], strict=True), color=color, lw=1.1)
    arrow: dict[str, Any] = {
        "arrowstyle": "->",
        "color": color,
        "lw": 1.1,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes.annotate("", path[3], path[2], arrowprops=arrow)


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
    look: dict[str, Any] = {"ha": "center", "va": "top", "linespacing": 1.25, "fontsize": 6.3}
    axes.text(x + WIDTH / 2, -0.06, "\n".join(lines), **look)


def _size(size: str) -> str:
    return size.replace(" x ", "\u00d7")
