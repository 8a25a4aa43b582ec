"""The figure of Segment Anything's masks."""

from pathlib import Path

import pytest
from support.figure_texts import texts

from reprise.errors import RepriseError
from reprise.evaluation.markdown import Missing
from reprise.figures.segment_anything import segment_anything
from reprise.figures.style import draw
from reprise.params.load import Params


def test_masks_of_a_random_network_are_called_that(whole_results: Path, params: Params) -> None:
    figure = segment_anything(whole_results, params, Missing(strict=True), "baseline", "tiny_one")
    written = texts(figure)
    assert "masks of a RANDOM network" in written and "no masks" in written
    assert "3 masks, medians: predicted IoU 0.800, stability 0.980" in written


def test_missing_outlines_stop_the_figure_or_are_marked(results: Path, params: Params) -> None:
    (results / "segment_anything/baseline/tiny_one/outlines/0013.png").unlink()
    expected = r"outlines/0013.png: not found; run `segment_anything` first"
    with pytest.raises(RepriseError, match=expected):
        draw("segment_anything_baseline_tiny_one", results, params)
    missing = Missing()
    written = texts(segment_anything(results, params, missing, "baseline", "tiny_one"))
    assert written.count("missing") == 1 and any(text.startswith("3 masks") for text in written)
    assert len(missing.reasons()) == 1 and "outlines/0013.png: not found" in missing.reasons()[0]
