"""The figure of layer groups."""

from pathlib import Path

from support.figure_texts import texts

from reprise.evaluation.markdown import Missing
from reprise.figures.networks import FLAT, box_height, networks, si
from reprise.params.load import Params


def test_a_box_is_as_tall_as_the_logarithm_of_its_output() -> None:
    assert box_height("3 x 64 x 64", "3 x 64 x 64") == 1
    assert box_height("512", "3 x 64 x 64") == FLAT
    halves = [box_height(f"8 x {size} x {size}", "3 x 64 x 64") for size in (32, 16, 8)]
    steps = [halves[0] - halves[1], halves[1] - halves[2]]
    assert abs(steps[0] - steps[1]) < 1e-12 and steps[0] > 0


def test_counts_have_three_digits_and_a_prefix() -> None:
    assert [si(n) for n in (7, 999, 1234, 25_557_032, 4_100_000_000)] == [
        "7", "999", "1.23 k", "25.6 M", "4.1 G",
    ]  # fmt: skip


def test_networks_of_one_shape_share_a_row(whole_results: Path, params: Params) -> None:
    written = texts(networks(whole_results, params, Missing(strict=True)))
    rows = [text for text in written if text.startswith("resnet10: ") and "finetune" in text]
    assert len(rows) == 1 and all(f" {run}" in rows[0] for run in "ABCDE")
