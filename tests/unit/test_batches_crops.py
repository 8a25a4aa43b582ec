"""Batches of crops, at the scale of the stored image or of all of it; and their normalization."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.small_datasets import small_dataset, write_and_read
from torch import Tensor
from torchvision.transforms import v2

from reprise.datasets.batches import Batches, normalization
from reprise.datasets.prepared import PreparedDataset
from reprise.errors import RepriseError
from reprise.params.training import Augment, MeanStd

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Noise of 20 x 30 pixels whose label maps are its red channel, cut to six classes."""
    images = np.random.default_rng(1).integers(0, 6, (12, 20, 30, 3), dtype=np.uint8)
    dataset = small_dataset(images, images[..., 0].copy(), 6)
    return write_and_read(tmp_path_factory.mktemp("batches") / "wide", dataset)


def pixels(batch: Tensor) -> np.ndarray:
    """The values of a batch that was not normalized, 0..255, (n, H, W, 3)."""
    return (255 * batch).round().permute(0, 2, 3, 1).numpy().astype(np.uint8)


def in_range() -> tuple[tuple[float, ...], tuple[float, ...]]:
    found = normalization("none")
    assert found is not None
    return found


def test_a_crop_is_cut_at_the_images_scale_and_label_maps_alike(wide: PreparedDataset) -> None:
    rows = np.arange(12)
    batches = Batches(wide, Augment(crop_pixels=16), 0, CPU, 16, in_range())
    assert batches.size == (16, 16) and batches.crop_size == (16, 16)
    labels = torch.from_numpy(np.array(wide.labels))
    places = set()
    for epoch in range(1, 30):
        images, maps = batches.train_batch_with_labels(rows, epoch, labels)
        assert np.array_equal(pixels(images)[..., 0], maps.numpy())
        for row, image in enumerate(pixels(images)):
            offsets = [
                (top, left)
                for top in range(5)
                for left in range(15)
                if np.array_equal(wide.images[row, top : top + 16, left : left + 16], image)
            ]
            assert len(offsets) == 1
            places.add(offsets[0])
    assert {top for top, _ in places} == set(range(5))
    assert {left for _, left in places} == set(range(15))


def test_evaluation_cuts_the_center_and_flips_move_crops_and_maps(wide: PreparedDataset) -> None:
    rows = np.arange(12)
    plain = Batches(wide, Augment(crop_pixels=16), 0, CPU, None, in_range())
    assert np.array_equal(pixels(plain.eval_batch(rows)), wide.images[:, 2:18, 7:23])
    flips = Batches(wide, Augment(crop_pixels=16, flip=True), 0, CPU, 16, in_range())
    labels = torch.from_numpy(np.array(wide.labels))
    images, maps = flips.train_batch_with_labels(rows, 1, labels)
    assert np.array_equal(pixels(images)[..., 0], maps.numpy())
    straight = plain.train_batch(rows, 1)
    turned = [not torch.equal(a, b) for a, b in zip(images, straight, strict=True)]
    assert 0 < sum(turned) < 12 and torch.equal(images[turned], straight.flip(3)[turned])


def test_a_crop_larger_than_the_images_is_one_line(wide: PreparedDataset) -> None:
    with pytest.raises(RepriseError, match=r"20 x 30, smaller than augment.crop_pixels, 21; make"):
        Batches(wide, Augment(crop_pixels=21), 0, CPU)
    with pytest.raises(
        RepriseError,
        match=r"eval_resize is 29, less than the 30 pixels of a batch's images; raise it",
    ):
        Batches(wide, Augment(min_scale=0.5, eval_resize=29), 0, CPU)


@pytest.mark.parametrize(("values", "key"), [
    ({"shared_auto_augment": ["trivial_wide"]}, "shared_auto_augment"),
    ({"min_scale": 0.5, "eval_resize": 18}, "eval_resize"),
    ({"degrees": 5, "fill": "black"}, "fill: black"),
])  # fmt: skip
def test_what_cannot_move_label_maps_is_refused(
    wide: PreparedDataset, values: dict[str, Any], key: str
) -> None:
    batches = Batches(wide, Augment(**values), 0, CPU, 16)
    with pytest.raises(RepriseError, match=f"augment.{key} is not supported for segmentation"):
        batches.train_batch_with_labels(np.arange(3), 1, torch.from_numpy(np.array(wide.labels)))


def test_evaluation_resizes_and_cuts_the_center_as_torchvision(wide: PreparedDataset) -> None:
    recipe = Augment(min_scale=0.5, eval_resize=40)
    batches = Batches(wide, recipe, 0, CPU, 32, in_range())
    ours = 255 * batches.eval_batch(np.arange(12))
    images = torch.from_numpy(np.array(wide.images)).permute(0, 3, 1, 2).float()
    theirs = v2.CenterCrop(32)(v2.Resize(40, antialias=True)(images))
    assert ours.shape == theirs.shape == (12, 3, 32, 32)
    assert torch.allclose(ours, theirs, atol=1e-3)
    whole = Batches(wide, Augment(), 0, CPU, 32, in_range()).eval_batch(np.arange(12))
    assert not torch.allclose(255 * whole, theirs, atol=0.5)


def test_training_crops_come_from_the_whole_stored_image(tmp_path: Path) -> None:
    """Also from the sides that a centered square of it would not have."""
    images = np.zeros((40, 20, 60, 3), np.uint8)
    images[:, :, :10, 0] = images[:, :, -10:, 1] = 200
    images[:, :, 30, 2] = 200
    data = write_and_read(tmp_path / "sides", small_dataset(images, np.zeros(40, np.uint8), 1))
    recipe = Augment(min_scale=0.2, eval_resize=20)
    batch = Batches(data, recipe, 0, CPU, 16, in_range()).train_batch(np.arange(40), 1)
    left, right = ((batch[:, channel] > 0.7).flatten(1).any(1) for channel in (0, 1))
    assert left.sum() > 5 and right.sum() > 5 and not (left & right).all()
    assert batch.shape == (40, 3, 16, 16)


def test_numbers_of_a_recipe_normalize_as_torchvision_does(wide: PreparedDataset) -> None:
    mean, std = [0.407596, 0.457953, 0.48502], [1.0, 0.5, 0.2]
    numbers = normalization(MeanStd(mean=mean, std=std), "none")
    ours = Batches(wide, Augment(), 0, CPU, None, numbers).eval_batch(np.arange(12))
    images = torch.from_numpy(np.array(wide.images)).permute(0, 3, 1, 2) / 255
    assert torch.allclose(ours, v2.Normalize(mean, std)(images), atol=1e-5)
    none = Batches(wide, Augment(), 0, CPU, None, normalization("none")).eval_batch(np.arange(12))
    assert torch.allclose(none, images, atol=1e-6)
    starter = 255 * (images - torch.tensor(mean)[:, None, None]) / 255
    numbers = normalization(MeanStd(mean=mean, std=[1, 1, 1]), "imagenet")  # numbers have priority
    ours = Batches(wide, Augment(), 0, CPU, None, numbers).eval_batch(np.arange(12))
    assert torch.allclose(ours, starter, atol=1e-6)
