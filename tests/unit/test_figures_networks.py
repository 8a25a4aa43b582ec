"""The figure of layer groups."""

from pathlib import Path

import pandas as pd
from support.figure_texts import texts

from reprise.evaluation.markdown import Missing
from reprise.figures.networks import FLAT, box_height, follows, networks, si, skips
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


def groups(model: str) -> pd.DataFrame:
    """The groups of an encoder with four sizes and a decoder that goes back."""
    encoder = [(f"stages.{i}", f"8 x {size} x {size}") for i, size in enumerate((32, 16, 8, 4))]
    decoder = [(f"ups.{i}", f"8 x {size} x {size}") for i, size in enumerate((8, 16, 32))]
    frame = pd.DataFrame(encoder + decoder, columns=["group", "output"])
    return frame.assign(model=model)


def test_skip_connections_are_those_of_the_network() -> None:
    assert skips(groups("fcn8s")) == [(2, 4), (1, 5)]  # the first two
    assert skips(groups("fcn8s_vgg16")) == [(2, 4), (1, 5)]
    assert skips(groups("unet")) == [(2, 4), (1, 5), (0, 6)]
    assert skips(groups("fcn8s_noskip")) == skips(groups("fcn32s")) == []


def test_networks_with_and_without_skips_are_different_pictures(
    whole_results: Path, params: Params
) -> None:
    table = pd.read_csv(whole_results / "tables" / "layers.csv")
    drawn = networks(whole_results, params, Missing(strict=True)).axes
    named = {axes.get_title(loc="left"): axes for axes in drawn}
    blocks = table[table["layers"].str.contains("BasicBlock")]
    resnet = next(axes for title, axes in named.items() if title.startswith("resnet10: finetune"))
    of_run = blocks[(blocks["stage"] == "finetune") & (blocks["run"] == "A")]
    assert len(resnet.lines) == len(of_run) > 0  # a residual connection for each


def test_a_target_network_is_drawn_where_one_follows(whole_results: Path, params: Params) -> None:
    assert follows(params, "pretrain", "tiny", "byol")
    assert not follows(params, "pretrain", "tiny", "supervised")
    assert not follows(params, "finetune", "tiny", "C")
    written = texts(networks(whole_results, params, Missing(strict=True)))
    assert sum(text.startswith("target network: ") for text in written) == 1
