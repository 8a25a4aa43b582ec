"""Figures that only a homework asks for: overlays, the gap, the curve over the starter's logs."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from support.figure_texts import texts

from reprise.csv_io import read_csv
from reprise.datasets.prepared import read_prepared
from reprise.evaluation.markdown import Missing
from reprise.evaluation.shown_pixels import shown_pixels
from reprise.figures import figures
from reprise.figures.homework_curves import LOGS, STARTER, gap, published_curve
from reprise.figures.masks import blend, colorize, overlays
from reprise.figures.style import MAX_PIXELS, draw
from reprise.params.load import Params
from reprise.params.training import Augment

STRICT = Missing(strict=True)


def test_a_mask_is_beside_the_image_with_the_mask_over_it(
    whole_results: Path, params: Params
) -> None:
    figure = overlays(whole_results, params, STRICT, "baseline")
    written = texts(figure)
    assert {"0012\nfcn", "0013\nfcn", "early", "middle", "final", "over the image"} <= set(written)
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    assert len(shown) == 2 * 3 * 2
    cover = read_prepared(whole_results / "prepare" / "cover")
    folder = whole_results / "segment/baseline/fcn/0/masks"
    mask = np.asarray(Image.open(folder / "0012_early.png"))
    painted = colorize(mask, cover.classes)
    assert np.array_equal(shown[0], painted)
    photo = np.asarray(cover.images[cover.row("0012")])
    assert np.array_equal(shown[1], blend(photo, painted))
    assert np.abs(shown[1] - (photo / 2 + painted / 2)).max() <= 0.5


def test_a_run_that_was_evaluated_on_a_crop_is_shown_on_it(
    whole_results: Path, params: Params
) -> None:
    cover = read_prepared(whole_results / "prepare" / "cover")
    recipe = params.segment["baseline"].recipes["fcn"]
    cropped = recipe.model_copy(update={"augment": Augment(crop_pixels=4)})
    same = np.arange(256, dtype=np.uint8)
    whole_photo, whole_labels = shown_pixels(cover, "0012", recipe, same)
    photo, labels = shown_pixels(cover, "0012", cropped, same)
    assert np.array_equal(photo, whole_photo[2:6, 2:6])
    assert np.array_equal(labels, whole_labels[2:6, 2:6])


def test_the_gap_is_between_the_accuracies_of_the_histories(
    whole_results: Path, params: Params
) -> None:
    figure = gap(whole_results, params, STRICT, "tiny")
    assert {"tiny, run A", "tiny, run C", "val", "train (augmented)"} <= set(texts(figure))
    for axes, run in zip(figure.axes, "AC", strict=True):
        assert len(axes.lines) == 2 * 3  # three seeds
        history = pd.read_csv(whole_results / "finetune/tiny" / run / "0" / "history.csv")
        for line, column in zip(axes.lines, ("train_accuracy", "val_accuracy"), strict=False):
            assert np.allclose(line.get_ydata(), history[column])


def test_the_band_is_of_the_logs_of_the_same_question(whole_results: Path, params: Params) -> None:
    logs = read_csv(STARTER, LOGS)
    # 21 rows each: before the training, and after each of 20 epochs
    assert logs.groupby("log")["epochs"].agg(list).tolist() == [list(range(21))] * 5
    assert logs[["pixel_accuracy", "miou"]].stack().between(0, 1).all()
    figure = published_curve(whole_results, params, STRICT, "skips")
    assert "starter, 3 public logs" in texts(figure)
    history = pd.read_csv(whole_results / "segment/skips/skip/0/history.csv")
    for axes, theirs, ours in zip(
        figure.axes, ("miou", "pixel_accuracy"), ("val_miou", "val_pixel_accuracy"), strict=True
    ):
        *drawn, last = axes.lines
        many = logs[logs["classes"] >= 11]
        assert [list(line.get_ydata()) for line in drawn] == [
            list(log[theirs]) for _, log in many.groupby("log")
        ]
        assert np.allclose(last.get_ydata(), history[ours])


def test_only_a_task_that_names_them_has_these_figures(params: Params) -> None:
    finetune = params.finetune["tiny"].model_copy(update={"gap": []})
    segment = {
        name: task.model_copy(update={"overlays": [], "published_curve": None})
        for name, task in params.segment.items()
    }
    plain = params.model_copy(update={"finetune": {"tiny": finetune}, "segment": segment})
    extra = {"gap_tiny", "overlays_baseline", "published_curve_skips"}
    assert set(figures(params)) - set(figures(plain)) == extra


def test_a_figure_is_not_larger_than_a_browser_draws_well(
    whole_results: Path, params: Params
) -> None:
    large = params.model_copy(update={"plot": params.plot.model_copy(update={"dpi": 1200})})
    png = draw("curves", whole_results, large).png
    sides = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    assert max(sides) == MAX_PIXELS
