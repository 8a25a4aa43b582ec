"""One look for every figure, and PNG and SVG files that are the same bytes each time."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Okabe and Ito 2008, "Color Universal Design": eight colours that colour-blind readers tell apart;
# black first is for text, yellow is too pale for lines on white, so both are left out here.
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
INK = "#222222"
GRID = 999_983  # lines of the grid on which axes are placed, over the width of a figure

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with Matplotlib: the same letters everywhere
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.labelsize": 9.0,
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.parse_math": False,  # a `$` in a class name is a dollar sign
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "reprise",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the house style, whatever the user's own matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, on the Agg canvas and apart from pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def lay_out(figure: Figure) -> None:
    """Place the axes once, to about a millionth of the figure's size.

    The layout's solver gives other last bits from run to run, and SVG names its parts by them. The
    grid is of a prime, so that no simple fraction lies half way between two of its lines.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (
            round(edge * GRID) / GRID for edge in axes.get_position(original=True).bounds
        )
        axes.set_position((left, bottom, width, height))


def png(figure: Figure, dpi: int) -> bytes:
    """The figure as PNG; nothing in it tells the version, the host or the time."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def svg(figure: Figure) -> bytes:
    """The figure as SVG, letters as outlines; nothing in it tells the version, host or time."""
    stream = io.BytesIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(stream, format="svg", metadata=nothing)
    return stream.getvalue()


def notice(message: str) -> Figure:
    """A figure that only says why there is nothing to show."""
    figure = new_figure(6.0, 1.2)
    figure.text(0.5, 0.5, message, ha="center", va="center")
    return figure


def color(position: int) -> str:
    """Colour of the n-th line or bar."""
    return CYCLE[position % len(CYCLE)]


def mark(position: int) -> tuple[str, str]:
    """Colour and marker of the n-th class; the pair repeats only after 7 x 8 classes."""
    return color(position), MARKERS[position // len(CYCLE) % len(MARKERS)]


def cut(name: str, longest: int) -> str:
    """A name of at most `longest` letters, the last one an ellipsis where some were left out."""
    return name if len(name) <= longest else name[: longest - 1] + "\u2026"


def picture(axes: Axes, pixels: NDArray[np.uint8], note: str) -> None:
    """Show an image (H, W, 3) in a frame, pixel by pixel, with a note below it."""
    axes.imshow(pixels, interpolation="nearest")
    axes.set_xlabel(note, fontsize=7.5, labelpad=2)
    _frame(axes)


def missing(axes: Axes, size: tuple[int, ...]) -> None:
    """Mark the place of a picture of `size` (H, W) whose file is missing or cannot be read."""
    axes.text(0.5, 0.5, "missing", ha="center", va="center", transform=axes.transAxes)
    axes.set_box_aspect(size[0] / size[1])
    _frame(axes)


def _frame(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(True)


def unit_axis(axes: Axes, values: Sequence[float]) -> None:
    """Limit the y axis to what a share can be, from 0 to a little above the largest value."""
    top = max([value for value in values if value == value], default=1.0)
    axes.set_ylim(0, min(1.05, 1.12 * top) if top > 0 else 1.0)
