"""Promises of the tables, of metrics.json and of the sentence about the settings."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reprise.errors import RepriseError
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.intervals import wilson
from reprise.evaluation.markdown import Column, markdown, text
from reprise.evaluation.means import mean_accuracy
from reprise.params import Params

NAMES = ["architecture", "classify", "confusion", "epochs", "faces", "finetune", "histories", "iou"]
NAMES += ["layers", "mcnemar", "pairs", "pretrain", "reported", "seeds", "segment", "street"]
NAMES += ["votes"]


def jobs(correct: list[int]) -> pd.DataFrame:
    rows = [
        {"run": "a", "seed": i, "correct": k, "n": 10, "accuracy": k / 10, "select_accuracy": 0.5}
        for i, k in enumerate(correct)
    ]
    return pd.DataFrame(rows)


def test_a_mean_over_seeds_is_all_correct_over_all_n() -> None:
    row = mean_accuracy(jobs([5, 6, 9]), ["run"]).iloc[0]
    assert (row["correct"], row["n"], row["images"], row["seeds"]) == (20, 30, 10, 3)
    assert row["accuracy"] == 20 / 30
    assert row["accuracy_sd"] == pytest.approx(np.std([0.5, 0.6, 0.9], ddof=1))


def test_the_interval_does_not_shrink_when_the_same_images_are_asked_again() -> None:
    one = mean_accuracy(jobs([6]), ["run"]).iloc[0]
    three = mean_accuracy(jobs([6, 6, 6]), ["run"]).iloc[0]
    assert one["accuracy_low"] == three["accuracy_low"] == wilson(6, 10)[0]


def test_one_seed_has_no_sd(whole_results: Path) -> None:
    assert math.isnan(mean_accuracy(jobs([5]), ["run"]).iloc[0]["accuracy_sd"])
    metrics = json.loads((whole_results / "metrics.json").read_text())
    assert "accuracy_sd" not in metrics["classify"]["cnn"]
    assert "accuracy_sd" in metrics["faces"]["scratch"]


def test_every_table_is_written_as_csv_and_markdown(whole_results: Path) -> None:
    for ending in ("csv", "md"):
        found = sorted(path.stem for path in (whole_results / "tables").glob(f"*.{ending}"))
        assert found == NAMES


def test_the_finetune_table_has_the_columns_of_the_reports(whole_results: Path) -> None:
    lines = (whole_results / "tables" / "finetune.md").read_text().splitlines()
    assert lines[0] == (
        "| Setting | Pretraining | Weights | Fine-tuning | Report accuracy | sd | 95 % interval "
        "| images and seeds | k/n | Select accuracy | Seeds |"
    )
    starts = [line.split(" | ")[:4] for line in lines[2:7]]
    assert starts == [
        ["| A", "none", "none (from scratch)", "full model"],
        ["| B", "supervised", "own pretraining", "full model"],
        ["| C", "BYOL", "own pretraining", "full model"],
        ["| D", "supervised", "own pretraining", "frozen backbone"],
        ["| E", "BYOL", "own pretraining", "frozen backbone"],
    ]


def test_below_each_table_stand_roles_n_and_seeds(whole_results: Path) -> None:
    said = (whole_results / "tables" / "finetune.md").read_text()
    assert "trained on 6 images, the epoch chosen on 6 (role select)" in said
    assert "measured on 12 (role report). Mean and sd of 3 seeds." in said
    said = (whole_results / "tables" / "classify.md").read_text()
    assert "One seed, so no sd." in said


def test_a_segmentation_table_names_classes_ignored_label_and_rule(whole_results: Path) -> None:
    said = (whole_results / "tables" / "segment.md").read_text()
    assert "| 3 of 3 classes |" in said
    assert "Classes of fcn: urban, forest, water; pixels labelled 3 (unknown) do not count." in said
    assert "a class that is neither in the truth nor predicted is left out of the mean" in said


def test_the_iou_table_shows_the_share_of_each_class(whole_results: Path) -> None:
    table = pd.read_csv(whole_results / "tables" / "iou.csv")
    for _, rows in table.groupby(["part", "run"]):
        assert rows["share"].sum() == pytest.approx(1, abs=1e-5)
    truth = np.load(whole_results / "prepare/cover/labels.npy")[12:]
    urban = table[(table["part"] == "segment") & (table["class"] == "urban")].iloc[0]
    assert urban["pixels"] == (truth == 0).sum()
    assert urban["share"] == pytest.approx((truth == 0).sum() / (truth != 3).sum(), abs=1e-6)


def test_metrics_are_nested_numbers_of_six_digits(whole_results: Path) -> None:
    metrics = json.loads((whole_results / "metrics.json").read_text())

    def check(value: object) -> None:
        if isinstance(value, dict):
            assert list(value) == sorted(value)
            for inner in value.values():
                check(inner)
        else:
            assert isinstance(value, int | float) and math.isfinite(value)
            assert round(value, 6) == value

    check(metrics)
    one = metrics["finetune"]["tiny"]["C"]
    assert round(one["correct"] / one["n"], 6) == one["accuracy"]
    assert set(metrics["segment"]["fcn"]["iou"]) == {"urban", "forest", "water"}
    assert set(metrics["street"]["merged"]["iou"]) == {"water", "green", "grey"}
    assert metrics["pretrain"]["tiny"]["byol"]["knn_accuracy_random"] == 0.3


def test_the_kept_epoch_of_pretraining_is_the_selected_or_the_last_one(results: Path) -> None:
    table = pd.read_csv(results / "tables" / "pretrain.csv").set_index("method")
    supervised = pd.read_csv(results / "pretrain/tiny/supervised/history.csv")
    assert table.loc["byol", "kept"] == 6
    kept = supervised.loc[supervised["selected"] == 1, "epoch"].item()
    assert table.loc["supervised", "kept"] == kept


@pytest.mark.parametrize("marks", [0, 2])
def test_a_history_that_marks_not_one_epoch_is_named(
    results: Path, params: Params, marks: int
) -> None:
    path = results / "pretrain/tiny/supervised/history.csv"
    history = pd.read_csv(path)
    history["selected"] = [1] * marks + [0] * (len(history) - marks)
    history.to_csv(path, index=False)
    with pytest.raises(RepriseError, match=rf"history\.csv: {marks} epochs are marked"):
        evaluate(results, params)


def test_the_same_predictions_give_the_same_tables(whole_results: Path, params: Params) -> None:
    metrics, tables = evaluate(whole_results, params)
    for name, table in tables.items():
        assert (whole_results / "tables" / f"{name}.md").read_text() == table.text
    assert json.loads((whole_results / "metrics.json").read_text()) == metrics


def test_evaluate_needs_no_model(results: Path, params: Params) -> None:
    for path in [*results.rglob("*.safetensors"), *results.rglob("images.npy")]:
        path.unlink()
    evaluate(results, params)


def test_a_part_without_runs_has_a_table_that_says_so(results: Path, params: Params) -> None:
    none = params.street.model_copy(update={"runs": []})
    metrics, tables = evaluate(results, params.model_copy(update={"street": none}))
    assert tables["street"].text == "No run of this part in params.yaml.\n"
    assert metrics["street"] == {}
    assert set(tables["iou"].frame["part"]) == {"segment"}


def test_a_bar_in_a_name_does_not_break_the_table() -> None:
    made = markdown(pd.DataFrame({"run": ["a|b\\"]}), [Column("Run", text("run"))])
    assert made == "| Run |\n|---|\n| a\\|b\\\\ |\n"


def test_the_sentences_of_the_asked_pairs_stand_below_the_finetune_table(
    whole_results: Path,
) -> None:
    pairs = pd.read_csv(whole_results / "tables" / "pairs.csv")
    own = pairs[pairs["part"] == "finetune"].set_index(["second", "first"])["said"]
    asked = " ".join(own[pair] for pair in [("B", "A"), ("C", "A"), ("C", "B"), ("E", "D")])
    said = (whole_results / "tables" / "finetune.md").read_text()
    assert said.endswith(f"\n\nRun tiny: {asked}\n")
