"""Metrics of other packages: what they add to the scores, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from support.plugin import METRIC, install

from reprise import plugins
from reprise.datasets.prepared import Classes
from reprise.errors import RepriseError
from reprise.evaluation import package_metrics
from reprise.evaluation.scores import ClassCounts, MaskCounts

LABELS = np.array([0, 0, 0, 1])
PREDICTED = np.array([0, 0, 1, 1])
CLASSES = Classes(("a", "b"), (), None)


@pytest.fixture
def metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):
    """The folder of the metrics of an installed package."""
    package = install(tmp_path, f"metrics_{abs(hash(request.node.name))}")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.packages.cache_clear()
    yield package / "metrics"
    monkeypatch.undo()
    plugins.packages.cache_clear()


def counts() -> ClassCounts:
    matrix, groups = np.array([[2, 1], [0, 1]]), np.arange(4)
    correct = LABELS == PREDICTED
    return ClassCounts(
        CLASSES, 0.5, matrix, correct, groups, LABELS == 0, np.ones(4), LABELS, PREDICTED
    )


def test_a_metric_is_scored_and_gets_columns(metrics: Path) -> None:
    scores = counts().scores
    assert list(scores) == ["accuracy", "ece", "balanced"]
    assert scores["balanced"].value == pytest.approx((2 / 3 + 1) / 2)
    without_the_first = scores["balanced"].columns[1:].sum(axis=0, keepdims=True)
    assert scores["balanced"].of_sums(without_the_first) == pytest.approx([(1 / 2 + 1) / 2])
    assert package_metrics.frame_columns("classification")[:2] == [
        "test_balanced", "test_balanced_groups_low",
    ]  # fmt: skip
    assert package_metrics.frame_columns("segmentation") == []
    headings = [column.heading for column in package_metrics.page_columns("classification")]
    assert headings == ["Balanced accuracy", "95 % CI (images)"]


def test_one_of_segmentation_is_of_masks_only(metrics: Path) -> None:
    text = METRIC.replace('"classification"', '"segmentation"')
    body = "def score(counts):\n    share = counts.images[:, 0].sum(axis=1, keepdims=True)\n"
    body += "    return Score(0.25, share, lambda sums: sums[:, 0] / 16)\n"
    (metrics / "balanced.py").write_text(text[: text.index("def score")] + body)
    images = np.ones((4, 2, 2), np.int64)
    masks = MaskCounts(CLASSES, 0.5, images, np.zeros((4, 2), np.int64), np.arange(4), 0)
    assert masks.scores["balanced"].value == 0.25
    assert "balanced" not in counts().scores


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("balanced", "Score(float(", "Score(2 + float(", "its value is .*must be in 0..1, or NaN"),
        (
            "balanced",
            "astype(np.int64)",
            "astype(float)",
            "must be whole numbers, one row for each",
        ),
        ("balanced", "columns, of_sums)", "columns[1:], of_sums)", "one row for each of 4 images"),
        ("balanced", "TITLE", "TITEL", "has no TITLE; see docs/add-a-method.md"),
        ("accuracy_of_mine", "", "", "names of Reprise begin with accuracy, ece"),
    ],
)
def test_a_wrong_one_is_one_line_with_its_file(
    name: str, old: str, new: str, reason: str, metrics: Path
) -> None:
    (metrics / "balanced.py").unlink()
    (metrics / f"{name}.py").write_text(METRIC.replace(old, new) if old else METRIC)
    with pytest.raises(RepriseError, match=f"metrics/{name}.py: .*{reason}") as raised:
        _ = counts().scores
    assert "\n" not in str(raised.value)
