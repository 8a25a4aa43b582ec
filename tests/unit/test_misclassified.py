"""Images that were misclassified with the highest confidence."""

from pathlib import Path

import pandas as pd
from support.figure_texts import texts

from reprise.evaluation.markdown import Missing
from reprise.figures.misclassified import IMAGES, misclassified, most_confident
from reprise.params.load import Params


def predictions(count: int) -> pd.DataFrame:
    """Wrong predictions of the test split, all of one confidence, and three others."""
    rows = [[f"{i:03d}", "test", 0, 1, 0.5] for i in range(count)]
    rows += [["a", "test", 1, 1, 0.9], ["b", "val", 0, 1, 0.9], ["c", "test", 1, 0, 0.6]]
    return pd.DataFrame(rows, columns=["id", "split", "label", "prediction", "confidence"])


def test_only_wrong_test_images_are_shown_the_most_confident_first() -> None:
    rows = most_confident(predictions(20))
    assert rows["id"].tolist() == ["c", *(f"{i:03d}" for i in range(IMAGES - 1))]


def test_every_run_has_a_row_with_predicted_and_true_classes(
    whole_results: Path, params: Params
) -> None:
    figure = misclassified(whole_results, params, Missing(strict=True), "finetune", "tiny")
    assert len(figure.axes) == 5 * IMAGES
    written = texts(figure)
    assert set("ABCDE") <= set(written)
    assert {text for text in written if text.startswith("is ")} <= {
        "is wet",
        "is cold",
        "is dry <b>|",
    }


def test_a_missing_job_is_marked_and_the_rest_is_drawn(results: Path, params: Params) -> None:
    (results / "classify/baseline/cnn/0/predictions.csv").unlink()
    missing = Missing()
    written = texts(misclassified(results, params, missing, "classify", "baseline"))
    assert written.count("missing") == 1 and "big" in written
    assert len(missing.reasons()) == 1 and "predictions.csv: not found" in missing.reasons()[0]


def test_a_run_without_mistakes_says_so(results: Path, params: Params) -> None:
    def written() -> list[str]:
        figure = misclassified(results, params, Missing(strict=True), "classify", "baseline")
        return texts(figure)

    before = written().count("no mistake")
    path = results / "classify/baseline/cnn/0/predictions.csv"
    table = pd.read_csv(path, dtype={"id": str})
    table.assign(prediction=table["label"]).to_csv(path, index=False)
    assert written().count("no mistake") == before + 1
