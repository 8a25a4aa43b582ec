"""Augmentation: one draw an image, whatever the batch; label maps move with their images."""

import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional as TV

import reprise.data.inputs
from reprise.data.augment import (
    Changes,
    augment,
    colour,
    decide,
    dihedral,
    geometry,
    symmetries,
)
from reprise.data.inputs import Inputs, Rows
from reprise.data.store import Prepared, PreparedSet, open_set, write_set
from reprise.errors import RepriseError
from reprise.params import Augment

CPU = torch.device("cpu")
EVERYTHING = Augment(
    crop=0.3, dihedral=True, rotate=20, shift=0.1, brightness=0.4, contrast=0.4, saturation=0.4,
    hue=0.1, grey=0.3,
)  # fmt: skip
BYOL = Augment(crop=0.2, dihedral=True, brightness=0.05, contrast=0.05, saturation=0.05)
RECIPES = {
    "everything": EVERYTHING,
    "byol": BYOL,
    "dihedral": Augment(dihedral=True),
    "colour": Augment(flip=True, brightness=0.2, contrast=0.4, grey=0.2),
    "shift": Augment(flip=True, shift=0.05, rotate=5),
    "nothing": Augment(),
}
MOVES = {
    "flip": Augment(flip=True),
    "dihedral": Augment(dihedral=True),
    "crop": Augment(crop=0.3),
    "crop and dihedral": Augment(crop=0.3, dihedral=True),
    "shift": Augment(shift=0.2),
    "rotate": Augment(rotate=30),
    "all": Augment(crop=0.4, dihedral=True, shift=0.1, rotate=30),
}
COUNT, SIZE = 23, 19  # odd, so that no vector register is ever full at the end of a row


def images(count: int, size: int = 16) -> Tensor:
    return 255 * torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    """A set of noise with label maps."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    write_set(
        folder,
        "noise",
        Prepared(
            images=rng.integers(0, 256, (COUNT, SIZE, SIZE, 3)).astype(np.uint8),
            labels=rng.integers(0, 5, (COUNT, SIZE, SIZE)).astype(np.uint8),
            roles=np.resize(["train", "select", "report"], COUNT),
            columns={}, task="segmentation", ignore=4,
            classes=[{"id": i, "name": str(i), "color": [i, i, i]} for i in range(4)],
            source="a test", licence="none", note="",
        ),
    )  # fmt: skip
    return open_set(folder, "segmentation")


@pytest.fixture
def threads() -> Iterator[None]:
    """Put the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Views(Dataset[Tensor]):
    """Views of a set by batches of rows, as a DataLoader's workers make them."""

    def __init__(self, inputs: Inputs, batches: list[Rows]) -> None:
        self.inputs = inputs
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Tensor:
        return self.inputs.train(self.batches[number], epoch=3, view=1)


def views(inputs: Inputs, order: Rows, batch: int, workers: int) -> Tensor:
    """The view of every image, in the order of the set, made in batches of `order`."""
    batches = [order[i : i + batch] for i in range(0, len(order), batch)]
    loaded = list(DataLoader(Views(inputs, batches), batch_size=None, num_workers=workers))
    made = torch.cat(loaded)
    return made[torch.from_numpy(np.argsort(order))]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_workers_batch_sizes_order_and_threads_change_no_bit_of_a_view(
    data: PreparedSet, recipe: Augment, threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = Inputs(data, recipe, 0, CPU)
    rows = np.arange(COUNT)
    torch.set_num_threads(1)
    want = inputs.train(rows, epoch=3, view=1)
    shuffled = np.random.default_rng(0).permutation(COUNT)
    for order, batch, workers in (
        (rows, COUNT, 1), (rows, 4, 2), (shuffled, 5, 2), (shuffled, 1, 0), (rows[::-1], 7, 0),
    ):  # fmt: skip
        assert torch.equal(views(inputs, order.copy(), batch, workers), want), (batch, workers)
    torch.set_num_threads(2)
    assert torch.equal(views(inputs, shuffled, 5, 0), want)
    for pixels in (1, 2 * SIZE * SIZE):
        monkeypatch.setattr(reprise.data.inputs, "PIXELS", pixels)
        assert torch.equal(inputs.train(rows, epoch=3, view=1), want)


@pytest.mark.parametrize("size", [SIZE, 2 * SIZE])
def test_autocast_changes_no_bit_of_a_view(data: PreparedSet, size: int) -> None:
    inputs, rows = Inputs(data, EVERYTHING, 0, CPU, size), np.arange(COUNT)
    with torch.autocast("cpu", torch.bfloat16):
        inside = inputs.train(rows, 1)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, inputs.train(rows, 1))


def test_two_copies_of_one_image_in_a_batch_differ() -> None:
    same = images(1).expand(8, -1, -1, -1)
    changed = augment(same, decide(np.arange(8), EVERYTHING, seed=0, epoch=1))
    for i in range(8):
        assert sum(torch.equal(changed[i], other) for other in changed) == 1


def test_seeds_epochs_and_views_differ(data: PreparedSet) -> None:
    rows = np.arange(4)
    first = Inputs(data, BYOL, 0, CPU).train(rows, 1, 0)
    for seed, epoch, view in ((0, 1, 1), (0, 2, 0), (1, 1, 0)):
        other = Inputs(data, BYOL, seed, CPU).train(rows, epoch, view)
        for i in range(4):
            assert not torch.allclose(first[i], other[i]), (seed, epoch, view)


def test_the_eight_symmetries_are_eight_and_move_pixels_only() -> None:
    one = images(1)
    turned = dihedral(one.expand(8, -1, -1, -1), torch.arange(8))
    assert torch.equal(turned[0], one[0])
    assert torch.equal(turned[1], one[0].flip(-1))
    assert torch.equal(turned[3], one[0].flip(-1).rot90(1, (-2, -1)))
    assert len({view.numpy().tobytes() for view in turned}) == 8
    assert all(torch.equal(view.flatten().sort()[0], one.flatten().sort()[0]) for view in turned)


def test_a_symmetry_before_a_crop_is_that_symmetry_of_the_image() -> None:
    batch, rows = images(40), np.arange(40)
    crop = BYOL.model_copy(update={"dihedral": False})
    codes = symmetries(rows, BYOL, 0, 1)
    assert set(codes) == set(range(8))
    apart = geometry(dihedral(batch, torch.from_numpy(codes)), decide(rows, crop, 0, 1))
    assert torch.allclose(geometry(batch, decide(rows, BYOL, 0, 1)), apart, atol=0.02)


def test_what_is_drawn_for_features_is_what_is_drawn_for_images(data: PreparedSet) -> None:
    inputs, rows = Inputs(data, Augment(dihedral=True), 5, CPU), np.arange(COUNT)
    for epoch in (1, 2):
        codes, made = symmetries(rows, inputs.recipe, 5, epoch), inputs.train(rows, epoch)
        for row, code in enumerate(codes):
            assert torch.equal(inputs.turned(rows[[row]], int(code))[0], made[row])


@pytest.mark.parametrize("recipe", [BYOL, MOVES["shift"], MOVES["rotate"], MOVES["all"]])
def test_what_leaves_the_image_is_its_reflection(recipe: Augment) -> None:
    batch, changes = images(40), decide(np.arange(40), recipe, 0, 1)
    grid = F.affine_grid(changes.affine, [40, 3, 16, 16], align_corners=False)
    reflected = F.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    assert torch.allclose(geometry(batch, changes), reflected, atol=0.02)
    assert not torch.allclose(batch, reflected, atol=10)


@pytest.mark.parametrize("recipe", MOVES.values(), ids=MOVES.keys())
def test_label_maps_move_with_their_images_and_keep_to_their_labels(
    tmp_path: Path, recipe: Augment
) -> None:
    rng = np.random.default_rng(1)
    labels = rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), (30, 8, 8))
    labels = labels.repeat(8, 1).repeat(8, 2)
    made = Prepared(
        images=np.repeat(labels[..., None], 3, -1), labels=labels,
        roles=np.resize(["train", "select", "report"], 30), columns={}, task="segmentation",
        ignore=255, classes=[{"id": i, "name": str(i)} for i in range(4)],
        source="a test", licence="none", note="",
    )  # fmt: skip
    write_set(tmp_path, "toy", made)
    unit = ((0.0,) * 3, (1 / 255,) * 3)  # batches in the values of the labels
    inputs = Inputs(open_set(tmp_path, "segmentation"), recipe, 0, CPU, normalise=unit)
    rows = np.arange(30)[::-1].copy()
    pictures, moved = inputs.train_with_labels(rows, 1, torch.from_numpy(labels))
    assert moved.dtype == torch.int64 and moved.shape == (30, 64, 64)
    assert set(moved.unique().tolist()) <= {0, 1, 2, 3, 255}
    for picture, truth, before in zip(pictures[:, 0], moved, labels[rows], strict=True):
        assert set(truth.unique().tolist()) <= set(before.ravel().tolist())
        # off the borders of the squares, where interpolation mixes two labels
        inside = F.max_pool2d(picture[None], 3, 1, 1) + F.max_pool2d(-picture[None], 3, 1, 1) < 0.01
        assert inside.float().mean() > 0.3
        assert torch.equal(picture.round().long()[inside[0]], truth[inside[0]])
    assert torch.equal(pictures, inputs.train(rows, 1))
    assert (moved != torch.from_numpy(labels[rows]).long()).any(dim=(1, 2)).sum() > 10


def drawn(recipe: Augment, count: int, draw: float) -> Changes:
    """Changes of `count` images as if every number drawn had been `draw`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "reprise.data.augment.uniform", lambda *address: np.full((count, address[-1]), draw)
        )
        return decide(np.arange(count), recipe, 0, 0)


@pytest.mark.parametrize(
    ("recipe", "theirs"),
    [
        (Augment(brightness=0.4), lambda x: TV.adjust_brightness(x, 0.8)),
        (Augment(contrast=0.4), lambda x: TV.adjust_contrast(x, 0.8)),
        (Augment(saturation=0.4), lambda x: TV.adjust_saturation(x, 0.8)),
        (Augment(grey=0.4), lambda x: TV.rgb_to_grayscale(x, 3)),
    ],
)
def test_colours_change_as_in_torchvision(recipe: Augment, theirs: object) -> None:
    batch = images(4) / 255
    ours = augment(255 * batch, drawn(recipe, 4, 0.25)) / 255
    # torchvision rounds the luma weights to .2989, .587, .114
    assert torch.allclose(ours, theirs(batch), atol=1e-3)  # type: ignore[operator]


def test_hue_turns_chroma_and_keeps_luma_and_grey() -> None:
    batch = 100 + images(4) / 10
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    grey = (batch * weights).sum(1, keepdim=True).expand_as(batch)
    changes = drawn(Augment(hue=0.5), 4, 0.75)  # a quarter of a full turn
    turned = colour(batch, changes)
    assert torch.allclose((turned * weights).sum(1), grey[:, 0], atol=0.05)
    assert torch.allclose(colour(grey, changes), grey, atol=0.05)
    back = colour(turned, drawn(Augment(hue=0.5), 4, 0.25))
    assert not torch.allclose(turned, batch, atol=1)
    assert torch.allclose(back, batch, atol=0.01)


def test_the_share_jitter_of_the_images_changes_its_colours() -> None:
    batch = images(1).expand(400, -1, -1, -1)
    recipe = Augment(brightness=0.4, jitter=0.3)
    changed = augment(batch, decide(np.arange(400), recipe, 0, 1))
    share = (changed != batch).flatten(1).any(1).float().mean()
    assert math.isclose(float(share), 0.3, abs_tol=0.08)


def test_nothing_asked_for_changes_nothing(data: PreparedSet) -> None:
    batch, rows = images(4), np.arange(4)
    assert torch.equal(augment(batch, decide(rows, Augment(), 0, 1)), batch)
    inputs = Inputs(data, Augment(), 0, CPU)
    assert torch.equal(inputs.train(rows, 1), inputs.plain(rows))


def test_batches_are_normalised_with_channels_last(data: PreparedSet) -> None:
    mean, std = (torch.tensor(data.info[name])[:, None, None] for name in ("mean", "std"))
    rows = np.array([3, 1])
    want = (torch.from_numpy(data.images[rows]).permute(0, 3, 1, 2) / 255 - mean) / std
    batch = Inputs(data, Augment(), 0, CPU).plain(rows)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(batch, want, atol=1e-5)
    twice = Inputs(data, Augment(), 0, CPU, 2 * SIZE).plain(rows)
    assert twice.shape == (2, 3, 2 * SIZE, 2 * SIZE)
    assert torch.allclose(F.avg_pool2d(twice, 2).mean((2, 3)), want.mean((2, 3)), atol=0.02)


def test_a_processor_reads_the_memory_map_without_a_copy_and_a_warning(data: PreparedSet) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs = Inputs(data, BYOL, 0, CPU)
        inputs.train(np.arange(3), 1)
    assert np.shares_memory(inputs.images, data.images)


def test_quarter_turns_of_oblongs_end_in_one_line(data: PreparedSet) -> None:
    oblong = PreparedSet(data.folder, data.images[:, :-2], data.labels, data.index, data.info)
    with pytest.raises(RepriseError, match=r"images are 17 x 19, and augment.dihedral turns"):
        Inputs(oblong, Augment(dihedral=True), 0, CPU)
    flipped, rows = Inputs(oblong, Augment(flip=True), 0, CPU), np.arange(COUNT)
    plain, made = flipped.plain(rows), flipped.train(rows, 1)
    same = [torch.equal(one, other) for one, other in zip(plain, made, strict=True)]
    assert 0 < sum(same) < COUNT
    assert all(torch.equal(p, m) or torch.equal(p.flip(-1), m) for p, m in zip(plain, made))  # noqa: B905
