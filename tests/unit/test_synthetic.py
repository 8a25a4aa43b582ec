"""Synthetic data in the courses' layouts says that it is synthetic, and is always the same."""

import numpy as np
from support.course_folders import COUNT, recipe

from reprise.datasets.course import prepare


def test_synthetic_data_says_what_it_is_and_is_reproducible() -> None:
    dataset = prepare(recipe("deepglobe", synthetic_per_class=COUNT))
    assert dataset.source.startswith("a small sample") and "not the course's" in dataset.note
    again = prepare(recipe("deepglobe", synthetic_per_class=COUNT))
    assert np.array_equal(dataset.images, again.images)
    assert np.array_equal(dataset.labels, again.labels)


def test_mini_imagenet_has_labels_for_want_of_supervised_weights() -> None:
    dataset = prepare(recipe("mini_imagenet", synthetic_per_class=COUNT))
    assert not dataset.unlabelled and len(dataset.classes) == 8
