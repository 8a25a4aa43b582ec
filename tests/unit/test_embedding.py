"""The coordinates of PCA and t-SNE, and their quality."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from reprise.errors import RepriseError
from reprise.evaluation.embedding import (
    embed,
    knn_accuracy,
    layout_quality,
    pca,
    subsample,
    tsne,
)
from reprise.params.embed import Embed
from reprise.params.load import Params


@pytest.fixture
def features(evaluated_results: Path) -> Path:
    return evaluated_results / "classify/baseline/cnn/0/features.safetensors"


@pytest.fixture
def options(params: Params) -> Embed:
    return params.embed["cnn"]


def test_a_component_points_where_its_largest_loading_is_positive() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(0, 1, (40, 6)) * [5, 3, 1, 1, 1, 1]
    projected, _ = pca(points, 2)
    for component, axis in ((0, 0), (1, 1)):
        assert np.corrcoef(projected[:, component], points[:, axis])[0, 1] > 0.9
    # the mirror image has the same components, so the coordinates are mirrored, not kept
    assert pca(-points, 2)[0] == pytest.approx(-projected)


def test_pca_keeps_the_order_of_variance_and_is_centred() -> None:
    projected, shares = pca(np.random.default_rng(1).normal(3, 2, (30, 5)), 3)
    assert projected.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    assert list(projected.var(axis=0)) == sorted(projected.var(axis=0), reverse=True)
    assert shares.sum() < 1
    assert shares / shares[0] == pytest.approx(projected.var(axis=0) / projected[:, 0].var())


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_the_same_features_give_the_same_coordinates(
    features: Path, options: Embed, method: str
) -> None:
    first, layout = embed(features, method, options)  # type: ignore[arg-type]
    again, same = embed(features, method, options)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    pd.testing.assert_frame_equal(layout, same, check_exact=True)
    assert list(first.columns) == ["epoch", "row", "label", "x", "y"]
    assert first["epoch"].unique().tolist() == [1, 6, 12]


def test_every_epoch_has_the_same_images_in_the_order_of_rows(
    features: Path, options: Embed
) -> None:
    points, _ = embed(features, "pca", options)
    rows = [group["row"].tolist() for _, group in points.groupby("epoch")]
    assert rows[0] == rows[1] == rows[2] == sorted(rows[0])
    assert len(rows[0]) == options.max_points


def test_the_order_of_the_features_changes_nothing(
    features: Path, options: Embed, tmp_path: Path
) -> None:
    every = options.model_copy(update={"max_points": 100})
    tensors = load_file(features)
    order = np.random.default_rng(3).permutation(len(tensors["row"]))
    save_file({name: values[order] for name, values in tensors.items()}, tmp_path / "f")
    pd.testing.assert_frame_equal(
        embed(tmp_path / "f", "pca", every)[0], embed(features, "pca", every)[0], check_exact=True
    )


def test_an_axis_of_pca_is_not_mirrored_between_epochs(
    features: Path, options: Embed, tmp_path: Path
) -> None:
    tensors = load_file(features)
    for epoch in ("epoch_0006", "epoch_0012"):  # mirrored features have mirrored components
        tensors[epoch] = -tensors["epoch_0001"]
    save_file(tensors, tmp_path / "f")
    points, _ = embed(tmp_path / "f", "pca", options)
    first, *later = (group[["x", "y"]].to_numpy() for _, group in points.groupby("epoch"))
    for one in later:
        assert one == pytest.approx(first)


def test_tsne_starts_from_the_layout_that_it_is_given(options: Embed) -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(0, 0.3, (120, 6)) + rng.normal(0, 3, (4, 6))[np.arange(120) % 4]
    options = options.model_copy(update={"perplexity": 20.0})
    first = tsne(features, options)
    turned = first @ np.array([[0, 1], [-1, 0]])
    again = tsne(features, options, turned)
    for axis in (0, 1):
        assert np.corrcoef(turned[:, axis], again[:, axis])[0, 1] > 0.95


def test_the_quality_of_a_layout_is_that_of_its_neighbours() -> None:
    rng = np.random.default_rng(5)
    labels = np.arange(90) % 3
    apart = rng.normal(0, 0.1, (90, 2)) + np.array([[0, 0], [5, 0], [0, 5]])[labels]
    true = layout_quality(apart, apart, labels, np.array([0.6, 0.4]))
    assert (true["trustworthiness"], true["knn_layout"], true["knn_features"]) == (1, 1, 1)
    assert (true["variance_x"], true["neighbours"], true["images"]) == (0.6, 10, 90)
    shuffled = layout_quality(apart, rng.permutation(apart), labels, np.full(2, np.nan))
    assert shuffled["trustworthiness"] < 0.7 and shuffled["knn_layout"] < 0.6


def test_a_vote_leaves_the_image_itself_out_and_breaks_ties_by_id() -> None:
    line = np.array([[0.0], [1.0], [2.1], [3.3]])
    assert knn_accuracy(line, np.array([0, 1, 1, 1]), 1) == 0.5
    # the two nearest of the third image are of classes 0 and 1: class 0 is named
    assert knn_accuracy(np.array([[0.0], [1.0], [0.5]]), np.array([0, 1, 0]), 2) == 2 / 3


def test_the_sample_is_fixed_by_the_seed_and_ascending() -> None:
    assert subsample(5, 10, 0).tolist() == [0, 1, 2, 3, 4]
    picked = subsample(1000, 10, 7)
    assert picked.tolist() == subsample(1000, 10, 7).tolist() == sorted(set(picked.tolist()))
    assert picked.tolist() != subsample(1000, 10, 8).tolist()


def test_a_perplexity_that_is_too_large_is_named(features: Path, options: Embed) -> None:
    options = options.model_copy(update={"perplexity": 16.0})
    with pytest.raises(RepriseError, match=r"perplexity 16 must be below .* 16"):
        embed(features, "tsne", options)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.pop("row"), "needs epoch_"),
        (lambda t: t.update(extra=t["row"]), "unknown tensor 'extra'"),
        (lambda t: t.update(epoch_0001=t["epoch_0001"][1:]), "epoch_0001 does not have one row"),
        (lambda t: t.update(epoch_0001=t["epoch_0001"] * np.float32("nan")), "not finite"),
    ],
)
def test_features_of_another_form_are_named(
    features: Path, options: Embed, tmp_path: Path, spoil: object, message: str
) -> None:
    tensors = load_file(features)
    spoil(tensors)  # type: ignore[operator]
    save_file(tensors, tmp_path / "features.safetensors")
    with pytest.raises(RepriseError, match=rf"features\.safetensors: .*{message}"):
        embed(tmp_path / "features.safetensors", "pca", options)


def test_missing_or_damaged_features_are_named(tmp_path: Path, options: Embed) -> None:
    with pytest.raises(RepriseError, match="nothing: not found"):
        embed(tmp_path / "nothing", "pca", options)
    (tmp_path / "damaged").write_bytes(b"12345678")
    with pytest.raises(RepriseError, match="damaged: not readable"):
        embed(tmp_path / "damaged", "pca", options)
