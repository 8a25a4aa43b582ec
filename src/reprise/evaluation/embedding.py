"""Features of the penultimate layer as points in the plane: PCA and t-SNE.

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
from scipy.stats import mode
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from reprise.errors import RepriseError
from reprise.params.embed import Embed

Method = Literal["pca", "tsne"]
Coordinates = NDArray[np.float64]
NEIGHBORS = 10  # by which the quality of a layout is measured


def subsample(rows: int, max_points: int, seed: int) -> NDArray[np.int64]:
    """Positions of at most `max_points` of `rows` images, ascending; the same for the same seed."""
    if rows <= max_points:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, max_points, replace=False))


def pca(features: NDArray[np.floating], components: int) -> tuple[Coordinates, Coordinates]:
    """Project features (n, d) on the leading principal components, at most min(n, d).

    Returns (n, components) float64, and the share of the variance of each component. A component's
    sign is arbitrary; scikit-learn makes its largest loading positive.
    """
    # "full" is the only solver without randomness that suits both n > d and n < d
    model = PCA(n_components=components, svd_solver="full")
    return model.fit_transform(features.astype(np.float64)), model.explained_variance_ratio_


def align_signs(points: Coordinates, before: Coordinates | None) -> Coordinates:
    """The layout with its axes mirrored so that each agrees with that of the epoch before."""
    if before is None:
        return points
    agreement = ((points - points.mean(0)) * (before - before.mean(0))).sum(axis=0)
    return points * np.where(agreement < 0, -1.0, 1.0)


def tsne(
    features: NDArray[np.floating], options: Embed, before: Coordinates | None = None
) -> Coordinates:
    """t-SNE (van der Maaten and Hinton 2008) of the leading principal components, (n, 2) float64.

    `features` are (n, d). `before` (n, 2) is the layout of an earlier epoch to start from, so that
    the two can be compared; None: start from the two leading principal components.

    Raises RepriseError if the perplexity is not below the number of images.
    """
    if options.perplexity >= len(features):
        raise RepriseError(
            f"embed: perplexity {options.perplexity:g} must be below the number of images, "
            f"{len(features)}; choose a smaller one"
        )
    reduced, _ = pca(features, min(options.pca_components, *features.shape))
    start: dict[str, Any] = {"init": "pca"}
    if before is not None:
        # early exaggeration would first pull all points together and lose the earlier layout
        start = {"init": before, "early_exaggeration": 1.0}
    fixed = {"perplexity": options.perplexity, "random_state": options.random_state, "n_jobs": 1}
    return np.asarray(TSNE(**fixed, **start).fit_transform(reduced), np.float64)


def embed(path: Path, method: Method, options: Embed) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Embed every epoch of a features.safetensors; each starts from the layout of the epoch before.

    Returns columns epoch, row, label (int64), x, y (float64), sorted by epoch, then row; and one
    row per epoch with the quality of its layout (see `layout_quality`).

    Raises RepriseError if the file is missing or is not of this form.
    """
    tensors = read_features(path)
    rows = tensors.pop("row")
    picked = subsample(len(rows), options.max_points, options.random_state)
    picked = picked[np.argsort(rows[picked], kind="stable")]
    rows, labels = rows[picked], tensors.pop("label")[picked]
    frames, qualities = [], []
    points: Coordinates | None = None
    with threadpool_limits(limits=1):
        for name in sorted(tensors):
            epoch = int(name.removeprefix("epoch_"))
            features = tensors[name][picked].astype(np.float64)
            if method == "pca":
                leading, shares = pca(features, 2)
                points = align_signs(leading, points)
            else:
                points, shares = tsne(features, options, points), np.full(2, np.nan)
            frame = {"epoch": epoch, "row": rows, "label": labels}
            frames.append(pd.DataFrame(frame | {"x": points[:, 0], "y": points[:, 1]}))
            qualities.append({"epoch": epoch} | layout_quality(features, points, labels, shares))
    return pd.concat(frames, ignore_index=True), pd.DataFrame(qualities)


def layout_quality(
    features: Coordinates, points: Coordinates, labels: NDArray[np.int64], variance: Coordinates
) -> dict[str, float]:
    """How well a layout preserves neighbors, and how well layout and features separate classes.

    `features` are (n, d), `points` (n, 2), `labels` (n,); `variance` (2,) is the share of the
    variance along each axis, NaN for t-SNE.

    Returns images, neighbours; trustworthiness (0..1, Venna and Kaski 2001: 1 when no image is a
    neighbor only in the layout); knn_layout, knn_features: kNN accuracy (0..1, leave one out);
    variance_x, variance_y.

    Raises RepriseError if there are fewer than 3 images.
    """
    # trustworthiness is defined for fewer than half of the points
    neighbors = min(NEIGHBORS, (len(points) - 1) // 2)
    if neighbors < 1:
        raise RepriseError(f"embed: {len(points)} images; a layout needs at least 3 images")
    return {
        "images": len(points),
        "neighbours": neighbors,
        "trustworthiness": float(trustworthiness(features, points, n_neighbors=neighbors)),
        "knn_layout": knn_accuracy(points, labels, neighbors),
        "knn_features": knn_accuracy(features, labels, neighbors),
        "variance_x": float(variance[0]),
        "variance_y": float(variance[1]),
    }


def knn_accuracy(points: Coordinates, labels: NDArray[np.int64], neighbors: int) -> float:
    """Leave-one-out accuracy (0..1) of the majority class of the nearest neighbors.

    Ties are broken in favour of the lower class id.
    """
    nearest = NearestNeighbors(n_neighbors=neighbors).fit(points).kneighbors(return_distance=False)
    return float((mode(labels[nearest], axis=1).mode == labels).mean())


def read_features(path: Path) -> dict[str, NDArray[Any]]:
    """Tensors "epoch_0001" ... (n, d) float32, "label" (n,) and "row" (n,) int64.

    Raises RepriseError naming the file.
    """
    try:
        tensors: dict[str, NDArray[Any]] = load_file(path)
    except FileNotFoundError:
        raise RepriseError(f"{path}: not found; train the model first") from None
    except (SafetensorError, OSError) as error:
        raise RepriseError(f"{path}: not readable ({error}); train the model again") from None
    others = {name for name in tensors if not name.startswith("epoch_")}
    if len(others) == len(tensors) or not {"label", "row"} <= others:
        raise RepriseError(f"{path}: needs epoch_*, label and row; train the model again")
    if unknown := sorted(others - {"label", "row"}):
        raise RepriseError(f"{path}: unknown tensor '{unknown[0]}'; train the model again")
    for name in sorted(tensors.keys() - others):
        if tensors[name].ndim != 2 or len(tensors[name]) != len(tensors["row"]):
            raise RepriseError(f"{path}: {name} does not have one row of features for each image")
        if not np.isfinite(tensors[name]).all():
            raise RepriseError(f"{path}: {name} has values that are not finite; train again")
    return tensors
