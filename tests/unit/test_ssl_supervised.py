"""Supervised pretraining, and published weights as a backbone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.small_datasets import small_dataset, write_and_read
from support.training import CPU, job_context, no_checkpoint

from reprise.atomic_io import sha256
from reprise.errors import RepriseError
from reprise.evaluation.evaluate import evaluate
from reprise.figures.style import draw
from reprise.models.build import build_backbone
from reprise.params.load import Params
from reprise.params.supervised import Recipe
from reprise.params.training import WeightsFile
from reprise.training.loop import Row, write_history
from reprise.training.ssl.supervised import pretrain

PIXELS = np.random.default_rng(0).integers(0, 255, (12, 16, 16, 3), dtype=np.uint8)


def pretrained(
    folder: Path, labels: np.ndarray, files: dict[str, WeightsFile], **options: Any
) -> tuple[dict[str, torch.Tensor], list[Row]]:
    more = {} if labels.any() else {"unlabelled": True}
    data = write_and_read(folder, small_dataset(PIXELS, labels, int(labels.max()) + 1, **more))
    recipe = Recipe(
        method="supervised", backbone="resnet10", stem="small", epochs=2, batch_size=4,
        learning_rate=0.01, knn_k=3, **options,
    )  # fmt: skip
    torch.manual_seed(0)
    return pretrain(job_context(data, recipe), no_checkpoint(), files)


def test_the_backbone_of_the_best_epoch_is_returned(tmp_path: Path) -> None:
    labels = (np.arange(12) // 3 % 2).astype(np.uint8)
    state, rows = pretrained(tmp_path / "data", labels, {})
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    best = max(row["val_accuracy"] for row in rows)
    selected = [row for row in rows if row["selected"]]
    assert len(selected) == 1 and selected[0]["val_accuracy"] == best
    assert state.keys() == build_backbone("resnet10", "small").net.state_dict().keys()
    with pytest.raises(RepriseError, match="has no labels to learn"):
        pretrained(tmp_path / "unlabelled", np.zeros(12, np.uint8), {})


def test_published_weights_have_a_history_that_the_tables_can_read(
    tmp_path: Path, results: Path, params: Params
) -> None:
    published = build_backbone("resnet10", "small", keep_imagenet_fc=True)
    path = tmp_path / "published.pt"
    torch.save(published.net.state_dict(), path)
    files = {"here": WeightsFile(path=str(path), sha256=sha256(path))}
    unlabelled = np.zeros(12, np.uint8)
    state, rows = pretrained(tmp_path / "data", unlabelled, files, weights="here")
    assert all(torch.equal(state[k], v) for k, v in published.net.state_dict().items())
    assert [row["selected"] for row in rows] == [0, 1]
    for seed in params.pretrain["tiny"].seeds:
        folder = results / "pretrain" / "tiny" / "supervised" / str(seed)
        write_history(folder / "history.csv", rows, CPU)
    evaluation = evaluate(results, params)
    # no labels, no number
    assert "knn_accuracy" not in evaluation.metrics["pretrain"]["tiny"].get("supervised", {})
    text = evaluation.tables["pretrain_tiny"].markdown
    row = next(line for line in text.splitlines() if line.startswith("| supervised "))
    assert "| 0 | - | - | - |" in row and row.endswith("| 3 |")
    convergence = evaluation.tables["convergence"].markdown
    row = next(line for line in convergence.splitlines() if "| supervised | 0 |" in line)
    assert "| 0 | 0 | - | - |" in row
    for figure in ("convergence", "curves"):
        assert draw(figure, results, params).png.startswith(b"\x89PNG")
