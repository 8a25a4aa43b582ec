"""Images that were misclassified with the highest confidence."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from support.figure_texts import texts

from reprise.datasets.prepared import read_prepared
from reprise.evaluation.markdown import Missing
from reprise.figures.misclassified import IMAGES, NearestImages, misclassified, most_confident
from reprise.params.load import Params


def predictions(count: int) -> pd.DataFrame:
    """Wrong predictions of the test split, all of one confidence, and three others."""
    rows = [[f"{i:03d}", "test", 0, 1, 0.5] for i in range(count)]
    rows += [["a", "test", 1, 1, 0.9], ["b", "val", 0, 1, 0.9], ["c", "test", 1, 0, 0.6]]
    return pd.DataFrame(rows, columns=["id", "split", "label", "prediction", "confidence"])


class Groups:
    """A dataset of images in groups: by their position, divided by `size`."""

    def __init__(self, ids: list[str], size: int) -> None:
        self.ids, self.size = ids, size

    def row(self, image: str) -> int:
        return self.ids.index(image)

    def groups(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return rows // self.size


def test_only_wrong_test_images_are_shown_the_most_confident_first() -> None:
    table = predictions(20)
    rows = most_confident(table, Groups(table["id"].tolist(), 1))  # type: ignore[arg-type]
    assert rows["id"].tolist() == ["c", *(f"{i:03d}" for i in range(IMAGES - 1))]


def test_a_group_of_images_is_shown_once_and_other_pairs_of_classes_first() -> None:
    table = predictions(20)
    table.loc[5, ["label", "prediction"]] = [2, 1]
    rows = most_confident(table, Groups(table["id"].tolist(), 5))  # type: ignore[arg-type]
    # groups of 5: 0 to 4, 5 to 9, ...; "c" is the 23rd
    assert rows["id"].tolist() == ["c", "000", "005", "010", "015"]


def test_the_nearest_train_image_is_the_one_with_the_closest_pixels(
    whole_results: Path, params: Params
) -> None:
    dataset = read_prepared(whole_results / "prepare" / params.classify["baseline"].data)
    nearest = NearestImages(dataset)
    for row in dataset.rows("train")[:5].tolist():
        assert np.array_equal(dataset.images[nearest.row(row)], dataset.images[row])


def test_every_run_has_a_row_with_predicted_and_true_classes(
    whole_results: Path, params: Params
) -> None:
    figure = misclassified(whole_results, params, Missing(strict=True), "finetune", "tiny")
    assert len(figure.axes) == 2 * 5 * IMAGES
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
