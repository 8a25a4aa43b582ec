"""Images that show the same place: tiles that share an edge, and frames of one clip.

The courses' own splits separate neither: a tile of the test split can continue a tile of train, and
the frames of CamVid's val are a clip between two frames of train.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reprise.datasets.prepared import Bytes

Rows = NDArray[np.int64]
SIDES = ("left", "right", "top", "bottom")
STEP = 8  # pixels of a border that are averaged
# Two borders match if each is the other's nearest, at a root mean square of at most MAX_DISTANCE
# gray levels, and the second nearest is at least twice as far; MIN_STD is of the gray levels along
# the border, because plain ones match anything. Of the 2,257 tiles of NTU DLCV 2022, 2,174 borders
# match; against mirrored borders, where every match is chance, none does.
MAX_DISTANCE, MAX_RATIO, MIN_STD = 12.0, 0.5, 8.0
FRAME = re.compile(r"([0-9]*[A-Za-z]\w*?)_[a-z]?([0-9]+)")  # 0001TP_006690, Seq05VD_f00030
BLOCK = 25  # frames of one clip in a group


@dataclass(frozen=True)
class Groups:
    """What belongs together.

    names: the group of each image. linked: from the splits of the images, (n,), to whether an image
    of another split touches one of train, (n,) bool. words: for one group and for many. touching:
    what that means.
    """

    names: list[str]
    linked: Callable[[NDArray[np.str_]], NDArray[np.bool_]]
    words: dict[str, str]
    touching: str


class Borders:
    """The borders of tiles, collected while the tiles are read."""

    def __init__(self, count: int) -> None:
        self.sums: list[NDArray[np.float64] | None] = [None] * count

    def add(self, row: int, image: Bytes) -> None:
        """Keep the sums of STEP pixels along the four borders of an image (H, W, 3).

        They are whole numbers, so that products of them are exact on every machine.
        """
        edges = image[:, 0], image[:, -1], image[0], image[-1]
        steps = min(map(len, edges)) // STEP
        cut = [edge[: steps * STEP].reshape(steps, STEP, 3).sum(axis=1) for edge in edges]
        self.sums[row] = np.array(cut, np.float64).reshape(len(SIDES), -1)

    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of tiles that share an edge: right with left, bottom with top.

        Tiles of another size than most have no pair.
        """
        sizes = [-1 if sums is None else sums.shape[1] for sums in self.sums]
        size = max(set(sizes), key=sizes.count, default=-1)
        rows = np.array([row for row, number in enumerate(sizes) if number == size], np.int64)
        if size <= 0 or len(rows) < 3:
            return []
        sums = np.stack([s for s in self.sums if s is not None and s.shape[1] == size], axis=1)
        pairs: list[tuple[int, int]] = []
        for one, other in (("right", "left"), ("bottom", "top")):
            pairs += matches(sums[SIDES.index(one)], sums[SIDES.index(other)])
        return [(int(rows[a]), int(rows[b])) for a, b in pairs]


def matches(one: NDArray[np.float64], other: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (i, j) of borders, (n, values) each, where other[j] continues one[i]."""
    levels = one.reshape(len(one), -1, 3).mean(axis=2) / STEP
    distances = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    np.fill_diagonal(distances, np.inf)  # a tile does not continue itself
    nearest = distances.argmin(axis=1)
    mutual = distances.argmin(axis=0)[nearest] == np.arange(len(one))
    best, second = np.sqrt(np.partition(distances, 1, axis=1)[:, :2]).T
    near = best < MAX_DISTANCE * STEP * np.sqrt(one.shape[1])
    clear = levels.std(axis=1) > MIN_STD
    rows = np.flatnonzero(mutual & near & clear & (best < MAX_RATIO * second))
    return list(zip(rows.tolist(), nearest[rows].tolist(), strict=True))


def tile_groups(names: Sequence[str], in_test: NDArray[np.bool_], borders: Borders) -> Groups:
    """Tiles of a split that share edges, directly or over others of the split, are a group.

    names: of the tiles. in_test: whether a tile is of the course's val split, (n,).
    """
    pairs = borders.pairs()
    within = [(a, b) for a, b in pairs if in_test[a] == in_test[b]]

    def linked(splits: NDArray[np.str_]) -> NDArray[np.bool_]:
        touching = np.zeros(len(names), bool)
        for a, b in pairs:
            touching[a] |= splits[b] == "train"
            touching[b] |= splits[a] == "train"
        touching[splits == "train"] = False
        return touching

    firsts = connected(len(names), within)
    return Groups(
        [names[first] for first in firsts],
        linked,
        {"one": "group of adjoining tiles", "many": "groups of adjoining tiles"},
        "share an edge with a tile of the train split",
    )


def connected(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """For each of `count` members, the first one that pairs connect it with."""
    first = list(range(count))

    def root(member: int) -> int:
        while first[member] != member:
            first[member] = member = first[first[member]]
        return member

    for a, b in pairs:
        one, other = sorted((root(a), root(b)))
        first[other] = one
    return [root(member) for member in range(count)]


def frame_groups(
    names: Sequence[str], splits: Sequence[str], ids: Sequence[str], size: int = BLOCK
) -> Groups:
    """Frames of one clip in a row, about `size` of a split, are a group, named by its first id.

    names: of the frames, such as 0001TP_006690 (clip and number). splits: of the folder. A name of
    another form is its own clip.
    """
    frames = [(split, *clip_and_number(name)) for split, name in zip(splits, names, strict=True)]
    order = sorted(range(len(names)), key=lambda row: frames[row])
    groups = [""] * len(names)
    for clip in sorted({frame[:2] for frame in frames}):
        rows = [row for row in order if frames[row][:2] == clip]
        for block in np.array_split(np.array(rows), max(1, round(len(rows) / size))):
            for row in block:
                groups[row] = ids[block[0]]
    clips = np.array([clip for _, clip, _ in frames])

    def linked(splits: NDArray[np.str_]) -> NDArray[np.bool_]:
        # a name of another form is not that of a clip
        filmed = set(clips[splits == "train"].tolist()) - set(names)
        touching: NDArray[np.bool_] = np.isin(clips, sorted(filmed))
        touching[splits == "train"] = False
        return touching

    return Groups(
        groups,
        linked,
        {"one": "block of frames", "many": "blocks of frames"},
        "are of a clip of which the train split has frames too",
    )


def clip_and_number(name: str) -> tuple[str, int]:
    """The clip of a frame and its number in it; the name and 0 if it has another form."""
    match = FRAME.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, 0)
