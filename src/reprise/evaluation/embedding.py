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
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from reprise.errors import RepriseError
from reprise.params import Embed

Method = Literal["pca", "tsne"]
Coordinates = NDArray[np.float64]


def choose(rows: int, points: int, seed: int) -> NDArray[np.int64]:
    """Positions of at most `points` of `rows` images, ascending; the same for the same seed."""
    if rows <= points:
        return np.arange(rows)
    picked = np.random.default_rng(seed).choice(rows, points, replace=False)
    return np.sort(picked)


def pca(features: NDArray[np.floating], components: int) -> Coordinates:
    """Project on the leading principal components.

    Args:
        features: (n, d).
        components: at most min(n, d).

    Returns:
        (n, components) float64. A component's sign is arbitrary; here its largest loading
        (the first of equal ones) is positive.
    """
    # "full" is the only solver without randomness that suits both n > d and n < d
    model = PCA(n_components=components, svd_solver="full")
    projected = model.fit_transform(features.astype(np.float64))
    loadings = model.components_
    largest = np.abs(loadings).argmax(axis=1)
    signs = np.where(loadings[np.arange(components), largest] < 0, -1.0, 1.0)
    return np.asarray(projected * signs, np.float64)


def tsne(features: NDArray[np.floating], options: Embed) -> Coordinates:
    """t-SNE (van der Maaten and Hinton 2008) of the leading principal components, (n, 2) float64.

    Raises:
        RepriseError: embed.perplexity is not below the number of images.
    """
    if options.perplexity >= len(features):
        raise RepriseError(
            f"embed.perplexity: {options.perplexity:g} is not below the number of images, "
            f"{len(features)}; choose less"
        )
    reduced = pca(features, min(options.components, *features.shape))
    model = TSNE(perplexity=options.perplexity, init="pca", random_state=options.seed, n_jobs=1)
    return np.asarray(model.fit_transform(reduced), np.float64)


def embed(path: Path, method: Method, options: Embed) -> pd.DataFrame:
    """Embed every epoch of a features.safetensors, each on its own.

    Args:
        path: tensors "epoch_0001" ... (n, d) float32, "label" (n,) and "row" (n,) int64.
        method: "pca" or "tsne".
        options: the block `embed` of params.yaml.

    Returns:
        Columns epoch, row, label (int64), x, y (float64); sorted by epoch, then row.

    Raises:
        RepriseError: the file is missing or is not of this form.
    """
    tensors = read_features(path)
    labels, rows = tensors.pop("label"), tensors.pop("row")
    picked = choose(len(rows), options.points, options.seed)
    picked = picked[np.argsort(rows[picked], kind="stable")]
    frames = []
    with threadpool_limits(limits=1):
        for name in sorted(tensors):
            features = tensors[name][picked]
            points = pca(features, 2) if method == "pca" else tsne(features, options)
            frame = {"epoch": int(name.removeprefix("epoch_")), "row": rows[picked]}
            frame |= {"label": labels[picked], "x": points[:, 0], "y": points[:, 1]}
            frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True)


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
