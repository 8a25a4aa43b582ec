"""Scatter plots of PCA and t-SNE."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from support.figure_texts import texts

from reprise.evaluation.markdown import Missing
from reprise.figures import style
from reprise.figures.embeddings import LINE, _box, _name_classes, medoid, pca, tsne
from reprise.params.load import Params

STRICT = Missing(strict=True)


def test_one_panel_per_epoch_and_every_class_in_the_legend(
    whole_results: Path, params: Params
) -> None:
    written = texts(pca(whole_results, params, STRICT, "cnn"))
    assert {"epoch 1", "epoch 6", "epoch 12", "wet", "dry <b>|", "cold"} <= set(written)
    title = "PCA of the penultimate layer of classify baseline, run cnn, seed 0"
    assert any(re.fullmatch(rf"{title}\n\d+ images of the test split", text) for text in written)
    assert any(text.startswith("PC1, ") for text in written)
    assert any(text.startswith("PC2, ") for text in written)


def test_tsne_has_no_share_of_variance(whole_results: Path, params: Params) -> None:
    written = texts(tsne(whole_results, params, STRICT, "byol_finetuned"))
    title = "t-SNE of the penultimate layer of finetune tiny, run C, seed 0"
    assert any(text.startswith(title) and "of the train split" in text for text in written)
    assert not any("% of the variance" in text for text in written)
    assert any(text.startswith("trustworthiness ") for text in written)


def test_a_medoid_is_a_point_of_its_class_and_not_their_mean() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 5.0]])
    assert medoid(points) == 0


def test_names_of_classes_do_not_overlap_and_stay_inside_the_panel() -> None:
    rng = np.random.default_rng(0)
    points = pd.DataFrame(rng.normal(size=(200, 2)) / 10, columns=["x", "y"])
    points["label"] = np.arange(200) % 9
    classes = {i: (f"class number {i}", *style.color_and_marker(i)) for i in range(9)}
    axes = style.new_figure(3, 3).subplots()
    _name_classes(axes, points, classes)
    boxes = [_box(*text.xyann, len(text.get_text())) for text in axes.texts]
    assert len(boxes) >= 5  # others have no room
    for number, one in enumerate(boxes):
        assert one[0] >= 0 and one[2] <= 1 and one[1] >= -LINE and one[3] <= 1 + LINE
        for other in boxes[:number]:
            apart = one[2] < other[0] or other[2] < one[0]
            assert apart or one[3] < other[1] or other[3] < one[1]


def test_the_marks_of_fourteen_classes_have_fourteen_colors() -> None:
    marks = [style.color_and_marker(i) for i in range(56)]
    assert len(set(marks)) == 56 and len({color for color, _ in marks[:14]}) == 14
