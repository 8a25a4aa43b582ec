"""Features of the second-last layer as points in the plane: PCA and t-SNE.

The same features give the same coordinates to the last printed digit: the choice of images, the
signs of PCA and the start of t-SNE are fixed, and everything runs on one thread.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from reprise.errors import RepriseError
from reprise.params import Embed

Method = Literal["pca", "tsne"]
Coordinates = NDArray[np.float64]
NEIGHBOURS = 10  # that a layout is judged by


def choose(rows: int, points: int, seed: int) -> NDArray[np.int64]:
    """Positions of at most `points` of `rows` images, ascending; the same for the same seed."""
    if rows <= points:
        return np.arange(rows)
    picked = np.random.default_rng(seed).choice(rows, points, replace=False)
    return np.sort(picked)


def pca(features: NDArray[np.floating], components: int) -> tuple[Coordinates, Coordinates]:
    """Project on the leading principal components.

    Args:
        features: (n, d).
        components: at most min(n, d).

    Returns:
        (n, components) float64, and the share of the variance of each component, (components,).
        A component's sign is arbitrary; here its largest loading (the first of equal ones) is
        positive.
    """
    # "full" is the only solver without randomness that suits both n > d and n < d
    model = PCA(n_components=components, svd_solver="full")
    projected = model.fit_transform(features.astype(np.float64))
    loadings = model.components_
    largest = np.abs(loadings).argmax(axis=1)
    signs = np.where(loadings[np.arange(components), largest] < 0, -1.0, 1.0)
    points = np.asarray(projected * signs, np.float64)
    return points, np.asarray(model.explained_variance_ratio_, np.float64)


def alike(points: Coordinates, before: Coordinates | None) -> Coordinates:
    """The layout with its axes turned about so that each agrees with that of the epoch before."""
    if before is None:
        return points
    agreement = ((points - points.mean(0)) * (before - before.mean(0))).sum(axis=0)
    return np.asarray(points * np.where(agreement < 0, -1.0, 1.0), np.float64)


def tsne(
    features: NDArray[np.floating], options: Embed, before: Coordinates | None = None
) -> Coordinates:
    """t-SNE (van der Maaten and Hinton 2008) of the leading principal components, (n, 2) float64.

    Args:
        features: (n, d).
        options: the block `embed` of params.yaml.
        before: (n, 2), the layout of an earlier epoch to start from, so that the two can be
            compared; None: start from the two leading principal components.

    Raises:
        RepriseError: embed.perplexity is not below the number of images.
    """
    if options.perplexity >= len(features):
        raise RepriseError(
            f"embed.perplexity: {options.perplexity:g} is not below the number of images, "
            f"{len(features)}; choose less"
        )
    reduced, _ = pca(features, min(options.components, *features.shape))
    fresh: dict[str, Any] = {"init": "pca"}
    # from an earlier layout it goes on: early exaggeration would pull all points together first,
    # and throw them out again in an order of its own
    kept = {"init": before, "early_exaggeration": 1.0}
    model = TSNE(
        perplexity=options.perplexity,
        random_state=options.seed,
        n_jobs=1,
        **(fresh if before is None else kept),
    )
    return np.asarray(model.fit_transform(reduced), np.float64)


def embed(path: Path, method: Method, options: Embed) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Embed every epoch of a features.safetensors, each beginning where the one before ended.

    Args:
        path: tensors "epoch_0001" ... (n, d) float32, "label" (n,) and "row" (n,) int64.
        method: "pca" or "tsne".
        options: the block `embed` of params.yaml.

    Returns:
        Columns epoch, row, label (int64), x, y (float64); sorted by epoch, then row. And one row an
        epoch: how true the layout is, see `judge`.

    Raises:
        RepriseError: the file is missing or is not of this form.
    """
    tensors = read_features(path)
    labels, rows = tensors.pop("label"), tensors.pop("row")
    picked = choose(len(rows), options.points, options.seed)
    picked = picked[np.argsort(rows[picked], kind="stable")]
    frames, judged = [], []
    points: Coordinates | None = None
    with threadpool_limits(limits=1):
        for name in sorted(tensors):
            epoch = int(name.removeprefix("epoch_"))
            features = tensors[name][picked].astype(np.float64)
            leading, shares = pca(features, 2)
            before = points
            points = alike(leading, before) if method == "pca" else tsne(features, options, before)
            frame = {"epoch": epoch, "row": rows[picked], "label": labels[picked]}
            frames.append(pd.DataFrame(frame | {"x": points[:, 0], "y": points[:, 1]}))
            variance = shares if method == "pca" else np.full(2, np.nan)
            judged.append({"epoch": epoch} | judge(features, points, labels[picked], variance))
    return pd.concat(frames, ignore_index=True), pd.DataFrame(judged)


def judge(
    features: Coordinates, points: Coordinates, labels: NDArray[np.int64], variance: Coordinates
) -> dict[str, float]:
    """How true a layout is to its features, and how well each tells the classes apart.

    Args:
        features: (n, d).
        points: (n, 2).
        labels: (n,).
        variance: (2,) the share of the variance along each axis; NaN where it has no meaning.

    Returns:
        images; trustworthiness (0..1, Venna and Kaski 2001: 1 when no image is a neighbour in the
        layout alone), kNN accuracy of layout and features (0..1, leave one out), and the variance.
    """
    # trustworthiness is defined for fewer than half of the points
    neighbours = min(NEIGHBOURS, (len(points) - 1) // 2)
    if neighbours < 1:
        raise RepriseError(
            f"embed.points: {len(points)} images are too few to judge a layout; 3 do"
        )
    return {
        "images": len(points),
        "neighbours": neighbours,
        "trustworthiness": float(trustworthiness(features, points, n_neighbors=neighbours)),
        "knn_layout": knn_accuracy(points, labels, neighbours),
        "knn_features": knn_accuracy(features, labels, neighbours),
        "variance_x": float(variance[0]),
        "variance_y": float(variance[1]),
    }


def knn_accuracy(points: Coordinates, labels: NDArray[np.int64], neighbours: int) -> float:
    """Share of the images whose nearest others, by a vote, name their class; 0..1.

    Of classes with as many votes, the one of the lower id is named.
    """
    nearest = NearestNeighbors(n_neighbors=neighbours).fit(points).kneighbors(return_distance=False)
    votes = np.zeros((len(points), int(labels.max()) + 1), np.int64)
    np.add.at(votes, (np.arange(len(points))[:, None], labels[nearest]), 1)
    return float((votes.argmax(axis=1) == labels).mean())


def read_features(path: Path) -> dict[str, NDArray[Any]]:
    """Read and check a features.safetensors. Raises RepriseError naming the file."""
    try:
        tensors: dict[str, NDArray[Any]] = load_file(path)
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; train the model first") from None
    except (SafetensorError, OSError) as error:
        raise RepriseError(f"{path}: not readable ({error}); train the model again") from None
    epochs = [name for name in tensors if name.startswith("epoch_")]
    if not epochs or not {"label", "row"} <= set(tensors):
        raise RepriseError(f"{path}: needs epoch_*, label and row; train the model again")
    if len(tensors) != len(epochs) + 2:
        odd = sorted(set(tensors) - set(epochs) - {"label", "row"})
        raise RepriseError(f"{path}: unknown tensor '{odd[0]}'; train the model again")
    for name in epochs:
        if tensors[name].ndim != 2 or len(tensors[name]) != len(tensors["row"]):
            raise RepriseError(f"{path}: {name} is not one row of features for each image")
        if not np.isfinite(tensors[name]).all():
            raise RepriseError(f"{path}: {name} holds numbers that are not finite; train again")
    return tensors
