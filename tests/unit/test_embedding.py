"""Promises of the coordinates."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from reprise.errors import RepriseError
from reprise.evaluation.embedding import choose, embed, pca
from reprise.params import Params


@pytest.fixture
def features(whole_results: Path) -> Path:
    return whole_results / "classify/cnn/0/features.safetensors"


def test_a_component_points_where_its_largest_loading_is_positive() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(0, 1, (40, 6)) * [5, 3, 1, 1, 1, 1]
    projected = pca(points, 2)
    for component, axis in ((0, 0), (1, 1)):
        assert np.corrcoef(projected[:, component], points[:, axis])[0, 1] > 0.9
    # the mirror image has the same components, so the coordinates are mirrored, not kept
    assert pca(-points, 2) == pytest.approx(-projected)


def test_pca_keeps_the_order_of_variance_and_is_centred() -> None:
    projected = pca(np.random.default_rng(1).normal(3, 2, (30, 5)), 3)
    assert projected.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    assert list(projected.var(axis=0)) == sorted(projected.var(axis=0), reverse=True)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_the_same_features_give_the_same_coordinates(
    features: Path, params: Params, method: str
) -> None:
    first = embed(features, method, params.embed)  # type: ignore[arg-type]
    again = embed(features, method, params.embed)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert list(first.columns) == ["epoch", "row", "label", "x", "y"]
    assert first["epoch"].unique().tolist() == [1, 6, 12]


def test_every_epoch_shows_the_same_images_in_the_order_of_rows(
    features: Path, params: Params
) -> None:
    points = embed(features, "pca", params.embed)
    shown = [group["row"].tolist() for _, group in points.groupby("epoch")]
    assert shown[0] == shown[1] == shown[2] == sorted(shown[0])
    assert len(shown[0]) == params.embed.points


def test_the_order_of_the_features_changes_nothing(
    features: Path, params: Params, tmp_path: Path
) -> None:
    every = params.embed.model_copy(update={"points": 100})
    tensors = load_file(features)
    order = np.random.default_rng(3).permutation(len(tensors["row"]))
    save_file({name: values[order] for name, values in tensors.items()}, tmp_path / "f")
    pd.testing.assert_frame_equal(
        embed(tmp_path / "f", "pca", every), embed(features, "pca", every), check_exact=True
    )


def test_the_sample_is_fixed_by_the_seed_and_ascending() -> None:
    assert choose(5, 10, 0).tolist() == [0, 1, 2, 3, 4]
    picked = choose(1000, 10, 7)
    assert picked.tolist() == choose(1000, 10, 7).tolist() == sorted(set(picked.tolist()))
    assert picked.tolist() != choose(1000, 10, 8).tolist()


def test_a_perplexity_that_is_too_large_is_named(features: Path, params: Params) -> None:
    options = params.embed.model_copy(update={"perplexity": 16.0})
    with pytest.raises(RepriseError, match=r"embed\.perplexity: 16 is not below .* 16"):
        embed(features, "tsne", options)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.pop("row"), "needs epoch_"),
        (lambda t: t.update(extra=t["row"]), "unknown tensor 'extra'"),
        (lambda t: t.update(epoch_0001=t["epoch_0001"][1:]), "epoch_0001 is not one row"),
        (lambda t: t.update(epoch_0001=t["epoch_0001"] * np.float32("nan")), "not finite"),
    ],
)
def test_features_of_another_form_are_named(
    features: Path, params: Params, tmp_path: Path, spoil: object, message: str
) -> None:
    tensors = load_file(features)
    spoil(tensors)  # type: ignore[operator]
    save_file(tensors, tmp_path / "features.safetensors")
    with pytest.raises(RepriseError, match=rf"features\.safetensors: .*{message}"):
        embed(tmp_path / "features.safetensors", "pca", params.embed)


def test_missing_or_damaged_features_are_named(tmp_path: Path, params: Params) -> None:
    with pytest.raises(RepriseError, match="nothing: not found"):
        embed(tmp_path / "nothing", "pca", params.embed)
    (tmp_path / "damaged").write_bytes(b"12345678")
    with pytest.raises(RepriseError, match="damaged: not readable"):
        embed(tmp_path / "damaged", "pca", params.embed)
