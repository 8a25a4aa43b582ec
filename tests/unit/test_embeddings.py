"""Scatter plots of PCA and t-SNE."""

from pathlib import Path

from support.figure_texts import texts

from reprise.evaluation.markdown import Missing
from reprise.figures.embeddings import pca, tsne
from reprise.params.load import Params

STRICT = Missing(strict=True)


def test_one_panel_per_epoch_and_every_class_in_the_legend(
    whole_results: Path, params: Params
) -> None:
    written = texts(pca(whole_results, params, STRICT, "cnn"))
    assert {"epoch 1", "epoch 6", "epoch 12", "wet", "dry <b>|", "cold"} <= set(written)
    assert "PCA of the penultimate layer of classify baseline, run cnn, seed 0" in written
    assert any("% of the variance" in text for text in written)


def test_tsne_has_no_share_of_variance(whole_results: Path, params: Params) -> None:
    written = texts(tsne(whole_results, params, STRICT, "byol_finetuned"))
    assert "t-SNE of the penultimate layer of finetune tiny, run C, seed 0" in written
    assert not any("% of the variance" in text for text in written)
    assert any(text.startswith("trustworthiness ") for text in written)
