"""PCA and t-SNE of the features of some epochs: a panel for each epoch, a mark for each class."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from reprise.csv_io import read_csv
from reprise.datasets.prepared import read_prepared
from reprise.evaluation.markdown import Missing
from reprise.figures import METHODS, style
from reprise.params.load import Params

POINTS = ["epoch", "row", "label", "x", "y"]
LETTER, LINE = 0.023, 0.044  # width of a letter and height of a line, in widths of a panel
# where a name may be, from its point, in widths of a panel: first near, then further away
PLACES = [
    (round(reach * x, 3), round(reach * y, 3))
    for reach in (0.04, 0.09, 0.14, 0.2)
    for x, y in ((0, 1), (0, -1), (1, 0.6), (-1, 0.6), (1, -0.6), (-1, -0.6))
]
LAYOUT = ["epoch", "trustworthiness", "knn_layout", "knn_features", "variance_x", "variance_y"]


def pca(results: Path, params: Params, missing: Missing, name: str) -> Figure:
    """Draw results/embed/<name>/pca.csv."""
    return _embedding(results, params, "pca", name)


def tsne(results: Path, params: Params, missing: Missing, name: str) -> Figure:
    """Draw results/embed/<name>/tsne.csv."""
    return _embedding(results, params, "tsne", name)


def _embedding(results: Path, params: Params, method: str, name: str) -> Figure:
    embed = params.embed[name]
    folder = results / "embed" / name
    table = read_csv(folder / f"{method}.csv", POINTS)
    layout = read_csv(folder / f"{method}.layout.csv", LAYOUT).set_index("epoch")
    task = getattr(params, embed.stage)[embed.task]
    classes = read_prepared(results / "prepare" / task.data).classes
    epochs = sorted(table["epoch"].unique().tolist())
    width = max(3.1 * len(epochs), 6.2)
    ids = [i for i in classes.ids if (table["label"] == i).any()]
    marks = {i: style.color_and_marker(position) for position, i in enumerate(ids)}
    columns = int(width // 1.75)
    figure = style.new_figure(width, 3.9 + 0.19 * -(-len(ids) // columns))
    for axes, epoch in zip(figure.subplots(1, len(epochs), squeeze=False)[0], epochs, strict=True):
        points = table[table["epoch"] == epoch]
        for i, (color, marker) in marks.items():
            of_class = points[points["label"] == i]
            look: dict[str, Any] = {"s": 10, "alpha": 0.6, "linewidths": 0}
            axes.scatter(of_class["x"], of_class["y"], c=color, marker=marker, **look)
        style.frame(axes)  # the axes of both methods have no unit that a reader could use
        axes.set_box_aspect(1)
        _name_classes(axes, points, {i: (classes.names[i], *mark) for i, mark in marks.items()})
        axes.set_title(f"epoch {epoch}")
        _quality(axes, layout.loc[epoch], method)
    images = int((table["epoch"] == epochs[0]).sum())
    job = f"{embed.stage} {embed.task}, run {embed.run}, seed {embed.seed}"
    title = f"{METHODS[method]} of the penultimate layer of {job}"
    figure.suptitle(f"{title}\n{images} images of the {embed.split} split", fontsize=9.5)
    handles = [
        Line2D([], [], ls="", color=color, marker=marker, ms=5, label=classes.names[i])
        for i, (color, marker) in marks.items()
    ]
    look = {"handletextpad": 0.1, "columnspacing": 0.9, "fontsize": 7.5}
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, **look)
    return figure


def _name_classes(
    axes: Axes, points: pd.DataFrame, classes: Mapping[int, tuple[str, str, str]]
) -> None:
    """The name of each class at its medoid, where no other name is; `classes`: name, color, marker.

    A name that has no room is left to the legend.
    """
    low, high = points[["x", "y"]].min(), points[["x", "y"]].max()
    axes.set(xlim=_margins(low["x"], high["x"]), ylim=_margins(low["y"], high["y"]))
    taken: list[tuple[float, float, float, float]] = []
    for label, (name, color, marker) in classes.items():
        of_class = points.loc[points["label"] == label, ["x", "y"]].to_numpy()
        if not len(of_class):
            continue
        at = of_class[medoid(of_class)]
        axes.plot(*at, marker, ms=6, mfc=color, mec="black", mew=0.9)
        text = style.truncate(name, 14)
        middle = axes.transLimits.transform(at)
        for dx, dy in PLACES:
            box = _box(middle[0] + dx, middle[1] + dy, len(text))
            inside = box[1] > 0 and box[3] < 1
            if inside and all(_apart(box, other) for other in taken):
                taken.append(box)
                place = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
                _text(axes, text, at, place)
                break


def medoid(points: NDArray[np.float64]) -> int:
    """The number of the point (n, 2) with the least sum of distances to the others."""
    between = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    return int(between.sum(axis=1).argmin())


def _margins(low: float, high: float) -> tuple[float, float]:
    edge = 0.06 * (high - low or 1.0)
    return low - edge, high + edge


def _box(x: float, y: float, letters: int) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a name, moved inside the panel; in its widths."""
    half = letters * LETTER / 2
    x = min(max(x, half), 1 - half)
    return x - half, y - LINE / 2, x + half, y + LINE / 2


def _apart(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    return bool(one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1])


def _text(axes: Axes, text: str, at: NDArray[np.float64], place: tuple[float, float]) -> None:
    """A name at a place of the panel, with a line to its point; an outline keeps it readable."""
    drawn = axes.annotate(
        text,
        (float(at[0]), float(at[1])),
        place,
        textcoords="axes fraction",
        ha="center",
        va="center",
        fontsize=6.5,
        arrowprops={"arrowstyle": "-", "lw": 0.5, "color": style.INK, "shrinkA": 0, "shrinkB": 3},
        path_effects=[withStroke(linewidth=2.2, foreground="white")],
    )
    drawn.set_in_layout(False)  # the panels keep their size


def _quality(axes: Axes, row: pd.Series, method: str) -> None:
    """The quality of the layout, below the panel; the share of variance on the axes of PCA."""
    text = f"trustworthiness {row['trustworthiness']:.3f}\n"
    text += f"kNN accuracy {row['knn_layout']:.3f} (features {row['knn_features']:.3f})"
    if method == "pca":
        text = f"PC1, {100 * row['variance_x']:.1f} % of the variance\n{text}"
        axes.set_ylabel(f"PC2, {100 * row['variance_y']:.1f} % of the variance", fontsize=7.5)
    axes.set_xlabel(text, fontsize=7.5)
