"""Batches: one draw an image, whatever the batch; label maps move with their images."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support.small_datasets import small_dataset, write_and_read
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

import reprise.datasets.batches
from reprise.datasets.batches import (
    LITE0_NORMALIZATION,
    Batches,
    Rows,
    eval_batch_size,
    normalization,
)
from reprise.datasets.prepared import PreparedDataset
from reprise.datasets.transforms import sample_augmentations, warp
from reprise.errors import RepriseError
from reprise.params.training import Augment, Step

CPU = torch.device("cpu")
EVERYTHING = Augment(
    min_scale=0.3, dihedral=True, degrees=20, translate=0.1, brightness=0.4, contrast=0.4,
    saturation=0.4, hue=0.1, grayscale_p=0.3,
)  # fmt: skip
BYOL = Augment(min_scale=0.2, dihedral=True, brightness=0.05, contrast=0.05, saturation=0.05)
RECIPES = {
    "everything": EVERYTHING,
    "byol": BYOL,
    "dihedral": Augment(dihedral=True),
    "color": Augment(flip=True, brightness=0.2, contrast=0.4, grayscale_p=0.2),
    "translate": Augment(flip=True, translate=0.05, degrees=5),
    "policy": Augment(auto_augment=["trivial_wide", "cutout"]),
    "nothing": Augment(),
}
MOVES = {
    "flip": Augment(flip=True),
    "dihedral": Augment(dihedral=True),
    "crop": Augment(min_scale=0.3),
    "crop and dihedral": Augment(min_scale=0.3, dihedral=True),
    "translate": Augment(translate=0.2),
    "rotate": Augment(degrees=30),
    "all": Augment(min_scale=0.4, dihedral=True, translate=0.1, degrees=30),
}
COUNT, SIZE = 23, 19  # odd, so that no vector register is ever full at the end of a row
ROWS = np.arange(COUNT)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Noise with label maps."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, SIZE, SIZE, 3)).astype(np.uint8)
    labels = rng.integers(0, 5, (COUNT, SIZE, SIZE)).astype(np.uint8)
    folder = tmp_path_factory.mktemp("noise")
    return write_and_read(folder, small_dataset(images, labels, 4, ignore=4))


@pytest.fixture
def threads() -> Iterator[None]:
    """Restore the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Views(TorchDataset[Tensor]):
    """Views of a dataset by batches of rows, as a DataLoader's workers make them."""

    def __init__(self, batches: Batches, rows: list[Rows]) -> None:
        self.batches = batches
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Tensor:
        return self.batches.train_batch(self.rows[number], epoch=3, view=1)


def views(batches: Batches, order: Rows, size: int, workers: int) -> Tensor:
    """The view of every image, in the order of the dataset, made in batches of `order`."""
    rows = [order[i : i + size] for i in range(0, len(order), size)]
    loaded = list(DataLoader(Views(batches, rows), batch_size=None, num_workers=workers))
    return torch.cat(loaded)[torch.from_numpy(np.argsort(order))]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_workers_batch_sizes_order_and_threads_change_no_bit_of_a_view(
    data: PreparedDataset, recipe: Augment, threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = Batches(data, recipe, 0, CPU)
    torch.set_num_threads(1)
    expected = batches.train_batch(ROWS, epoch=3, view=1)
    shuffled = np.random.default_rng(0).permutation(COUNT)
    for order, size, workers in (
        (ROWS, COUNT, 1), (ROWS, 4, 2), (shuffled, 5, 2), (shuffled, 1, 0), (ROWS[::-1], 7, 0),
    ):  # fmt: skip
        assert torch.equal(views(batches, order.copy(), size, workers), expected), (size, workers)
    torch.set_num_threads(2)
    assert torch.equal(views(batches, shuffled, 5, 0), expected)
    for pixels in (1, 2 * SIZE * SIZE):
        monkeypatch.setattr(reprise.datasets.batches, "CPU_CHUNK_PIXELS", pixels)
        assert torch.equal(batches.train_batch(ROWS, epoch=3, view=1), expected)


@pytest.mark.parametrize("size", [SIZE, 2 * SIZE])
def test_autocast_changes_no_bit_of_a_view(data: PreparedDataset, size: int) -> None:
    batches = Batches(data, EVERYTHING, 0, CPU, size)
    with torch.autocast("cpu", torch.bfloat16):
        inside = batches.train_batch(ROWS, 1)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, batches.train_batch(ROWS, 1))


def test_seeds_epochs_and_views_differ(data: PreparedDataset) -> None:
    rows = np.arange(4)
    first = Batches(data, BYOL, 0, CPU).train_batch(rows, 1, 0)
    for seed, epoch, view in ((0, 1, 1), (0, 2, 0), (1, 1, 0)):
        other = Batches(data, BYOL, seed, CPU).train_batch(rows, epoch, view)
        for i in range(4):
            assert not torch.allclose(first[i], other[i]), (seed, epoch, view)


def test_symmetries_drawn_for_features_are_those_of_the_images(data: PreparedDataset) -> None:
    batches = Batches(data, Augment(dihedral=True), 5, CPU)
    for epoch in (1, 2):
        symmetries = sample_augmentations(ROWS, batches.recipe, 5, epoch).symmetries
        images = batches.train_batch(ROWS, epoch)
        for row, symmetry in enumerate(symmetries):
            turned = batches.fixed_symmetry(ROWS[[row]], int(symmetry))
            assert torch.equal(turned[0], images[row])


@pytest.mark.parametrize("recipe", MOVES.values(), ids=MOVES.keys())
def test_label_maps_move_with_their_images_and_keep_to_their_labels(
    tmp_path: Path, recipe: Augment
) -> None:
    rng = np.random.default_rng(1)
    labels = rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), (30, 8, 8))
    labels = labels.repeat(8, 1).repeat(8, 2)
    dataset = small_dataset(np.repeat(labels[..., None], 3, -1), labels, 4, ignore=255)
    unit = ((0.0,) * 3, (1 / 255,) * 3)  # batches in the values of the labels
    batches = Batches(write_and_read(tmp_path, dataset), recipe, 0, CPU, normalization=unit)
    rows = np.arange(30)[::-1].copy()
    images, moved = batches.train_batch_with_labels(rows, 1, torch.from_numpy(labels))
    assert moved.dtype == torch.int64 and moved.shape == (30, 64, 64)
    assert set(moved.unique().tolist()) <= {0, 1, 2, 3, 255}
    for image, label_map, before in zip(images[:, 0], moved, labels[rows], strict=True):
        assert set(label_map.unique().tolist()) <= set(before.ravel().tolist())
        # off the borders of the squares, where interpolation mixes two labels
        inside = F.max_pool2d(image[None], 3, 1, 1) + F.max_pool2d(-image[None], 3, 1, 1) < 0.01
        assert inside.float().mean() > 0.3
        assert torch.equal(image.round().long()[inside[0]], label_map[inside[0]])
    assert torch.equal(images, batches.train_batch(rows, 1))
    assert (moved != torch.from_numpy(labels[rows]).long()).any(dim=(1, 2)).sum() > 10


def test_policies_change_training_batches_only_and_are_refused_with_label_maps(
    data: PreparedDataset,
) -> None:
    plain = Batches(data, Augment(), 0, CPU)
    policy = Batches(data, Augment(auto_augment=["cutout"]), 0, CPU)
    assert torch.equal(policy.eval_batch(ROWS), plain.eval_batch(ROWS))
    assert not torch.equal(policy.train_batch(ROWS, 1), plain.train_batch(ROWS, 1))
    assert torch.equal(policy.train_batch(ROWS, 1)[2:4], policy.train_batch(ROWS[2:4], 1))
    with pytest.raises(RepriseError, match="auto_augment is not supported for segmentation"):
        policy.train_batch_with_labels(ROWS, 1, torch.from_numpy(np.array(data.labels)))


def test_the_default_recipe_changes_nothing(data: PreparedDataset) -> None:
    batches = Batches(data, Augment(), 0, CPU)
    assert torch.equal(batches.train_batch(ROWS, 1), batches.eval_batch(ROWS))


def test_batches_are_normalized_with_channels_last(data: PreparedDataset) -> None:
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.mean, data.std))
    rows = np.array([3, 1])
    expected = (torch.from_numpy(data.images[rows]).permute(0, 3, 1, 2) / 255 - mean) / std
    batch = Batches(data, Augment(), 0, CPU).eval_batch(rows)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(batch, expected, atol=1e-5)
    doubled = Batches(data, Augment(), 0, CPU, 2 * SIZE).eval_batch(rows)
    assert doubled.shape == (2, 3, 2 * SIZE, 2 * SIZE)
    assert torch.allclose(F.avg_pool2d(doubled, 2).mean((2, 3)), expected.mean((2, 3)), atol=0.02)


def test_normalization_is_the_datasets_or_that_of_the_weights() -> None:
    assert normalization("dataset") is None
    assert normalization("imagenet") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert normalization("dataset", "imagenet") == LITE0_NORMALIZATION


def test_evaluation_batches_shrink_with_the_image_size() -> None:
    assert [eval_batch_size((side, side), CPU) for side in (32, 128, 1024)] == [256, 32, 1]
    assert eval_batch_size((512, 512), torch.device("cuda")) == 16


def test_on_cpu_the_memory_map_is_read_without_a_copy_and_a_warning(data: PreparedDataset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = Batches(data, BYOL, 0, CPU)
        batches.train_batch(np.arange(3), 1)
    assert np.shares_memory(batches.images, data.images)


def test_quarter_turns_of_oblong_images_end_in_one_line(data: PreparedDataset) -> None:
    oblong = data.with_images(data.images[:, :-2])
    with pytest.raises(RepriseError, match=r"images are 17 x 19, and augment.dihedral needs"):
        Batches(oblong, Augment(dihedral=True), 0, CPU)
    flipped = Batches(oblong, Augment(flip=True), 0, CPU)
    before, after = flipped.eval_batch(ROWS), flipped.train_batch(ROWS, 1)
    same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert 0 < sum(same) < COUNT
    for a, b in zip(before, after, strict=True):
        assert torch.equal(a, b) or torch.equal(a.flip(-1), b)


def test_oblong_images_and_their_label_maps_are_rotated_in_pixels(data: PreparedDataset) -> None:
    oblong, maps = data.with_images(data.images[:, :-8]), np.array(data.labels[:, :-8])
    recipe, maps = MOVES["rotate"], torch.from_numpy(maps)
    batches = Batches(oblong, recipe, 0, CPU)
    images, moved = batches.train_batch_with_labels(ROWS, 1, maps)
    square, right = (
        sample_augmentations(ROWS, recipe, 0, 1, ratio=ratio) for ratio in (1, SIZE / (SIZE - 8))
    )
    assert torch.equal(moved, warp(maps[:, None], right, "nearest")[:, 0].long())
    assert not torch.equal(moved, warp(maps[:, None], square, "nearest")[:, 0].long())
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.mean, data.std))
    pixels = warp(torch.from_numpy(np.array(oblong.images)).permute(0, 3, 1, 2), right)
    assert torch.allclose(images, (pixels / 255 - mean) / std, atol=1e-5)


@pytest.mark.parametrize("order", [["auto_augment", "geometry", "colors"],
                                   ["colors", "geometry", "auto_augment"]])  # fmt: skip
def test_policies_do_not_depend_on_the_batch(data: PreparedDataset, order: list[Step]) -> None:
    recipe = Augment(
        min_scale=0.5, brightness=0.3, auto_augment=["autoaugment_cifar10", "cutout_16"],
        shared_auto_augment=["trivial_wide"], order=order,
    )  # fmt: skip
    batches = Batches(data, recipe, 0, CPU)
    together = batches.train_batch(ROWS, 1)
    single = torch.cat([batches.train_batch(ROWS[i : i + 1], 1) for i in range(COUNT)])
    assert torch.equal(together, single)


@pytest.mark.parametrize("key", ["auto_augment", "shared_auto_augment"])
@pytest.mark.parametrize("policy", ["cutout", "cutout_16", "cutout_16_slip"])
def test_a_square_that_does_not_fit_is_one_line(key: str, policy: str, tmp_path: Path) -> None:
    labels = np.arange(6, dtype=np.uint8) % 2
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    data = write_and_read(tmp_path / "small", small_dataset(images, labels, 2))
    recipe = Augment.model_validate({key: [policy]})
    if policy == "cutout":
        assert Batches(data, recipe, 0, CPU).train_batch(np.arange(6), 0).shape == (6, 3, 8, 8)
        return
    with pytest.raises(RepriseError, match=f"augment.{key}: {policy} needs images of 9 pixels"):
        Batches(data, recipe, 0, CPU)
    large = Batches(data, recipe, 0, CPU, image_size=9)
    assert large.train_batch(np.arange(6), 0).shape == (6, 3, 9, 9)
