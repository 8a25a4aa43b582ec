"""Images of one place are one group: tiles that share an edge, frames of a clip."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reprise.datasets.neighbors import (
    BLOCK,
    Borders,
    clip_and_number,
    connected,
    frame_groups,
    tile_groups,
)
from reprise.datasets.splits import cut_by_group

SIDE = 128


def globe(rows: int, columns: int, seed: int) -> NDArray[np.uint8]:
    """A smooth random picture of rows x columns tiles, (height, width, 3)."""
    draws = np.random.default_rng(seed)
    small = draws.integers(0, 256, (rows * 6, columns * 6, 3), dtype=np.uint8)
    size = (columns * SIDE, rows * SIDE)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))


def tiles(picture: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The tiles of a picture, row by row."""
    return [
        picture[top : top + SIDE, left : left + SIDE]
        for top in range(0, len(picture), SIDE)
        for left in range(0, picture.shape[1], SIDE)
    ]


def borders(images: list[NDArray[np.uint8]]) -> Borders:
    collected = Borders(len(images))
    for row, image in enumerate(images):
        collected.add(row, image)
    return collected


def test_exactly_the_tiles_that_share_an_edge_are_pairs() -> None:
    images = tiles(globe(3, 4, 0))
    expected = {(i, i + 1) for i in range(12) if i % 4 < 3} | {(i, i + 4) for i in range(8)}
    order = np.random.default_rng(1).permutation(12)
    pairs = borders([images[i] for i in order]).pairs()
    assert {tuple(int(order[i]) for i in pair) for pair in pairs} == expected
    noisy = [np.clip(i + np.random.default_rng(2).normal(0, 4, i.shape), 0, 255) for i in images]
    assert set(borders([i.astype(np.uint8) for i in noisy]).pairs()) == expected


def test_strangers_mirrored_neighbors_and_plain_tiles_are_no_pairs() -> None:
    strangers = [tiles(globe(1, 1, seed))[0] for seed in range(40)]
    assert borders(strangers).pairs() == []
    turned = [
        image[::-1, ::-1] if (row // 4 + row) % 2 else image
        for row, image in enumerate(tiles(globe(4, 4, 0)))
    ]
    assert borders(turned).pairs() == []
    assert borders([np.full((SIDE, SIDE, 3), 90, np.uint8)] * 9).pairs() == []


def test_tiles_of_other_sizes_and_few_tiles_have_no_pair() -> None:
    images = tiles(globe(3, 3, 0))
    images[4] = images[4][:20, :20]
    assert all(4 not in pair for pair in borders(images).pairs())
    assert borders(images[:2]).pairs() == borders([]).pairs() == []
    assert borders([image[:5, :5] for image in images]).pairs() == []


def test_adjoining_tiles_are_a_group_within_a_split_and_linked_across() -> None:
    images = tiles(globe(1, 6, 3)) + [tiles(globe(1, 1, 9))[0]]
    in_test = np.array([False, False, True, True, False, False, True])
    groups = tile_groups(list("abcdefg"), in_test, borders(images))
    assert groups.names == ["a", "a", "c", "c", "e", "e", "g"]
    splits = np.where(in_test, "test", "train")
    assert groups.linked(splits).tolist() == [False, False, True, True, False, False, False]
    splits[4:6] = "val"  # so no tile of train is at the right of the test tiles
    assert groups.linked(splits).tolist() == [False, False, True, False, False, False, False]


def test_members_are_connected_over_others() -> None:
    assert connected(6, [(4, 5), (0, 2), (2, 4)]) == [0, 1, 0, 3, 0, 0]
    assert connected(3, []) == [0, 1, 2]


def test_frames_of_a_clip_are_cut_into_blocks_in_their_order() -> None:
    names = [f"0001TP_{30 * i:06d}" for i in range(2 * BLOCK)] + ["0006R0_f00001", "odd"]
    order = np.random.default_rng(0).permutation(len(names))
    shuffled = [names[i] for i in order]
    groups = frame_groups(shuffled, ["train"] * len(names), shuffled)
    of = dict(zip(shuffled, groups.names, strict=True))
    assert {of[name] for name in names[:BLOCK]} == {names[0]}
    assert {of[name] for name in names[BLOCK : 2 * BLOCK]} == {names[BLOCK]}
    assert of["0006R0_f00001"] == "0006R0_f00001" and of["odd"] == "odd"


def test_a_split_that_films_a_clip_of_train_is_linked() -> None:
    names = ["a_1", "a_2", "b_1", "0007", "a_3", "c_1", "0007"]
    splits = ["train", "train", "train", "train", "val", "test", "test"]
    ids = [f"train_{n}" if s == "train" else n for n, s in zip(names, splits, strict=True)]
    groups = frame_groups(names, splits, ids)
    assert groups.names == ["train_a_1", "train_a_1", *ids[2:]]
    linked = groups.linked(np.array(splits))
    assert linked.tolist()[4:] == [True, False, False]  # 0007 is of no clip
    # a clip that is in val as a whole touches nothing
    splits = ["val", "val", "train", "train", "val", "test", "test"]
    assert not groups.linked(np.array(splits)).any()


def test_names_of_camvids_frames() -> None:
    assert clip_and_number("0001TP_006690") == ("0001TP", 6690)
    assert clip_and_number("Seq05VD_f00030") == ("Seq05VD", 30)
    assert clip_and_number("0006R0_f00930") == ("0006R0", 930)
    for name in ("sunset", "0001", "12_34"):  # of no clip
        assert clip_and_number(name) == (name, 0)


def test_val_is_whole_groups_of_about_its_share() -> None:
    groups = [name for name, size in zip("abcdefgh", (1, 9, 2, 3, 40, 5, 20, 20), strict=True)
              for _ in range(size)]  # fmt: skip
    candidates = np.array([name != "h" for name in groups])
    for seed in range(20):
        rows = cut_by_group(groups, candidates, 0.1, seed)
        names = {groups[row] for row in rows}
        assert "h" not in names and 5 <= len(rows) <= 12
        assert all(set(np.flatnonzero(np.array(groups) == name)) <= set(rows) for name in names)
    assert len(cut_by_group(list("aaaabbbb"), np.ones(8, bool), 0.1, 0)) == 4
    assert len(cut_by_group(list("aaaa"), np.ones(4, bool), 0.2, 0)) == 0
    assert len(cut_by_group(list("abcd"), np.ones(4, bool), 0.0, 0)) == 0
