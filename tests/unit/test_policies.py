"""Augmentation policies: torchvision's draws and pixels, by operation over a batch."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from support.fake_gpu import META, install, watching
from torch import Tensor
from torchvision.transforms import v2

from reprise.datasets import operations
from reprise.datasets.device import to_device
from reprise.datasets.operations import OPERATIONS
from reprise.datasets.policies import CUTOUT_PIXELS, apply_policies

TORCHVISIONS: dict[str, Any] = {
    "trivial_wide": v2.TrivialAugmentWide(),
    "autoaugment_cifar10": v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10),
    "cutout": v2.RandomErasing(p=1, scale=(1 / 16, 1 / 16), ratio=(1, 1), value=0),
    "blur": v2.RandomApply([v2.GaussianBlur(3, (1.0, 2.0))], p=0.2),
}
POLICIES = [*TORCHVISIONS, "cutout_16", "cutout_16_slip"]


def pictures(count: int, height: int, width: int) -> Tensor:
    """Smooth patches with some noise, one of one color and one of two, in the store's layout."""
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (count, 3, 3, 3)).repeat(-(-height // 3), 1)
    patches = patches.repeat(-(-width // 3), 2)[:, :height, :width]
    noisy = np.clip(patches + rng.integers(-20, 21, patches.shape), 0, 255).astype(np.uint8)
    noisy[0] = 90
    noisy[1] = [10, 20, 30]
    noisy[1, 0] = [200, 20, 30]
    return torch.from_numpy(noisy).permute(0, 3, 1, 2)


def by_torchvision(images: Tensor, names: list[str], seeds: np.ndarray) -> Tensor:
    """Each image by itself, with torch's generator at its seed."""
    changed = []
    for image, seed in zip(images, seeds.tolist(), strict=True):
        torch.manual_seed(seed)
        for name in names:
            image = TORCHVISIONS[name](image)
        changed.append(image)
    return torch.stack(changed)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (45, 60), (128, 128)])
@pytest.mark.parametrize(
    "names", [["trivial_wide"], ["autoaugment_cifar10"], ["cutout"],
              ["autoaugment_cifar10", "trivial_wide", "cutout"]],
)  # fmt: skip
def test_a_policy_gives_torchvisions_pixels(names: list[str], height: int, width: int) -> None:
    count = 150 if height < 100 else 40
    images, seeds = pictures(count, height, width), 7919 * np.arange(count)
    ours = apply_policies(images, names, seeds)
    assert ours.dtype == torch.uint8
    assert torch.equal(ours, by_torchvision(images, names, seeds))
    assert (ours != images).flatten(1).any(1).sum() > count / 2


def test_blur_differs_from_torchvision_by_rounding_only() -> None:
    images, seeds = pictures(200, 32, 48), np.arange(200)
    ours, theirs = apply_policies(images, ["blur"], seeds), by_torchvision(images, ["blur"], seeds)
    difference = (ours.int() - theirs.int()).abs()
    assert difference.max() <= 1 and (difference > 0).float().mean() < 1e-3
    changed = (ours != images).flatten(1).any(1)
    assert torch.equal(changed, (theirs != images).flatten(1).any(1)) and 20 < changed.sum() < 60


def test_every_operation_of_torchvision_is_drawn_and_known() -> None:
    spaces = [v2.TrivialAugmentWide._AUGMENTATION_SPACE, v2.AutoAugment._AUGMENTATION_SPACE]
    assert set().union(*spaces) <= set(OPERATIONS)


def test_an_operation_is_called_once_for_all_images_of_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: Counter[str] = Counter()
    images = 0

    def counting(name: str, operation: Any) -> Any:
        def call(batch: Tensor, values: Tensor) -> Tensor:
            nonlocal images
            calls[name] += 1
            images += len(batch)
            assert len(batch) == len(values)
            return operation(batch, values)

        return call

    for name, operation in OPERATIONS.items():
        monkeypatch.setitem(OPERATIONS, name, counting(name, operation))
    apply_policies(pictures(300, 8, 8), ["trivial_wide"], np.arange(300))
    assert set(calls.values()) == {1} and images == 300 and len(calls) == 14
    calls.clear()
    apply_policies(pictures(300, 8, 8), ["autoaugment_cifar10"], np.arange(300))
    assert max(calls.values()) == 2  # once for each of the two operations of a policy


def square(image: Tensor, changed: Tensor) -> tuple[int, int, int, int, Tensor]:
    """Top, bottom, left and right of what differs, and its values."""
    rows, columns = (changed != image).any(0).nonzero().unbind(1)
    edges = int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1
    return *edges, changed[:, edges[0] : edges[1], edges[2] : edges[3]]


def test_cutout_16_puts_the_images_mean_into_a_square_that_may_begin_outside() -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 200, (200, 3, 40, 50), dtype=torch.uint8)
    images[:, :, ::2] = 255  # so that the mean is not a value of the image by chance
    changed = apply_policies(images, ["cutout_16"], np.arange(200))
    sides = set()
    for image, result in zip(images, changed, strict=True):
        top, bottom, left, right, values = square(image, result)
        assert (values == int(image.double().mean())).all()
        assert bottom - top == 16 or top == 0 and 8 <= bottom - top < 16
        assert right - left == 16 or left == 0 and 8 <= right - left < 16
        sides.add((bottom - top, right - left))
    assert len(sides) > 5 and (16, 16) in sides


def test_the_slip_of_the_library_puts_the_left_edge_where_the_top_edge_is() -> None:
    images = torch.randint(0, 200, (200, 3, 40, 50), dtype=torch.uint8)
    right_one = apply_policies(images, ["cutout_16"], np.arange(200))
    slip = apply_policies(images, ["cutout_16_slip"], np.arange(200))
    empty = wide = 0
    for image, correct, result in zip(images, right_one, slip, strict=True):
        top, bottom, left, right, _ = square(image, correct)
        if left == 0:
            assert torch.equal(result, correct)
        elif top >= right:
            assert torch.equal(result, image)  # nothing is left of the square
            empty += 1
        else:
            found = square(image, result)[:4]
            assert found == (top, bottom, top, right)
            wide += right - top > CUTOUT_PIXELS
    assert empty > 5 and wide > 5


def test_floats_are_rounded_and_clipped_first_and_inputs_are_not_changed() -> None:
    images = pictures(20, 16, 16).float() + 0.4
    before = images.clone()
    ours = apply_policies(images, ["trivial_wide", "cutout"], np.arange(20))
    assert torch.equal(images, before)
    rounded = pictures(20, 16, 16)
    assert torch.equal(ours, apply_policies(rounded, ["trivial_wide", "cutout"], np.arange(20)))
    assert torch.equal(rounded, pictures(20, 16, 16))


def test_draws_leave_torchs_generator_alone() -> None:
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    apply_policies(pictures(20, 16, 16), POLICIES, np.arange(20))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_copy_to_a_gpu_is_not_waited_for_and_one_to_cpu_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch)
    values = torch.arange(3)
    with watching():
        assert to_device(values, META).device == META
        assert to_device(values, torch.device("cpu")) is values


@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_waits_for_a_gpu(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    images = torch.empty(200, 3, 24, 24, dtype=torch.uint8, device=META)
    with watching() as watcher:  # 200 draws include every operation
        changed = apply_policies(images, [policy], np.arange(200))
    assert changed.shape == images.shape
    assert watcher.names & {"grid_sampler_2d", "index_copy_", "bitwise_and"}


def test_squares_are_erased_on_a_gpu_as_on_cpu() -> None:
    """A GPU has a mask for all images; here with numbers, on CPU."""
    images = pictures(30, 20, 30)
    edges = torch.tensor([[i % 15, i % 15 + 5, i, i + 4, i % 2] for i in range(30)]).double()
    expected = OPERATIONS["Cutout"](images.clone(), edges)
    masked = operations._erase_by_mask(images, edges, operations._erased_values(images, edges))
    assert torch.equal(masked, expected) and not torch.equal(expected, images)
