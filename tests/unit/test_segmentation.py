"""Training a segmentation network: masks at three epochs, merged classes."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from support.small_datasets import small_dataset, write_and_read
from support.training import job_context, no_checkpoint

from reprise.datasets.prepared import PreparedDataset
from reprise.errors import RepriseError
from reprise.evaluation.job_outputs import read_shown_matrices
from reprise.metrics.confusion import confusion, mean_iou
from reprise.metrics.courses import dlcv_mean_iou
from reprise.models.build import build_segmenter
from reprise.params.segment import SegmentRecipe
from reprise.params.training import Augment
from reprise.training.segmentation import (
    Targets,
    load_targets,
    train_segmenter,
    warn_of_empty_classes,
    write_segmenter,
)

RECIPE = SegmentRecipe(
    model="fcn8s", width_mult=0.125, image_size=32, epochs=5, batch_size=4, learning_rate=0.01,
    augment=Augment(dihedral=True), merge_classes=3,
)  # fmt: skip
SPLITS = ["train"] * 12 + ["val"] * 4 + ["test"] * 4


@pytest.fixture
def data(tmp_path: Path) -> PreparedDataset:
    """Squares of three classes, two of which can be merged; id 3 is ignored."""
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (20, 2, 2)), np.ones((1, 16, 16))).astype(np.uint8)
    images = np.repeat(labels[..., None] * 80, 3, axis=-1).astype(np.uint8)
    entries = [{"id": i, "name": name, "color": [i, i, i]} for i, name in enumerate("ab")]
    merged = {"3": {"classes": entries, "map": [0, 1, 1]}}
    dataset = small_dataset(images, labels, 3, SPLITS, ignore=3, merged=merged)
    return write_and_read(tmp_path, dataset)


def test_targets_are_the_label_maps_or_those_of_merged_classes(data: PreparedDataset) -> None:
    targets = load_targets(data, 3)
    assert (targets.n_classes, targets.ignore) == (2, 3)
    assert np.array_equal(targets.maps, (data.labels > 0).astype(np.uint8))
    unmerged = load_targets(data, None)
    assert unmerged.n_classes == 3 and np.array_equal(unmerged.maps, data.labels)


def test_a_segmenter_learns_masks_and_keeps_those_of_three_epochs(data: PreparedDataset) -> None:
    targets = load_targets(data, 3)
    torch.manual_seed(0)
    model = build_segmenter(RECIPE, targets.n_classes)
    context = job_context(data, RECIPE)
    result = train_segmenter(model, context, no_checkpoint(), targets, {"0016": 16})
    assert result.shown_epochs == {"early": 1, "middle": 3, "final": 5}
    assert sorted(result.masks) == ["0016_early", "0016_final", "0016_middle"]
    assert sorted(result.predictions) == [f"{row:04d}" for row in range(12, 20)]
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_a_labelled_pixel_ends_in_one_line(
    data: PreparedDataset, split: str
) -> None:
    targets = load_targets(data, 3)
    targets.maps[data.rows(split)] = 3
    model, context = build_segmenter(RECIPE, targets.n_classes), job_context(data, RECIPE)
    with pytest.raises(RepriseError) as error:
        train_segmenter(model, context, no_checkpoint(), targets, {"0016": 16})
    assert f"all pixels of the {split} split have the ignored id 3; add" in str(error.value)
    targets.maps[data.rows(split)[0], 0, 0] = 1  # one labelled pixel gives every epoch a score
    result = train_segmenter(model, context, no_checkpoint(), targets, {"0016": 16})
    assert sum(row["selected"] for row in result.history) == 1 and result.state


def test_classes_without_a_training_pixel_are_named(
    data: PreparedDataset, caplog: pytest.LogCaptureFixture
) -> None:
    targets = load_targets(data, None)
    targets.maps[data.rows("train")] = 0
    with caplog.at_level(logging.WARNING):
        warn_of_empty_classes(data, targets)
    messages = [record.getMessage() for record in caplog.records]
    assert [m.split(": ")[1] for m in messages] == [
        f"class {i} has no pixel in the train split" for i in (1, 2)
    ]


CROPPED = RECIPE.model_copy(
    update={
        "image_size": 32, "merge_classes": None, "score_shown_epochs": True, "epochs": 3,
        "augment": Augment(crop_pixels=32, flip=True),
    }
)  # fmt: skip


@pytest.fixture
def wide(tmp_path: Path) -> PreparedDataset:
    """Images of 48 x 64 pixels with patches of three classes."""
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (20, 3, 4)), np.ones((1, 16, 16))).astype(np.uint8)
    images = np.repeat(labels[..., None] * 80, 3, axis=-1).astype(np.uint8)
    return write_and_read(tmp_path / "wide", small_dataset(images, labels, 3, SPLITS, ignore=3))


def test_a_network_of_crops_is_scored_on_the_center_and_its_masks_have_the_crops_size(
    wide: PreparedDataset,
) -> None:
    targets, context = load_targets(wide, None), job_context(wide, CROPPED)
    model = build_segmenter(CROPPED, targets.n_classes)
    result = train_segmenter(model, context, no_checkpoint(), targets, {"0016": 16})
    every = [*result.predictions.values(), *result.masks.values()]
    assert {mask.shape for mask in every} == {(32, 32)}
    best = next(row for row in result.history if row["selected"])
    truth = targets.maps[12:16, 8:40, 16:48]  # the val split
    predicted = np.stack([result.predictions[f"{row:04d}"] for row in range(12, 16)])
    assert best["val_pixel_accuracy"] == pytest.approx((truth == predicted).mean())


def test_the_test_split_is_counted_at_the_shown_epochs_where_a_recipe_asks_for_it(
    wide: PreparedDataset, tmp_path: Path
) -> None:
    targets = load_targets(wide, None)
    targets.maps[16, 8:12, 16:48] = 3  # ignored
    recipe = CROPPED.model_copy(update={"learning_rate": 1e-12})  # so that all epochs predict alike
    context = job_context(wide, recipe)
    model = build_segmenter(recipe, targets.n_classes)
    result = train_segmenter(model, context, no_checkpoint(), targets, {})
    assert list(result.test_matrices) == ["early", "middle", "final"]
    ignored = targets.maps[16:, 8:40, 16:48] == 3
    assert np.sum(result.test_matrices["final"]) == 4 * 1024
    assert np.sum(result.test_matrices["final"][-1]) == ignored.sum() == 128
    write_segmenter(tmp_path / "out", result, context.device)
    written = json.loads((tmp_path / "out" / "masks" / "test_confusion.json").read_text())
    assert written == result.test_matrices
    shown = read_shown_matrices(tmp_path / "out" / "masks", wide.classes)
    assert shown["early"].shape == (4, 4)
    plain = recipe.model_copy(update={"score_shown_epochs": False})
    result = train_segmenter(model, job_context(wide, plain), no_checkpoint(), targets, {})
    write_segmenter(tmp_path / "out", result, context.device)
    assert not (tmp_path / "out" / "masks" / "test_confusion.json").exists()


@pytest.mark.parametrize("n_classes", [6, 7])
def test_ignored_pixels_have_a_row_whether_or_not_their_id_is_a_class(n_classes: int) -> None:
    """As the DLCV script counts them: a prediction there is a false positive."""
    rng = np.random.default_rng(0)
    targets = Targets(rng.integers(0, 7, (4, 8, 8), np.uint8), n_classes, 6)
    predicted = rng.integers(0, 6, (4, 8, 8), np.uint8)
    for size in (8, 4):
        shown, start = predicted[:, :size, :size], (8 - size) // 2
        truth = targets.maps[:, start : start + size, start : start + size]
        whole = confusion(truth, shown, 7)  # row 6: what was predicted on ignored pixels
        matrix = targets.full_matrix(np.arange(4), shown)
        assert matrix.shape == (n_classes + 1, n_classes + 1)
        assert np.array_equal(matrix[:6, :6], whole[:6, :6])
        assert np.array_equal(matrix[-1, :6], whole[6, :6]) and whole[6].sum() > 0
        assert dlcv_mean_iou(whole).value == mean_iou(matrix, range(6), absent="nan").value
