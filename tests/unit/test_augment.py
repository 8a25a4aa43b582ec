"""Augmentation: one draw an image, whatever the batch; label maps move with their images."""

import torch
from torchvision.transforms.v2.functional import adjust_saturation

from reprise.data.augment import augment, colour, dihedral, draw, geometry
from reprise.params import Augment

EVERYTHING = Augment(
    crop=0.3, dihedral=True, rotate=20, shift=0.1, brightness=0.4, contrast=0.4, saturation=0.4,
    hue=0.1, grey=0.3,
)  # fmt: skip


def images(count: int, size: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_two_copies_of_one_image_in_a_batch_differ() -> None:
    same = images(1).expand(8, -1, -1, -1)
    changed = augment(same, torch.arange(8), EVERYTHING, seed=0, epoch=1)
    for i in range(8):
        assert sum(torch.equal(changed[i], other) for other in changed) == 1


def test_the_batch_size_does_not_change_a_view() -> None:
    batch, rows = images(12), torch.arange(100, 112)
    whole = augment(batch, rows, EVERYTHING, 0, 3, view=1)
    for size in (1, 5):
        parts = [
            augment(batch[i : i + size], rows[i : i + size], EVERYTHING, 0, 3, view=1)
            for i in range(0, 12, size)
        ]
        assert torch.allclose(torch.cat(parts), whole, atol=1e-6)


def test_epochs_and_views_differ() -> None:
    batch, rows = images(4), torch.arange(4)
    first = augment(batch, rows, EVERYTHING, 0, 1, view=0)
    assert not torch.allclose(first, augment(batch, rows, EVERYTHING, 0, 1, view=1))
    assert not torch.allclose(first, augment(batch, rows, EVERYTHING, 0, 2, view=0))


def test_the_eight_symmetries_are_eight_and_move_pixels_only() -> None:
    one = images(1)
    turned = dihedral(one.expand(8, -1, -1, -1), torch.arange(8))
    assert torch.equal(turned[0], one[0])
    assert torch.equal(turned[1], one[0].flip(-1))
    assert len({view.numpy().tobytes() for view in turned}) == 8
    assert all(torch.equal(view.flatten().sort()[0], one.flatten().sort()[0]) for view in turned)


def test_label_maps_move_with_their_images_and_keep_to_their_labels() -> None:
    recipe = Augment(dihedral=True, crop=0.5, rotate=30)
    maps = torch.randint(0, 7, (16, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    maps = maps.repeat_interleave(8, -1).repeat_interleave(8, -2).float()
    draws = draw(torch.arange(16), 0, 1, 0).float()
    moved = geometry(maps, draws, recipe, mode="nearest")
    assert set(moved.unique().tolist()) <= set(range(7))
    as_image = geometry(maps, draws, recipe)
    inside = (as_image - as_image.round()).abs() < 1e-4  # off the borders of the squares
    assert inside.float().mean() > 0.4
    assert (moved[inside] == as_image[inside].round()).float().mean() > 0.99


def test_saturation_is_that_of_torchvision() -> None:
    batch = images(4)
    draws = torch.full((4, 14), 0.5)
    draws[:, 9], draws[:, 11] = 0.25, 0.0  # the factor's draw, and: do change
    ours = colour(batch, draws, Augment(saturation=0.4))
    # torchvision rounds the luma weights to .2989, .587, .114
    assert torch.allclose(ours, adjust_saturation(batch, 1 - 0.2), atol=1e-3)


def test_nothing_asked_for_changes_nothing() -> None:
    batch = images(4)
    assert torch.equal(augment(batch, torch.arange(4), Augment(), 0, 1), batch)
