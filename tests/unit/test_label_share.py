"""A training on a share of the labels has whole groups, the same ones for all runs of a seed."""

import numpy as np
import pytest
from support.small_datasets import small_dataset, write_and_read

from reprise.datasets.label_share import with_share_of_labels
from reprise.errors import RepriseError

GROUPS, PER_GROUP = 20, 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two classes of 20 groups of 3 train images each, two images in val and test."""
    labels = np.repeat(np.arange(2 * GROUPS) % 2, PER_GROUP).astype(np.uint8)
    groups = np.repeat([f"place_{i}" for i in range(2 * GROUPS)], PER_GROUP)
    labels, groups = np.append(labels, [0, 1, 0, 1]), [*groups, "v", "v", "t", "t"]
    splits = ["train"] * (2 * GROUPS * PER_GROUP) + ["val"] * 2 + ["test"] * 2
    images = np.zeros((len(labels), 4, 4, 3), np.uint8)
    images[:, 0, 0] = np.arange(len(labels))[:, None]
    folder = tmp_path_factory.mktemp("data") / "places"
    dataset = small_dataset(images, labels.astype(np.uint8), 2, splits, groups=np.array(groups))
    return write_and_read(folder, dataset)


@pytest.mark.parametrize(("share", "expected"), [(0.1, 2), (0.15, 3), (0.26, 6), (0.01, 1)])
def test_of_each_class_a_share_of_the_groups_rounded_up(data, share, expected):
    fewer = with_share_of_labels(data, share, seed=3)
    rows = fewer.rows("train")
    for label in (0, 1):
        of_class = rows[data.labels[rows] == label]
        assert len(np.unique(data.groups(of_class))) == expected
        assert len(of_class) == expected * PER_GROUP  # whole groups
    for split in ("val", "test"):
        assert list(fewer.rows(split)) == list(data.rows(split))


def test_a_smaller_share_is_part_of_a_larger_one_and_seeds_differ(data):
    quarter, half = (set(with_share_of_labels(data, s, 0).rows("train")) for s in (0.25, 0.5))
    assert quarter < half < set(data.rows("train"))
    assert quarter != set(with_share_of_labels(data, 0.25, 1).rows("train"))


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5, float("nan")])
def test_another_share_is_refused(data, share):
    with pytest.raises(RepriseError, match="must be above 0, and at most 1"):
        with_share_of_labels(data, share, 0)


def test_all_labels_is_the_dataset_itself(data):
    assert with_share_of_labels(data, 1.0, 0) is data
