"""The three roles of an image: train, select (the epoch is chosen on it), report (the table)."""

import warnings

import numpy as np
from numpy.typing import NDArray

from reprise.errors import RepriseError

ROLES = ("train", "select", "report")
PARTS = 20  # roles are cut in steps of 1/20


def split(
    groups: NDArray[np.int64], classes: NDArray[np.int64], select: float, report: float, seed: int
) -> NDArray[np.str_]:
    """A role for each image: a group (a place, a person) has one role, classes are balanced.

    groups, classes: (n,) ids; select, report: shares, met to the nearest twentieth.
    Raises RepriseError when there are fewer groups than parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # a second that training need not pay

    parts = min(PARTS, len(np.unique(groups)))
    if parts < len(ROLES):
        raise RepriseError(f"{parts} groups cannot fill three roles; make the blocks smaller")
    folds = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    roles = np.full(len(groups), "train", dtype="<U6")
    taken = (max(1, round(report * parts)), max(1, round(select * parts)))
    with warnings.catch_warnings():
        # a class that is rarer than the parts is balanced as far as it goes
        warnings.simplefilter("ignore")
        for part, (_, rows) in enumerate(folds.split(groups, classes, groups)):
            if part < taken[0]:
                roles[rows] = "report"
            elif part < sum(taken):
                roles[rows] = "select"
    return roles
