"""A training on a share of the labels, as semi-supervised evaluation does (Chen et al., 2020, 4.2).

SimCLR draws 1 % or 10 % of the images of each class. Here whole groups are drawn: images of one
place show much the same, so that a share of the images of every group would hide how few places are
labelled.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reprise.datasets.prepared import PreparedDataset
from reprise.datasets.rng import uniform
from reprise.errors import RepriseError

UNLABELLED = "unlabelled"  # the split of the train images whose labels are not used
DRAW = -2  # in the place of an epoch, so that the draw is independent of those of a training


def with_share_of_labels(data: PreparedDataset, share: float, seed: int) -> PreparedDataset:
    """The dataset with fewer train images: of each class, a share of the groups that have it.

    share: in (0, 1]; rounded up, so every class keeps a group. The groups depend on the seed alone:
    all runs of a seed have the same ones, and those of a smaller share are among those of a larger
    one. The other train images get the split `UNLABELLED`, which nothing reads. Raises RepriseError
    for another share.
    """
    if not 0 < share <= 1:
        raise RepriseError(f"labels: {share}: must be above 0, and at most 1")
    if share == 1:
        return data
    train = data.require_rows("train")
    labels, groups = np.asarray(data.labels)[train], data.groups(train)
    kept = np.zeros(len(train), bool)
    for label in np.unique(labels):
        of_class = labels == label
        names = np.unique(groups[of_class])
        order = np.argsort(uniform(seed, DRAW, names, int(label), 1)[:, 0], kind="stable")
        count = int(np.ceil(round(share * len(names), 9)))  # 0.1 * 30 is above 3
        kept |= of_class & np.isin(groups, names[order[:count]])
    index = data.index.copy()
    index.loc[train[~kept], "split"] = UNLABELLED
    return replace(data, index=index)


def mean_labels(data: PreparedDataset, share: float, seeds: Sequence[int]) -> float:
    """The number of labeled train images of such a training, as the mean over its seeds."""
    counts = [len(with_share_of_labels(data, share, seed).rows("train")) for seed in seeds]
    return float(np.mean(counts))
