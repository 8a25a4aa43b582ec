"""Blocks of params.yaml as text: cut and put together without losing a comment."""

from pathlib import Path

import pytest

from reprise.engines.blocks import read_sections, union, write_sections
from reprise.errors import RepriseError

PRESETS = Path(__file__).parents[2] / "presets"
COMPLETE = ["cs6550", "dlcv2021", "dlcv2022", "dlcv2023", "dlcv2024", "earth"]
ONE = """\
# mine

datasets:               # all of them
  # of tiles
  a:
    size: 1             # small

  b:
    size: 2
    # the end of b

plot:
  dpi: 10
"""


@pytest.mark.parametrize(
    "name", ["earth", "dlcv2021", "dlcv2022", "dlcv2023", "dlcv2024", "cs6550"]
)
def test_a_preset_is_the_text_of_its_blocks(name: str) -> None:
    assert name in COMPLETE
    text = (PRESETS / f"{name}.yaml").read_text()
    assert write_sections(read_sections(text)) == text


def test_a_block_has_the_comments_above_it_and_inside_it() -> None:
    sections = read_sections(ONE)
    assert list(sections) == ["", "datasets", "plot"]
    assert sections["datasets"].blocks["a"].startswith("  # of tiles\n  a:\n")
    assert sections["datasets"].blocks["b"].rstrip().endswith("# the end of b")
    assert sections["plot"].blocks == {}
    del sections["datasets"].blocks["a"]
    text = write_sections(sections)
    assert "# of tiles" not in text and "size: 2" in text and "# all of them" in text


def test_a_section_without_its_blocks_is_left_out() -> None:
    sections = read_sections(ONE)
    sections["datasets"].blocks.clear()
    assert write_sections(sections) == "# mine\n\nplot:\n  dpi: 10\n"
    assert write_sections(read_sections("embed: {} # none\n")) == "embed: {} # none\n"


def test_the_union_has_equal_blocks_once_and_refuses_different_ones() -> None:
    other = "datasets:\n  b:\n    size: 2\n    # the end of b\n  c:\n    size: 3\n"
    text = union("# both", {"one": ONE, "two": other}, ["datasets", "plot"])
    assert text.startswith("# both\n\ndatasets:               # all of them\n")
    assert [text.count(f"  {name}:") for name in "abc"] == [1, 1, 1]
    with pytest.raises(RepriseError, match=r"two: datasets\.b differs from that of one; rename"):
        union("", {"one": ONE, "two": other.replace("size: 2", "size: 9")}, ["datasets"])
