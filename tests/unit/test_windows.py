"""Windows cover an image of any size, and their logits go back to where they came from."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from reprise.errors import RepriseError
from reprise.predict.windows import COVER, Scale, Windows, image_logits, label_map

SHAPE = (48, 64)
SIZES = [(48, 64), (48, 151), (200, 64), (49, 65), (131, 140), (20, 300), (100, 30), (7, 9), (1, 1)]


def label_maps(*arguments: Any) -> Iterator[np.ndarray]:
    return map(label_map, image_logits(*arguments))


def copied(pixels: np.ndarray) -> Tensor:
    """The logits of a network that predicts the value of each pixel, which is below 5."""
    ids = torch.from_numpy(pixels[..., 0]).long()
    return functional.one_hot(ids, 5).permute(0, 3, 1, 2).float()


def image_of(ids: np.ndarray) -> np.ndarray:
    return np.repeat(ids[..., None], 3, axis=2)


@pytest.mark.parametrize("size", SIZES)
def test_windows_cover_an_image_of_any_size_at_its_own_scale(size: tuple[int, int]) -> None:
    ids = np.random.default_rng(0).integers(0, 5, size, dtype=np.uint8)
    windows = Windows(image_of(ids), SHAPE, 1.0, "a.png")
    assert windows.scaled_size == windows.size == size
    assert all(windows.window(offset).shape == (*SHAPE, 3) for offset in windows.offsets)
    (mask,) = label_maps(copied, [windows], 4)
    assert np.array_equal(mask, ids)


def test_logits_are_averaged_where_windows_overlap() -> None:
    size, window = (40, 37), (16, 12)
    windows = Windows(np.zeros((*size, 3), np.uint8), window, 1.0, "a.png")
    logits = torch.randn(
        len(windows.offsets), 3, *window, generator=torch.Generator().manual_seed(0)
    )
    sums, counts = np.zeros((3, *size)), np.zeros(size)
    for one, (top, left) in zip(logits.numpy(), windows.offsets, strict=True):
        for row in range(window[0]):
            for column in range(window[1]):
                sums[:, top + row, left + column] += one[:, row, column]
                counts[top + row, left + column] += 1
    (mask,) = label_maps(lambda pixels: logits, [windows], len(logits))
    assert np.array_equal(mask, (sums / counts).argmax(0))
    assert counts.min() == 1 and counts[10:-10, 8:-8].min() >= 4  # they overlap by half


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_a_batch_has_windows_of_several_images(batch_size: int) -> None:
    rng, counts = np.random.default_rng(0), []
    maps = [rng.integers(0, 5, size, dtype=np.uint8) for size in SIZES]

    def network(pixels: np.ndarray) -> Tensor:
        counts.append(len(pixels))
        return copied(pixels)

    images = [Windows(image_of(ids), SHAPE, 1.0, "a.png") for ids in maps]
    masks = list(label_maps(network, images, batch_size))
    assert len(masks) == len(maps)
    assert all(np.array_equal(*pair) for pair in zip(masks, maps, strict=True))
    assert set(counts[:-1]) <= {batch_size} and counts[-1] <= batch_size
    assert sum(counts) == sum(len(windows.offsets) for windows in images)


@pytest.mark.parametrize(
    ("size", "scale", "scaled"),
    [
        ((24, 48), COVER, (48, 96)),
        ((300, 128), COVER, (150, 64)),
        ((10, 10), COVER, (64, 64)),
        ((300, 128), 0.5, (150, 64)),
        ((30, 33), 2.0, (60, 66)),
        ((33, 30), 0.1, (3, 3)),
    ],
)
def test_an_image_is_scaled_until_it_covers_a_window_or_by_a_factor(
    size: tuple[int, int], scale: Scale, scaled: tuple[int, int]
) -> None:
    # two halves, which stay where they are at every scale
    ids = np.broadcast_to(np.arange(size[1]) >= size[1] // 2, size).astype(np.uint8)
    windows = Windows(image_of(ids * 4), SHAPE, scale, "a.png")
    assert windows.size == size and windows.scaled_size == scaled
    (mask,) = label_maps(lambda pixels: copied(pixels // 2), [windows], 5)
    assert mask.shape == size
    blurred = np.abs(np.arange(size[1]) - size[1] // 2) <= 2 * size[1] / scaled[1]
    assert ((mask // 2 == ids) | blurred).all()


@pytest.mark.parametrize(
    ("size", "scale", "message"),
    [
        ((3, 900), COVER, "a.png: 900 x 3 pixels; the longer side may be at most 8 times"),
        ((3, 900), 0.1, "a.png: 900 x 3 pixels, 90 x 0 with --scale 0.1; raise it"),
        ((90, 90), 1e3, "a.png: 90 x 90 pixels, 90000 x 90000 with --scale 1000; at most 67,108,8"),
    ],
)
def test_a_size_that_is_not_supported_is_named(
    size: tuple[int, int], scale: Scale, message: str
) -> None:
    with pytest.raises(RepriseError) as error:
        Windows(np.zeros((*size, 3), np.uint8), SHAPE, scale, "a.png")
    assert str(error.value).startswith(message)
