"""Augmentation parameters and what they do to images and label maps."""

import math
from itertools import combinations, permutations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TV

from reprise.datasets import transforms
from reprise.datasets.policies import apply_policies
from reprise.datasets.transforms import (
    AugmentParams,
    augment,
    color_jitter,
    dihedral,
    sample_augmentations,
    warp,
)
from reprise.params.training import Augment

EVERYTHING = Augment(
    min_scale=0.3, dihedral=True, degrees=20, translate=0.1, brightness=0.4, contrast=0.4,
    saturation=0.4, hue=0.1, grayscale_p=0.3,
)  # fmt: skip
BYOL = Augment(min_scale=0.2, dihedral=True, brightness=0.05, contrast=0.05, saturation=0.05)
POLICIES = ["trivial_wide", "autoaugment_cifar10", "cutout", "blur"]
WARPS = [
    BYOL,
    Augment(translate=0.2),
    Augment(degrees=30),
    Augment(min_scale=0.4, dihedral=True, translate=0.1, degrees=30),
]


def noise(count: int, size: int = 16) -> Tensor:
    return 255 * torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def drawn(recipe: Augment, count: int, draw: float, ratio: float = 1) -> AugmentParams:
    """Parameters of `count` images as if every random number had been `draw`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "reprise.datasets.transforms.uniform",
            lambda *address: np.full((count, address[-1]), draw),
        )
        return sample_augmentations(np.arange(count), recipe, 0, 0, ratio=ratio)


def test_two_copies_of_one_image_in_a_batch_differ() -> None:
    copies = noise(1).expand(8, -1, -1, -1)
    changed = augment(copies, sample_augmentations(np.arange(8), EVERYTHING, seed=0, epoch=1))
    for i in range(8):
        assert sum(torch.equal(changed[i], other) for other in changed) == 1


def test_the_eight_symmetries_are_eight_and_move_pixels_only() -> None:
    image = noise(1)
    views = dihedral(image.expand(8, -1, -1, -1), torch.arange(8))
    assert torch.equal(views[0], image[0])
    assert torch.equal(views[1], image[0].flip(-1))
    assert torch.equal(views[3], image[0].flip(-1).rot90(1, (-2, -1)))
    assert len({view.numpy().tobytes() for view in views}) == 8
    pixels = image.flatten().sort()[0]
    assert all(torch.equal(view.flatten().sort()[0], pixels) for view in views)


def test_a_symmetry_before_a_crop_is_that_symmetry_of_the_image() -> None:
    images, rows = noise(40), np.arange(40)
    crop = BYOL.model_copy(update={"dihedral": False})
    symmetries = sample_augmentations(rows, Augment(dihedral=True), 0, 1).symmetries
    assert set(symmetries.tolist()) == set(range(8))
    turned = dihedral(images, symmetries)
    in_two_steps = warp(turned, sample_augmentations(rows, crop, 0, 1))
    in_one_step = warp(images, sample_augmentations(rows, BYOL, 0, 1))
    assert torch.allclose(in_one_step, in_two_steps, atol=0.02)


def test_two_flips_give_four_images_equally_often() -> None:
    recipe = Augment(flip=True, flip_vertical=True)
    image = torch.arange(8, dtype=torch.uint8).repeat(3, 1).view(3, 2, 4)[..., :2].contiguous()
    rows = np.arange(4000)
    changed = augment(image.expand(4000, -1, -1, -1), sample_augmentations(rows, recipe, 0, 1))
    flipped = [image, image.flip(2), image.flip(1), image.flip(1, 2)]
    counts = [int((changed == view).flatten(1).all(1).sum()) for view in flipped]
    assert sum(counts) == 4000 and min(counts) > 900
    with pytest.raises(ValueError, match="flip_vertical needs flip"):
        Augment(flip_vertical=True)


@pytest.mark.parametrize(("height", "width"), [(64, 128), (90, 50), (64, 64)])
@pytest.mark.parametrize("draw", [0.0, 0.3, 0.999])
def test_a_rotation_keeps_angles_and_lengths_of_images_of_any_shape(
    height: int, width: int, draw: float
) -> None:
    """Three dots, the middle and two on the axes, are as far apart after it as before."""
    rows, columns = np.mgrid[:height, :width]
    ways = {"middle": (0, 0), "right": (0, 10), "down": (10, 0)}

    def dot(down: int, right: int) -> np.ndarray:
        square = (rows - height / 2 - down) ** 2 + (columns - width / 2 - right) ** 2
        return np.exp(-square / 8)

    images = torch.from_numpy(np.stack([dot(*way) for way in ways.values()])[None]).float()
    params = drawn(Augment(degrees=30), 1, draw, width / height)
    rotated = warp(images, params)[0].numpy()
    places = [
        np.array([(dots * rows).sum(), (dots * columns).sum()]) / dots.sum() for dots in rotated
    ]
    right, down = places[1] - places[0], places[2] - places[0]
    assert np.allclose([np.hypot(*right), np.hypot(*down)], 10, atol=0.1)
    assert abs(right @ down) < 1  # of 100: a right angle
    turned = math.degrees(math.atan2(right[0], right[1]))
    assert math.isclose(turned, -(2 * draw - 1) * 30, abs_tol=0.5)


@pytest.mark.parametrize("recipe", WARPS)
def test_what_leaves_the_image_is_replaced_by_its_reflection(recipe: Augment) -> None:
    images, params = noise(40), sample_augmentations(np.arange(40), recipe, 0, 1)
    grid = F.affine_grid(params.affine, [40, 3, 16, 16], align_corners=False)
    reflected = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    assert torch.allclose(warp(images, params), reflected, atol=0.02)
    assert not torch.allclose(images, reflected, atol=10)


@pytest.mark.parametrize(
    ("recipe", "torchvisions"),
    [
        (Augment(brightness=0.4), lambda x: TV.adjust_brightness(x, 0.8)),
        (Augment(contrast=0.4), lambda x: TV.adjust_contrast(x, 0.8)),
        (Augment(saturation=0.4), lambda x: TV.adjust_saturation(x, 0.8)),
        (Augment(grayscale_p=0.4), lambda x: TV.rgb_to_grayscale(x, 3)),
    ],
)
def test_colors_change_as_in_torchvision(recipe: Augment, torchvisions: object) -> None:
    images = noise(4) / 255
    ours = augment(255 * images, drawn(recipe, 4, 0.25)) / 255
    # torchvision rounds the luma weights to .2989, .587, .114
    assert torch.allclose(ours, torchvisions(images), atol=1e-3)  # type: ignore[operator]


def test_hue_rotates_chroma_and_keeps_luma_and_gray() -> None:
    images = 100 + noise(4) / 10
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    gray = (images * weights).sum(1, keepdim=True).expand_as(images)
    params = drawn(Augment(hue=0.5), 4, 0.75)  # a quarter of a full turn
    rotated = color_jitter(images, params)
    assert torch.allclose((rotated * weights).sum(1), gray[:, 0], atol=0.05)
    assert torch.allclose(color_jitter(gray, params), gray, atol=0.05)
    back = color_jitter(rotated, drawn(Augment(hue=0.5), 4, 0.25))
    assert not torch.allclose(rotated, images, atol=1)
    assert torch.allclose(back, images, atol=0.01)


def test_color_jitter_p_is_the_share_of_images_whose_colors_change() -> None:
    images = noise(1).expand(400, -1, -1, -1)
    recipe = Augment(brightness=0.4, color_jitter_p=0.3)
    changed = augment(images, sample_augmentations(np.arange(400), recipe, 0, 1))
    share = (changed != images).flatten(1).any(1).float().mean()
    assert math.isclose(float(share), 0.3, abs_tol=0.08)


def test_the_default_recipe_changes_nothing() -> None:
    images = noise(4)
    assert torch.equal(augment(images, sample_augmentations(np.arange(4), Augment(), 0, 1)), images)


def bytes_of_noise() -> Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 3, 16, 16), dtype=np.uint8)
    return torch.from_numpy(pixels)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policys_draw_depends_on_the_address_of_its_image_alone(name: str) -> None:
    recipe = Augment(auto_augment=[name])  # type: ignore[list-item]
    rows, images = np.arange(12), bytes_of_noise()
    params = sample_augmentations(rows, recipe, 0, 1, 0)
    assert len(set(params.seeds.tolist())) == 12
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    together = augment(images, params)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    in_chunks = [augment(images[chunk], params[chunk]) for chunk in (slice(0, 5), slice(5, 12))]
    assert together.dtype == torch.uint8 and torch.equal(together, torch.cat(in_chunks))
    changed = (together != images).flatten(1).any(1)
    assert changed.sum() >= (1 if name == "blur" else 6)
    next_epoch = sample_augmentations(rows, recipe, 0, 2, 0)
    assert not set(params.seeds.tolist()) & set(next_epoch.seeds.tolist())


def test_steps_are_in_the_recipes_order() -> None:
    images, rows = bytes_of_noise(), np.arange(12)
    values = {"min_scale": 0.5, "contrast": 0.4, "grayscale_p": 0.3, "auto_augment": ["cutout"]}
    steps = {
        "auto_augment": lambda x, p: apply_policies(x, ["cutout"], p.seeds),
        "geometry": warp,
        "colors": transforms.change_colors,
    }
    results = []
    for order in permutations(steps):
        recipe = Augment(**values, order=list(order))
        params = sample_augmentations(rows, recipe, 0, 1)
        expected = images
        for step in order:
            expected = steps[step](expected, params)
        results.append(augment(images, params))
        assert torch.equal(results[-1], expected)
    assert all(not torch.equal(a, b) for a, b in combinations(results, 2))
    default = sample_augmentations(rows, Augment(**values), 0, 1)
    assert torch.equal(augment(images, default), results[0])


def test_black_fills_what_leaves_the_image_and_nothing_else() -> None:
    images, rows = 50 + noise(40) / 2, np.arange(40)
    for values in ({"degrees": 30}, {"translate": 0.2}, {"translate": 0.1, "min_scale": 0.5}):
        params = {
            fill: sample_augmentations(rows, Augment(**values, fill=fill), 0, 1)
            for fill in ("reflect", "black")
        }
        reflected, black = (warp(images, p) for p in params.values())
        grid = F.affine_grid(params["black"].affine, [40, 3, 16, 16], align_corners=False)
        outside = (grid.abs() > 1 + 1 / 16).any(-1)  # half a pixel beyond the outermost centers
        inside = (grid.abs() < 1 - 1 / 16).all(-1)
        assert outside.sum() > 100 and inside.sum() > 100
        assert (black.amax(1)[outside] == 0).all() and (reflected.amin(1) >= 49).all()
        assert torch.equal(black.movedim(1, -1)[inside], reflected.movedim(1, -1)[inside])


def test_views_share_the_policies_that_are_shared_and_only_those() -> None:
    rows, images = np.arange(12), bytes_of_noise()
    recipe = Augment(shared_auto_augment=["trivial_wide"])
    views = [augment(images, sample_augmentations(rows, recipe, 0, 1, view)) for view in (0, 1)]
    assert torch.equal(*views) and not torch.equal(views[0], images)
    later = augment(images, sample_augmentations(rows, recipe, 0, 2, 0))
    assert not torch.equal(later, views[0])
    recipe = Augment(shared_auto_augment=["trivial_wide"], flip=True)
    params = [sample_augmentations(rows, recipe, 0, 1, view) for view in (0, 1)]
    views = [augment(images, p) for p in params]
    assert not torch.equal(*views)
    flipped_back = [dihedral(v, p.symmetries) for v, p in zip(views, params, strict=True)]
    assert torch.equal(*flipped_back)
    own = Augment(auto_augment=["trivial_wide"])
    views = [augment(images, sample_augmentations(rows, own, 0, 1, view)) for view in (0, 1)]
    assert not torch.equal(*views)


@pytest.mark.parametrize("size", [(218, 178), (200, 300), (100, 400)])
@pytest.mark.parametrize("min_scale", [0.08, 0.75])
def test_crops_of_a_whole_image_are_distributed_as_torchvisions(
    size: tuple[int, int], min_scale: float
) -> None:
    height, width = size
    recipe = Augment(min_scale=min_scale, eval_resize=20)
    rows = np.arange(3000)
    maps = sample_augmentations(rows, recipe, 0, 1, ratio=width / height).affine.double()
    shares, centers = torch.stack([maps[:, 0, 0], maps[:, 1, 1]], 1), maps[:, :, 2]
    assert (centers.abs() + shares <= 1 + 1e-6).all()  # inside the image
    torch.manual_seed(0)
    crop, image = v2.RandomResizedCrop(8, (min_scale, 1)), torch.empty(3, height, width)
    theirs = torch.tensor([list(crop.make_params([image]).values())[:4] for _ in rows]).double()
    top, left, theirs_height, theirs_width = theirs.unbind(1)
    ours = {
        "width": width * shares[:, 0], "height": height * shares[:, 1],
        "left": width * (centers[:, 0] + 1 - shares[:, 0]) / 2,
        "top": height * (centers[:, 1] + 1 - shares[:, 1]) / 2,
    }  # fmt: skip
    expected = {"width": theirs_width, "height": theirs_height, "left": left, "top": top}
    levels = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95], dtype=torch.float64)
    for name, values in ours.items():
        side = width if name in ("width", "left") else height
        difference = values.quantile(levels) - expected[name].quantile(levels)
        assert difference.abs().max() < 0.03 * side, name
