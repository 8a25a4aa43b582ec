"""The pixels of an image whose masks are shown, for figures and charts."""

import numpy as np

from reprise.datasets.prepared import Bytes, PreparedDataset
from reprise.metrics.confusion import center_crop
from reprise.params.segment import SegmentRecipe


def shown_pixels(
    dataset: PreparedDataset, image: str, recipe: SegmentRecipe, table: Bytes
) -> tuple[Bytes, Bytes]:
    """The pixels of an image, (H, W, 3), and its label map, (H, W), that a run was evaluated on.

    All of it, or its center with `augment.crop_pixels`. `table` (256,) merges the labels.
    """
    row = dataset.row(image)
    photo, labels = np.asarray(dataset.images[row]), table[dataset.labels[row]]
    if crop := recipe.augment.crop_pixels:
        photo, labels = (center_crop(pixels, crop, crop) for pixels in (photo, labels))
    return photo, labels
