"""Training a segmentation network: masks at three epochs, merged classes."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from support.small_datasets import small_dataset, write_and_read
from support.training import job_context, no_checkpoint

from reprise.datasets.prepared import PreparedDataset
from reprise.errors import RepriseError
from reprise.models.build import build_segmenter
from reprise.params.segment import SegmentRecipe
from reprise.params.training import Augment
from reprise.training.segmentation import load_targets, train_segmenter, warn_of_empty_classes

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
