"""Draws figures by their names, in one style; the files are the same bytes each time."""

import importlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from reprise.errors import RepriseError, did_you_mean
from reprise.evaluation.markdown import Missing
from reprise.figures import figures, specs
from reprise.params.load import Params

# Okabe and Ito 2008, "Color Universal Design": colors that color-blind readers can tell apart,
# without black (the text is black) and yellow (too pale for lines on white).
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
# of classes, whose marks are many: Tol's "muted" colors (personal.sron.nl/~pault) after CYCLE
CLASSES = (*CYCLE, "#332288", "#88CCEE", "#117733", "#999933", "#882255", "#AA4499", "#DDCC77")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
INK = "#222222"
OUTLINE = "#888888"  # of what is only for orientation
GRID_COLOR = "#e4e4e4"  # of lines and of bands behind curves
MAX_PIXELS = 3000  # of a PNG, on each side
GRID = 999_983  # grid lines over the width of a figure, to which the axes are rounded

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same letters everywhere
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.labelsize": 9.0,
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID_COLOR,
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


class Drawn(NamedTuple):
    """A figure in both formats."""

    png: bytes
    svg: bytes


def draw(name: str, results: Path, params: Params, missing: Missing | None = None) -> Drawn:
    """Draw a figure from the files in `results`.

    Args:
        name: one of `figures(params)`.
        results: the results folder.
        params: the configuration of these results.
        missing: collects the files that are missing or cannot be read; a figure of histories,
            predictions or masks shows the rest. None: the first such file raises.

    Raises:
        RepriseError: the name is unknown, or a file that the figure needs is missing or wrong.
    """
    spec = next((spec for spec in specs(params) if spec.name == name), None)
    if spec is None:
        raise RepriseError(f"figure '{name}': unknown; {did_you_mean(name, figures(params))}")
    function = getattr(importlib.import_module(spec.module), spec.kind)
    with figure_style():
        figure = function(results, params, missing or Missing(strict=True), *spec.subject)
        lay_out(figure)
        # no version, host or time in the files
        svg_metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        dpi = min(params.plot.dpi, MAX_PIXELS / max(figure.get_size_inches()))
        return Drawn(
            saved(figure, "png", {"Software": None}, dpi=dpi),
            saved(figure, "svg", svg_metadata),
        )


def saved(figure: Figure, form: str, metadata: dict[str, None], **options: Any) -> bytes:
    """A figure as a file of a format, with metadata of Matplotlib's `savefig` left out."""
    stream = io.BytesIO()
    figure.savefig(stream, format=form, metadata=metadata, **options)
    return stream.getvalue()


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the style of Reprise; the user's own matplotlibrc has no effect."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def new_figure(width: float, height: float) -> Figure:
    """A blank figure of a size in inches, on the Agg canvas, without pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panel_grid(
    count: int, in_row: int, size: tuple[float, float], margin: tuple[float, float]
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, `in_row` in a row; size of one and margin of all in inches."""
    columns = min(in_row, count)
    lines = -(-count // columns)
    figure = new_figure(size[0] * columns + margin[0], size[1] * lines + margin[1])
    grid = list(figure.subplots(lines, columns, squeeze=False).ravel())
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, grid[:count]


def lay_out(figure: Figure) -> None:
    """Run the layout once and round all positions to about a millionth of the figure.

    The solver's last bits differ from run to run, and names inside an SVG depend on them. GRID is
    a prime, so that no simple fraction lies half way between two grid lines.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for subfigure in figure.subfigs:  # finer, so that no image is resampled at another size
        box = subfigure.bbox_relative
        box.set_points(np.round(box.get_points(), 12) + 0.0)
    for axes in figure.axes:
        bounds = np.round(np.array(axes.get_position(original=True).bounds) * GRID) / GRID
        axes.set_position((bounds[0], bounds[1], bounds[2], bounds[3]))


def empty_figure(message: str) -> Figure:
    """A figure without data that says why there is nothing to show."""
    figure = new_figure(6.0, 1.2)
    figure.text(0.5, 0.5, message, ha="center", va="center")
    return figure


def color(position: int) -> str:
    """Color of the n-th line or bar."""
    return CYCLE[position % len(CYCLE)]


def color_and_marker(position: int) -> tuple[str, str]:
    """Color and marker of the n-th class: a color repeats after 14 classes, a pair after 56."""
    return CLASSES[position % len(CLASSES)], MARKERS[position // len(CYCLE) % len(MARKERS)]


def truncate(name: str, length: int) -> str:
    """A name of at most `length` letters; the last one is an ellipsis where it was shortened."""
    return name if len(name) <= length else name[: length - 1] + "\u2026"


def show_image(axes: Axes, pixels: NDArray[np.uint8], note: str = "") -> None:
    """Show an image (H, W, 3) uint8 in a frame, without interpolation, with a note below it."""
    axes.imshow(pixels, interpolation="nearest")
    axes.set_xlabel(note, fontsize=7.5, labelpad=2)
    frame(axes)


def show_missing(axes: Axes, size: tuple[int, ...]) -> None:
    """Fill the cell of an image of `size` (H, W) whose file is missing or cannot be read."""
    axes.text(0.5, 0.5, "missing", ha="center", va="center", transform=axes.transAxes)
    axes.set_box_aspect(size[0] / size[1])
    frame(axes)


def frame(axes: Axes, visible: bool = True) -> None:
    """Axes without ticks, with a line on all four sides or on none."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(visible)


def legend(axes: Axes, **options: Any) -> None:
    """A legend to the right of the axes."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **options)


def unit_axis(axes: Axes, values: Sequence[float]) -> None:
    """Limit the y axis to the range of a share: from 0 to a little above the largest value."""
    top = max([value for value in values if value == value], default=1.0)
    axes.set_ylim(0, min(1.05, 1.12 * top) if top > 0 else 1.0)


def name_rows(axes: Axes, names: list[str], margin: float = 0.6) -> None:
    """The names of the rows, the first one at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - (1 - margin), -margin)
    axes.grid(False, axis="y")


def line(label: str, marker: str = "", **look: Any) -> Line2D:
    """An entry of a legend: a mark, and a line where `ls` is given."""
    return Line2D([], [], label=label, marker=marker, **({"ls": ""} | look))
