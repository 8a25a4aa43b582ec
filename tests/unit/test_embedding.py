"""Promises of the coordinates."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from reprise.errors import RepriseError
from reprise.evaluation.embedding import choose, embed, judge, knn_accuracy, pca, tsne
from reprise.params import Params


@pytest.fixture
def features(whole_results: Path) -> Path:
    return whole_results / "classify/cnn/0/features.safetensors"


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
    features: Path, params: Params, method: str
) -> None:
    first, layout = embed(features, method, params.embed)  # type: ignore[arg-type]
    again, same = embed(features, method, params.embed)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    pd.testing.assert_frame_equal(layout, same, check_exact=True)
    assert list(first.columns) == ["epoch", "row", "label", "x", "y"]
    assert first["epoch"].unique().tolist() == [1, 6, 12]


def test_every_epoch_shows_the_same_images_in_the_order_of_rows(
    features: Path, params: Params
) -> None:
    points, _ = embed(features, "pca", params.embed)
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
        embed(tmp_path / "f", "pca", every)[0], embed(features, "pca", every)[0], check_exact=True
    )


def test_an_axis_of_pca_does_not_turn_about_between_epochs(
    features: Path, params: Params, tmp_path: Path
) -> None:
    tensors = load_file(features)
    for epoch in ("epoch_0006", "epoch_0012"):  # mirrored features have mirrored components
        tensors[epoch] = -tensors["epoch_0001"]
    save_file(tensors, tmp_path / "f")
    points, _ = embed(tmp_path / "f", "pca", params.embed)
    first, *later = (group[["x", "y"]].to_numpy() for _, group in points.groupby("epoch"))
    for one in later:
        assert one == pytest.approx(first)


def test_tsne_goes_on_from_the_layout_that_it_is_given(params: Params) -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(0, 0.3, (120, 6)) + rng.normal(0, 3, (4, 6))[np.arange(120) % 4]
    options = params.embed.model_copy(update={"perplexity": 20.0})
    first = tsne(features, options)
    turned = first @ np.array([[0, 1], [-1, 0]])
    again = tsne(features, options, turned)
    for axis in (0, 1):
        assert np.corrcoef(turned[:, axis], again[:, axis])[0, 1] > 0.95


def test_a_layout_is_judged_by_its_neighbours() -> None:
    rng = np.random.default_rng(5)
    labels = np.arange(90) % 3
    apart = rng.normal(0, 0.1, (90, 2)) + np.array([[0, 0], [5, 0], [0, 5]])[labels]
    true = judge(apart, apart, labels, np.array([0.6, 0.4]))
    assert (true["trustworthiness"], true["knn_layout"], true["knn_features"]) == (1, 1, 1)
    assert (true["variance_x"], true["neighbours"], true["images"]) == (0.6, 10, 90)
    shuffled = judge(apart, rng.permutation(apart), labels, np.full(2, np.nan))
    assert shuffled["trustworthiness"] < 0.7 and shuffled["knn_layout"] < 0.6


def test_a_vote_leaves_the_image_itself_out_and_breaks_ties_by_id() -> None:
    line = np.array([[0.0], [1.0], [2.1], [3.3]])
    assert knn_accuracy(line, np.array([0, 1, 1, 1]), 1) == 0.5
    # the two nearest of the third image are of classes 0 and 1: class 0 is named
    assert knn_accuracy(np.array([[0.0], [1.0], [0.5]]), np.array([0, 1, 0]), 2) == 2 / 3


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
