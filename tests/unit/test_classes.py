"""Classes of label maps: groupings cover every class, and DeepGlobe's colors decode."""

import numpy as np
import pytest

from reprise.datasets import classes
from reprise.datasets.classes import DEEPGLOBE, decode_mask, encode_mask

COLORS = np.array([*(rgb for _, rgb in DEEPGLOBE), (0, 0, 0), (255, 0, 0)], np.uint8)


def test_colors_come_back_and_black_and_red_are_unknown() -> None:
    ids = np.arange(7, dtype=np.uint8)
    assert np.array_equal(encode_mask(ids), COLORS[:7])
    assert np.array_equal(decode_mask(COLORS), [0, 1, 2, 3, 4, 5, 6, 6])
    blurred = np.where(COLORS > 0, 128, 127).astype(np.uint8)
    assert np.array_equal(decode_mask(blurred), decode_mask(COLORS))
    with pytest.raises(ValueError, match="id 7 has no color"):
        encode_mask(np.array([7], np.uint8))


@pytest.mark.parametrize(
    ("table", "sources", "targets"),
    [
        (classes.IGBP_TO_DEEPGLOBE, classes.IGBP, [*classes.DEEPGLOBE, "unknown"]),
        (classes.IGBP_TO_GROUPS, classes.IGBP, [*classes.IGBP_GROUPS, "void"]),
        (classes.GROUPS_TO_THREE, classes.IGBP_GROUPS, classes.THREE_GROUPS),
        (classes.CAMVID_TO_THREE, [*classes.CAMVID, "void"], classes.CAMVID_THREE),
    ],
)
def test_a_grouping_has_a_target_for_each_class_and_uses_all_targets(
    table: tuple[int, ...], sources: tuple[object, ...], targets: tuple[object, ...]
) -> None:
    assert len(table) == len(sources)
    assert set(table) == set(range(len(targets)))


def test_wetland_alone_has_no_class_in_label_maps() -> None:
    for table, ignore in (
        (classes.IGBP_TO_DEEPGLOBE, classes.UNKNOWN),
        (classes.IGBP_TO_GROUPS, classes.IGBP_GROUPS_VOID),
    ):
        ignored = [name for name, new in zip(classes.IGBP, table, strict=True) if new == ignore]
        assert ignored == ["permanent wetland"]


def test_entries_are_numbered_with_names_and_colors() -> None:
    assert classes.CAMVID_MAPS["merged"]["3"]["classes"][1] == {
        "id": 1, "name": "background", "color": [128, 0, 0],
    }  # fmt: skip
