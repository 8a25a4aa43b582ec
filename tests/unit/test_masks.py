"""Images with their truth and predicted label maps."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.figure_texts import texts

from reprise.atomic_io import write_json
from reprise.datasets.prepared import Classes
from reprise.errors import RepriseError
from reprise.evaluation.markdown import Missing
from reprise.figures.masks import colorize, masks
from reprise.figures.style import draw
from reprise.params.load import Params


def test_masks_have_the_colors_of_the_dataset_and_ignored_pixels_are_black() -> None:
    classes = Classes(("a", "b"), ((255, 0, 0), (0, 9, 255)), 2)
    painted = colorize(np.array([[0, 1, 2]], np.uint8), classes)
    assert painted.tolist() == [[[255, 0, 0], [0, 9, 255], [0, 0, 0]]]


def test_a_class_without_a_color_is_named() -> None:
    with pytest.raises(RepriseError, match=r"dataset\.json: a class has no color"):
        colorize(np.zeros((1, 1), np.uint8), Classes(("a", "b"), ((255, 0, 0),), None))


def test_a_row_for_each_image_and_columns_for_each_run(whole_results: Path, params: Params) -> None:
    written = texts(masks(whole_results, params, Missing(strict=True), "skips"))
    titles = {"skip\nearly", "merged\nearly", "image", "truth", "middle", "final", "wrong"}
    assert titles <= set(written)
    assert written.count("0012") == 2  # once for each set of classes
    assert sum(text.startswith("12: mIoU ") for text in written) == 2
    assert {"sea", "water"} <= set(written)  # the classes as they are, and the merged ones


def test_an_image_that_is_not_in_the_dataset_is_named(results: Path, params: Params) -> None:
    block = params.segment["baseline"].model_copy(update={"images": ["0777"]})
    with pytest.raises(RepriseError, match=r"index\.csv: no image '0777'"):
        draw("masks_baseline", results, params.model_copy(update={"segment": {"baseline": block}}))


def test_a_damaged_mask_stops_the_figure(results: Path, params: Params) -> None:
    (results / "segment/baseline/fcn/0/masks/0012_middle.png").write_bytes(b"not an image")
    with pytest.raises(RepriseError, match=r"0012_middle\.png: cannot be decoded"):
        draw("masks_baseline", results, params)


@pytest.mark.parametrize(
    ("lost", "cells", "epochs"),
    [("0012_middle.png", 1, 5), ("0013_final.png", 2, 5), ("epochs.json", 0, 0)],
)
def test_a_missing_mask_leaves_a_cell_that_says_so_and_the_rest(
    results: Path, params: Params, lost: str, cells: int, epochs: int
) -> None:
    (results / "segment/baseline/fcn/0/masks" / lost).unlink()
    missing = Missing()
    written = texts(masks(results, params, missing, "baseline"))
    assert written.count("missing") == cells
    assert sum(bool(re.match(r"\d+: mIoU ", text)) for text in written) == epochs
    assert sum("mIoU" in text for text in written) == 6 - (cells > 0)
    assert len(missing.reasons()) == 1 and lost in missing.reasons()[0]


def test_a_mask_without_its_epoch_is_named(results: Path, params: Params) -> None:
    path = results / "segment/baseline/fcn/0/masks/epochs.json"
    write_json(path, {"early": 1, "final": 3})
    with pytest.raises(RepriseError, match=r"epochs\.json: no epoch for 'middle'"):
        draw("masks_baseline", results, params)


def test_a_task_without_runs_has_a_figure_that_says_so(results: Path, params: Params) -> None:
    block = params.segment["skips"].model_copy(update={"runs": []})
    changed = params.model_copy(update={"segment": {"skips": block}})
    figure = masks(results, changed, Missing(), "skips")
    assert texts(figure) == ["No run, seed or image of segment skips in params.yaml."]
