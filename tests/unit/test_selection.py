"""Tasks without data or weights are cut from params.yaml as text, and come back as they were."""

import json
from pathlib import Path

import pytest

from reprise.engines.missing import missing_rows
from reprise.engines.preset import render
from reprise.engines.selection import (
    LeftOut,
    check_form,
    merged,
    restore,
    select,
    set_registered,
    without_data,
)
from reprise.errors import RepriseError
from reprise.params.load import Params, parse
from reprise.params.reader import parse_yaml

PRESETS = Path(__file__).parents[2] / "presets"
NAMES = ("dlcv2021", "dlcv2022", "dlcv2023", "dlcv2024", "cs6550", "course")
TEXT = """\
# Written by `make preset PRESET=mine`: a comment.

weights:                # of others
  vgg16:
    path: data/weights/vgg16.pth
    sha256: "397923af"
    torchvision: VGG16_Weights.IMAGENET1K_V1
  sl:
    path: data/weights/sl.pt
    sha256: null

datasets:
  tiles:
    source: course
    layout: deepglobe
    registered_as: dlcv_hw1   # chosen
    sha256: null              # not yet
    val: 0.1
  office:
    source: course
    layout: office_home
    registered_as: dlcv_hw1
    sha256: null
    val: 0.1
    size: 32

pretrain:
  ssl:
    data: office
    seeds: [0]
    runs:
      - byol                  # ours
      - supervised            # theirs
    recipes:
      byol: {method: byol, RECIPE, proj_hidden_dim: 8, augment: VIEWS}
      supervised: {method: supervised, weights: sl, RECIPE}

finetune:                 # settings
  # of the homework
  abc:
    data: office
    pretraining: ssl
    seeds: [0]
    runs: [A, B, C]           # printed
    common: {RECIPE, head_hidden_dim: 8, feature_epochs: [1]}
    recipes:
      A: {start: none, frozen: false}
      B: {start: supervised, frozen: false}
      C: {start: byol, frozen: false}

segment:
  maps:
    data: tiles
    seeds: [0]
    runs: [fcn]
    images: ["0001"]
    recipes:
      fcn: {model: fcn32s_vgg16, weights: vgg16, image_size: 32, epochs: 3, batch_size: 2, LEARN}

plot:
  dpi: 110
""".replace("RECIPE", "backbone: resnet10, stem: imagenet, epochs: 1, batch_size: 8, LEARN")
TEXT = TEXT.replace("LEARN", "optimizer: adam, learning_rate: 0.1, schedule: constant")
TEXT = TEXT.replace("VIEWS", "{min_scale: 0.5, brightness: 0.4, color_jitter_p: 1.0}")


def parsed(text: str) -> Params:
    return parse(parse_yaml(text))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_cut_from_a_preset_comes_back_byte_for_byte(name: str) -> None:
    text = render(name, PRESETS)
    params = parsed(text)
    for datasets in (*([dataset] for dataset in params.datasets), list(params.datasets)):
        for weights in ([], list(params.weights)[:1], list(params.weights)):
            smaller, left_out = select(text, datasets, weights)
            parsed(smaller)
            written = json.dumps(left_out.model_dump(), sort_keys=True)
            assert restore(smaller, LeftOut.model_validate_json(written)) == text


def test_a_task_needs_its_data_and_a_run_its_weights() -> None:
    assert parsed(TEXT)
    smaller, left_out = select(TEXT, ["office"], [])
    params = parsed(smaller)
    assert list(params.datasets) == ["office"] and params.segment == {}
    assert params.pretrain["ssl"].runs == ["byol"]
    assert params.finetune["abc"].runs == ["A", "C"]  # B starts from the supervised run
    assert "segment" not in smaller and "# of the homework" in smaller
    assert list(left_out.blocks) == ["datasets", "segment"]
    unused, _ = select(TEXT, ["office", "tiles"], [])
    assert list(parsed(unused).datasets) == ["office"]  # no task could use the tiles
    text, nothing = select(TEXT, ["office", "tiles"], ["vgg16", "sl"])
    assert text == TEXT and not nothing.blocks and not nothing.runs


def test_changes_by_hand_are_kept_where_a_task_is_cut_and_where_it_is_not() -> None:
    mine = TEXT.replace("epochs: 3, batch_size: 2", "epochs: 7, batch_size: 2")
    smaller, left_out = select(mine, ["office"], [])
    edited = smaller.replace("dpi: 110", "dpi: 90  # sharp").replace("[A, C]", "[A]")
    back = restore(edited, left_out)
    assert "epochs: 7, batch_size: 2" in back and "dpi: 90  # sharp" in back
    assert parsed(back).finetune["abc"].runs == ["A", "B"]  # without C, and B comes back
    assert parsed(back).pretrain["ssl"].runs == ["byol", "supervised"]
    assert "- supervised            # theirs" in back


def test_a_run_that_is_added_where_others_were_cut_stays_and_they_come_back() -> None:
    smaller, left_out = select(TEXT, ["office"], [])
    mine = smaller.replace("runs: [A, C]", "runs: [A, C, D]  # mine too")
    assert mine != smaller
    assert "runs: [A, B, C, D]  # mine too" in restore(mine, left_out)


def test_a_file_of_another_form_is_refused_and_not_cut_wrongly() -> None:
    for text, line in (
        (TEXT.replace("  tiles:\n", '  "tiles":\n'), "datasets.tiles: `make data` cuts tasks"),
        (TEXT.replace("dpi: 110", "dpi: &d 110\n  # *d"), None),
        (TEXT.replace("seeds: [0]", "seeds: &s [0]", 1).replace("seeds: [0]", "seeds: *s", 1),
         r"params.yaml: line \d+: \*s: `make data` cuts tasks from the text"),
    ):  # fmt: skip
        assert text != TEXT
        if line is None:
            check_form(text)
            continue
        with pytest.raises(RepriseError, match=line):
            check_form(text)
    flow = TEXT.replace("    sha256: null              # not yet\n", "")
    with pytest.raises(RepriseError, match=r"datasets.tiles: `make data` writes registered_as"):
        set_registered(flow, {"tiles": ("x", "a" * 64)})


def test_what_is_kept_before_a_selection_brings_back_the_text_before_and_after_it() -> None:
    """So that a kill between the two files loses no task."""
    one, cut_one = select(TEXT, ["office"], [])
    two, cut_two = select(restore(one, cut_one), ["tiles"], ["vgg16"])
    both = merged(cut_one, cut_two)
    for text in (one, two):
        assert parsed(restore(text, both)) == parsed(TEXT)
    assert merged(LeftOut(), cut_one) == cut_one and merged(cut_one, LeftOut()) == cut_one


def test_what_was_cut_from_another_preset_does_not_come_back() -> None:
    smaller, left_out = select(TEXT, ["office"], [])
    other = smaller.replace("PRESET=mine", "PRESET=other")
    assert restore(other, left_out) == other
    assert restore(TEXT, left_out) == TEXT
    assert restore(TEXT, LeftOut()) == TEXT


def test_what_is_missing_is_listed_with_where_to_get_it() -> None:
    tiles, sl = missing_rows(parsed(TEXT), ["office"], ["vgg16"])
    assert (tiles["kind"], tiles["name"], tiles["tables"]) == (
        "dataset", "tiles", "segment.maps (fcn)",
    )  # fmt: skip
    assert tiles["what"] == "images in the layout deepglobe"
    assert tiles["where"].startswith("make data FROM=..., with the HW1 archive of NTU DLCV")
    assert (sl["kind"], sl["name"]) == ("weights", "sl")
    assert sl["tables"] == "pretrain.ssl (supervised); finetune.abc (B)"
    assert sl["what"] == "the file data/weights/sl.pt"
    assert sl["where"] == "the course's archive, which `make data` searches, or its author"
    assert missing_rows(parsed(TEXT), ["office", "tiles"], ["vgg16", "sl"]) == []
    address = "torchvision: VGG16_Weights.IMAGENET1K_V1"
    for other in (address, "timm: vgg16.tv_in1k", "url: https://example.org/vgg16.pth"):
        text = TEXT.replace(address, other)
        (row,) = missing_rows(parsed(text), ["office", "tiles"], ["sl"])
        assert row["where"] == "make weights NAME=vgg16"


def test_name_and_sha256_are_written_and_comments_are_kept() -> None:
    text = set_registered(TEXT, {"tiles": ("here", "a" * 64)})
    assert '    registered_as: "here" # chosen\n' in text
    assert '    sha256: "aaaa' in text and 'aaaa" # not yet\n' in text
    year = set_registered(TEXT, {"tiles": ("2023", "1" * 64)})
    assert parsed(year).datasets["tiles"].registered_as == "2023"  # type: ignore[union-attr]
    assert parsed(text).datasets["tiles"].registered_as == "here"  # type: ignore[union-attr]
    assert parsed(text).datasets["office"].registered_as == "dlcv_hw1"  # type: ignore[union-attr]
    assert set_registered(text, {"tiles": ("here", "a" * 64)}) == text
    assert without_data(text) == without_data(TEXT) != text
    assert 'sha256: "397923af"' in without_data(text)  # of weights
