"""PCA and t-SNE of the features of some epochs: a panel for each epoch, a mark for each class."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from reprise.csv_io import read_csv
from reprise.datasets.prepared import read_prepared
from reprise.evaluation.markdown import Missing
from reprise.figures import METHODS, style
from reprise.params.load import Params

POINTS = ["epoch", "row", "label", "x", "y"]
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
        for i, mark in marks.items():
            points = table[(table["epoch"] == epoch) & (table["label"] == i)]
            if len(points):
                _class(axes, points, classes.names[i], *mark)
        style.frame(axes)  # the axes of both methods have no unit that a reader could use
        axes.set_box_aspect(1)
        axes.set_title(f"epoch {epoch}")
        _quality(axes, layout.loc[epoch], method)
    job = f"{embed.stage} {embed.task}, run {embed.run}, seed {embed.seed}"
    figure.suptitle(f"{METHODS[method]} of the penultimate layer of {job}", fontsize=10)
    handles = [
        Line2D([], [], ls="", color=color, marker=marker, ms=5, label=classes.names[i])
        for i, (color, marker) in marks.items()
    ]
    look: dict[str, Any] = {"handletextpad": 0.1, "columnspacing": 0.9, "fontsize": 7.5}
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, **look)
    return figure


def _class(axes: Axes, points: pd.DataFrame, name: str, color: str, marker: str) -> None:
    """The points of a class, and their mean with its name; a white outline keeps it readable."""
    axes.scatter(points["x"], points["y"], s=9, c=color, marker=marker, alpha=0.55, linewidths=0)
    mean = (float(points["x"].mean()), float(points["y"].mean()))
    axes.plot(*mean, marker, ms=6, mfc=color, mec="black", mew=0.9)
    text = axes.annotate(
        style.truncate(name, 14),
        mean,
        (0, 4),
        textcoords="offset points",
        ha="center",
        fontsize=6.5,
        path_effects=[withStroke(linewidth=2.2, foreground="white")],
    )
    text.set_in_layout(False)  # a long name may reach over the edge; the panels keep their size


def _quality(axes: Axes, row: pd.Series, method: str) -> None:
    """The quality of the layout, below the panel; the share of variance on the axes of PCA."""
    text = f"trustworthiness {row['trustworthiness']:.3f}\n"
    text += f"kNN accuracy {row['knn_layout']:.3f} (features {row['knn_features']:.3f})"
    if method == "pca":
        text = f"{100 * row['variance_x']:.1f} % of the variance\n{text}"
        axes.set_ylabel(f"{100 * row['variance_y']:.1f} %", fontsize=7.5)
    axes.set_xlabel(text, fontsize=7.5)
