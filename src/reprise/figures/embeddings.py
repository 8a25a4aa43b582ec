"""PCA and t-SNE coordinates of named epochs, one panel an epoch, one mark a class."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from reprise.evaluation.prepared import Labels, read_prepared, read_table
from reprise.figures import style
from reprise.figures.style import cut
from reprise.params import Params

METHODS = {"pca": "PCA", "tsne": "t-SNE"}
LAYOUT = ["trustworthiness", "knn_layout", "knn_features", "variance_x", "variance_y"]


def embeddings(results: Path, params: Params, method: str, source: str) -> Figure:
    """Draw results/embed/<source>/<method>.csv.

    Args:
        results: the results folder.
        params: for the data set of `source` and the run that is shown.
        method: "pca" or "tsne".
        source: "classify" or "finetune".
    """
    table = read_table(
        results / "embed" / source / f"{method}.csv", ["epoch", "row", "label", "x", "y"]
    )
    layout = read_table(
        results / "embed" / source / f"{method}.layout.csv", ["epoch", *LAYOUT]
    ).set_index("epoch")
    block = params.finetune if source == "finetune" else params.classify
    labels = read_prepared(results / "prepare" / block.data).labels
    epochs = sorted(table["epoch"].unique().tolist())
    width = 3.1 * len(epochs)
    classes = [i for i in labels.declared if (table["label"] == i).any()]
    columns = max(1, int(max(width, 6.2) // 1.75))
    legend_rows = -(-len(classes) // columns)
    figure = style.new_figure(max(width, 6.2), 3.9 + 0.19 * legend_rows)
    for axes, epoch in zip(figure.subplots(1, len(epochs), squeeze=False)[0], epochs, strict=True):
        _panel(axes, table[table["epoch"] == epoch], classes)
        _centroids(axes, table[table["epoch"] == epoch], labels, classes)
        axes.set_title(f"epoch {epoch}")
        _judged(axes, layout.loc[epoch], method)
    figure.suptitle(f"{METHODS[method]} of {shown(params, source)}", fontsize=10)
    figure.legend(
        handles=_handles(labels, classes),
        loc="outside lower center",
        ncols=columns,
        handletextpad=0.1,
        columnspacing=0.9,
        fontsize=7.5,
    )
    return figure


def shown(params: Params, source: str) -> str:
    """The model whose features are shown, in words."""
    one = params.embed.classify if source == "classify" else params.embed.finetune
    setting = f", setting {params.embed.finetune.setting}" if source == "finetune" else ""
    return f"the second-last layer of {source} {one.run}{setting}, seed {one.seed}"


def _panel(axes: Axes, points: pd.DataFrame, classes: list[int]) -> None:
    for position, label in enumerate(classes):
        color, marker = style.mark(position)
        own = points[points["label"] == label]
        axes.scatter(own["x"], own["y"], s=9, c=color, marker=marker, alpha=0.55, linewidths=0)
    # the axes of both methods have no unit that a reader could use
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    axes.set_box_aspect(1)


def _centroids(axes: Axes, points: pd.DataFrame, labels: Labels, classes: list[int]) -> None:
    """The mean of each class, with its name; a rim keeps the name readable on its points."""
    rim = [withStroke(linewidth=2.2, foreground="white")]
    for position, label in enumerate(classes):
        own = points.loc[points["label"] == label, ["x", "y"]]
        if own.empty:
            continue
        place = (float(own["x"].mean()), float(own["y"].mean()))
        color, marker = style.mark(position)
        axes.plot(*place, marker, ms=6, mfc=color, mec="black", mew=0.9)
        name = axes.annotate(
            cut(labels.names[label], 14),
            place,
            (0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=6.5,
            path_effects=rim,
        )
        name.set_in_layout(False)  # a long one may stand out; the panels keep their size


def _judged(axes: Axes, row: pd.Series, method: str) -> None:
    """How true the layout is, below the panel; the share of variance on the axes of PCA."""
    said = f"trustworthiness {row['trustworthiness']:.3f}\n"
    said += f"kNN accuracy {row['knn_layout']:.3f} (features {row['knn_features']:.3f})"
    if method == "pca":
        said = f"{100 * row['variance_x']:.1f} % of the variance\n{said}"
        axes.set_ylabel(f"{100 * row['variance_y']:.1f} %", fontsize=7.5)
    axes.set_xlabel(said, fontsize=7.5)


def _handles(labels: Labels, classes: list[int]) -> list[Line2D]:
    handles = []
    for position, label in enumerate(classes):
        color, marker = style.mark(position)
        handles.append(
            Line2D([], [], ls="", marker=marker, color=color, ms=5, label=labels.names[label])
        )
    return handles
