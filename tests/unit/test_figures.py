"""Promises of the figures."""

import io
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from reprise.errors import RepriseError
from reprise.evaluation.holes import Holes
from reprise.evaluation.prepared import Labels
from reprise.figures.anything import anything
from reprise.figures.curves import curves
from reprise.figures.draw import FIGURES, draw
from reprise.figures.embeddings import embeddings
from reprise.figures.finetune import finetune
from reprise.figures.iou import iou
from reprise.figures.masks import masks, paint
from reprise.figures.style import house_style, mark
from reprise.files import write_json
from reprise.params import Params


def texts(figure: Figure) -> list[str]:
    """Everything that is written in a figure."""
    with house_style():
        figure.canvas.draw()
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return [artist.get_text() for artist in found if artist.get_text()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same_bytes_when_made_again(
    whole_results: Path, params: Params, name: str
) -> None:
    made = (whole_results / "figures" / f"{name}.png").read_bytes()
    vector = (whole_results / "vector" / f"{name}.svg").read_bytes()
    assert draw(name, whole_results, params) == (made, vector)
    with Image.open(io.BytesIO(made)) as image:
        assert "Software" not in image.info
        assert min(image.size) > 90
    assert mpl.__version__.encode() not in vector and b"<dc:date>" not in vector


def test_a_users_own_matplotlib_settings_change_nothing(
    whole_results: Path, params: Params
) -> None:
    made = (whole_results / "figures" / "finetune.png").read_bytes()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "lines.linewidth": 9}):
        assert draw("finetune", whole_results, params).png == made
        assert mpl.rcParams["font.size"] == 30


def test_masks_of_a_random_network_are_called_that_in_the_figure(
    results: Path, params: Params
) -> None:
    said = texts(anything(results, params, "tiny_one", Holes(strict=True)))
    assert "masks of a RANDOM network" in said and "no masks" in said
    assert "3 masks, medians: predicted IoU 0.800, stability 0.980" in said
    made = (results / "figures" / "anything_tiny_one.png").read_bytes()
    assert draw("anything_tiny_one", results, params).png == made
    (results / "anything" / "tiny_one" / "outlines" / "0013.png").unlink()
    with pytest.raises(RepriseError, match=r"outlines/0013.png: not found; run `anything` first"):
        draw("anything_tiny_one", results, params)
    holes = Holes()
    said = texts(anything(results, params, "tiny_one", holes))
    assert said.count("missing") == 1 and any(text.startswith("3 masks") for text in said)
    assert len(holes.of()) == 1 and "outlines/0013.png: not found" in holes.of()[0]


def test_an_unknown_figure_is_refused_with_the_known_ones(results: Path, params: Params) -> None:
    with pytest.raises(RepriseError, match="figure 'pca_faces': unknown; use one of archi"):
        draw("pca_faces", results, params)


def test_every_run_and_part_is_in_the_curves(whole_results: Path, params: Params) -> None:
    said = texts(curves(whole_results, params, Holes(strict=True)))
    for part, block in params.stages.items():
        assert part in said
        for run in block.runs:
            assert any(text.startswith(run) for text in said)
    assert {"tiny A", "tiny B", "tiny C", "tiny D", "tiny E"} <= set(said)


def test_the_kept_epoch_is_marked_in_the_curves(whole_results: Path, params: Params) -> None:
    path = whole_results / "classify" / "cnn" / "0" / "history.csv"
    history = pd.read_csv(path)
    kept = history.loc[history["selected"] == 1].iloc[0]
    axes = curves(whole_results, params, Holes(strict=True)).axes[5]  # third row, right
    rings = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o"]  # type: ignore[index]
    assert any(np.allclose(ring, [kept["epoch"], kept["select_accuracy"]]) for ring in rings)


def test_every_seed_is_a_point_above_its_setting(whole_results: Path) -> None:
    axes = finetune(whole_results).axes[0]
    rings = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_ydata()) for line in rings] == [3] * 5  # type: ignore[arg-type]
    assert len(axes.patches) == 5


def test_one_panel_an_epoch_and_every_class_in_the_legend(
    whole_results: Path, params: Params
) -> None:
    figure = embeddings(whole_results, params, "pca", "classify")
    said = texts(figure)
    assert {"epoch 1", "epoch 6", "epoch 12", "wet", "dry <b>|", "cold"} <= set(said)


def test_no_two_of_fifty_classes_look_the_same() -> None:
    assert len({mark(position) for position in range(50)}) == 50


def test_a_dollar_sign_in_a_name_is_drawn_as_it_is(results: Path, params: Params) -> None:
    path = results / "tables" / "iou.csv"
    path.write_text(path.read_text().replace("urban", "$urban$_{"))
    assert any(text.startswith("$urban$_{") for text in texts(iou(results)))
    draw("iou", results, params)


def test_masks_are_painted_in_the_palette_and_ignored_pixels_black() -> None:
    labels = Labels(("a", "b"), ((255, 0, 0), (0, 9, 255)), 2)
    painted = paint(np.array([[0, 1, 2]], np.uint8), labels)
    assert painted.tolist() == [[[255, 0, 0], [0, 9, 255], [0, 0, 0]]]


def test_a_mask_figure_has_a_row_for_each_image_and_run(
    whole_results: Path, params: Params
) -> None:
    said = texts(masks(whole_results, params, "street", Holes(strict=True)))
    assert {"0012\nskip", "0012\nmerged", "image", "truth", "early", "middle", "final"} <= set(said)
    assert sum(text.startswith("epoch 12, mIoU ") for text in said) == 2
    assert "wrong at the end" in said
    assert {"sea", "water"} <= set(said)  # the classes as they are, and the merged ones


def test_an_image_that_is_not_in_the_set_is_named(results: Path, params: Params) -> None:
    block = params.segment.model_copy(update={"images": ["0777"]})
    with pytest.raises(RepriseError, match=r"index\.csv: no image '0777'"):
        draw("masks_segment", results, params.model_copy(update={"segment": block}))


def test_a_damaged_mask_stops_the_figure(results: Path, params: Params) -> None:
    (results / "segment/fcn/0/masks/0012_middle.png").write_bytes(b"no picture")
    with pytest.raises(RepriseError, match=r"0012_middle\.png: cannot be decoded"):
        draw("masks_segment", results, params)


@pytest.mark.parametrize(
    ("lost", "cells", "epochs"),
    [("0012_middle.png", 1, 5), ("0013_final.png", 2, 5), ("epochs.json", 0, 0)],
)
def test_a_missing_mask_leaves_a_cell_that_says_so_and_the_rest(
    results: Path, params: Params, lost: str, cells: int, epochs: int
) -> None:
    (results / "segment/fcn/0/masks" / lost).unlink()
    holes = Holes()
    said = texts(masks(results, params, "segment", holes))
    assert said.count("missing") == cells
    assert sum(text.startswith("epoch ") for text in said) == epochs
    assert sum("mIoU" in text for text in said) == 6 - (cells > 0)
    assert len(holes.of("segment")) == 1 and lost in holes.of()[0]


def test_a_moment_without_an_epoch_is_named(results: Path, params: Params) -> None:
    write_json(results / "segment/fcn/0/masks/epochs.json", {"early": 1, "final": 3})
    with pytest.raises(RepriseError, match=r"epochs\.json: no epoch for 'middle'"):
        draw("masks_segment", results, params)


def test_a_part_without_runs_has_a_figure_that_says_so(results: Path, params: Params) -> None:
    none = params.street.model_copy(update={"runs": []})
    figure = masks(results, params.model_copy(update={"street": none}), "street", Holes())
    assert texts(figure) == ["No run, seed or image of street in params.yaml."]


@pytest.mark.parametrize("package", ["reprise.evaluation.evaluate", "reprise.figures.report"])
def test_evaluation_and_figures_do_not_import_torch(package: str) -> None:
    program = (
        f"import sys, {package}, reprise.evaluation.embedding, reprise.figures.draw\n"
        "sys.exit('torch' in sys.modules or 'reprise.training' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
