"""Windows cover an image of any size, and their logits go back to where they came from."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from reprise.predict.windows import merge, split


@pytest.mark.parametrize("size", [(64, 64), (64, 151), (200, 64), (64, 65)])
def test_windows_cover_an_image_and_are_merged_at_their_offsets(size: tuple[int, int]) -> None:
    ids = np.random.default_rng(0).integers(0, 5, size, dtype=np.uint8)
    windows = split(np.repeat(ids[..., None], 3, axis=2), (64, 64), "a.png")
    assert windows.pixels.shape[1:] == (64, 64, 3)
    assert len(windows.pixels) == len(windows.offsets)
    # the logits of a network that predicts each pixel's value
    classes = torch.from_numpy(windows.pixels[..., 0]).long()
    logits = functional.one_hot(classes, 5).permute(0, 3, 1, 2).float()
    assert np.array_equal(merge(logits, windows).numpy(), ids)


@pytest.mark.parametrize(
    ("size", "scaled"),
    [((32, 48), (64, 96)), ((300, 128), (150, 64)), ((10, 10), (64, 64))],
)
def test_an_image_is_scaled_until_it_covers_the_training_size(
    size: tuple[int, int], scaled: tuple[int, int]
) -> None:
    windows = split(np.zeros((*size, 3), np.uint8), (64, 64), "a.png")
    assert windows.scaled_size == scaled
    logits = torch.zeros(len(windows.pixels), 2, 64, 64)
    assert tuple(merge(logits, windows).shape) == size
