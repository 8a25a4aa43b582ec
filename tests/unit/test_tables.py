"""The tables of test scores: their columns, their notes, the sentences of the comparisons."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reprise.errors import RepriseError
from reprise.evaluation.evaluate import evaluate
from reprise.params.load import Params


def test_the_finetune_table_has_the_columns_of_the_homeworks(evaluated_results: Path) -> None:
    lines = (evaluated_results / "tables" / "finetune_tiny.md").read_text().splitlines()
    assert lines[0] == (
        "| Run | Pretraining | Weights | Fine-tuning | Test accuracy | sd | 95 % CI (images) "
        "| 95 % CI (images + seeds) | k/n | Val accuracy | Seeds |"
    )
    starts = [line.split(" | ")[:4] for line in lines[2:7]]
    assert starts == [
        ["| A", "none", "none (from scratch)", "full model"],
        ["| B", "supervised", "own pretraining", "full model"],
        ["| C", "byol", "own pretraining", "full model"],
        ["| D", "supervised", "own pretraining", "frozen backbone"],
        ["| E", "byol", "own pretraining", "frozen backbone"],
    ]


def test_below_each_table_are_splits_n_and_seeds(evaluated_results: Path) -> None:
    text = (evaluated_results / "tables" / "finetune_tiny.md").read_text()
    assert "trained on 6 images (split train), the epoch selected on 6 (split val)" in text
    assert "the accuracy measured on 12 images (split test). Mean and sd of 3 seeds." in text
    text = (evaluated_results / "tables" / "classify_baseline.md").read_text()
    assert "One seed, so no sd." in text


def test_a_segmentation_table_names_classes_ignored_label_and_rule(evaluated_results: Path) -> None:
    text = (evaluated_results / "tables" / "segment_baseline.md").read_text()
    assert "| 3 of 3 |" in text
    classes = "Classes of fcn: urban, forest, water"
    assert f"{classes}; pixels labeled 3 (unknown) are not counted." in text
    rule = "classes absent from both ground truth and prediction are excluded from the mean"
    assert rule in text


def test_an_ensemble_has_a_second_row_for_its_best_epoch(evaluated_results: Path) -> None:
    table = pd.read_csv(evaluated_results / "tables" / "classify_baseline.csv").set_index("run")
    assert table.index.tolist() == ["cnn", "big", "big (best epoch)"]
    predictions = pd.read_csv(evaluated_results / "classify/baseline/big/0/predictions.csv")
    test = predictions[predictions["split"] == "test"]
    for run, column in (("big", "prediction"), ("big (best epoch)", "best_epoch_prediction")):
        assert table.loc[run, "correct"] == (test[column] == test["label"]).sum()
        assert (table.loc[run, "images"], table.loc[run, "seeds"]) == (12, 1)
    text = (evaluated_results / "tables" / "classify_baseline.md").read_text()
    assert "the majority vote of the epochs with the lowest val loss (big: 3 epochs)" in text


def test_the_best_epoch_of_pretraining_is_the_selected_or_the_last_one(
    evaluated_results: Path,
) -> None:
    table = pd.read_csv(evaluated_results / "tables" / "pretrain_tiny.csv").set_index("run")
    supervised = pd.read_csv(evaluated_results / "pretrain/tiny/supervised/0/history.csv")
    best = supervised.loc[supervised["selected"] == 1, "epoch"].item()
    rows = pd.read_csv(evaluated_results / "tables" / "convergence.csv")
    rows = rows[(rows["stage"] == "pretrain") & (rows["seed"] == 0)].set_index("run")
    assert rows["best_epoch"].to_dict() == {"byol": 6, "supervised": best}
    assert set(table["seeds"]) == {3}


@pytest.mark.parametrize("marks", [0, 2])
def test_a_history_that_does_not_mark_one_epoch_is_named(
    evaluated: Path, params: Params, marks: int
) -> None:
    path = evaluated / "pretrain/tiny/supervised/0/history.csv"
    history = pd.read_csv(path)
    history["selected"] = [1] * marks + [0] * (len(history) - marks)
    history.to_csv(path, index=False)
    with pytest.raises(RepriseError, match=rf"history\.csv: {marks} epochs are marked"):
        evaluate(evaluated, params)


def test_a_pretraining_without_the_untrained_network_is_named(
    evaluated: Path, params: Params
) -> None:
    path = evaluated / "pretrain/tiny/byol/0/history.csv"
    pd.read_csv(path).iloc[1:].to_csv(path, index=False)
    with pytest.raises(RepriseError, match=r"history\.csv: no row of epoch 0"):
        evaluate(evaluated, params)


def test_a_task_without_runs_has_a_table_that_says_so(evaluated: Path, params: Params) -> None:
    empty = params.segment["skips"].model_copy(update={"runs": []})
    changed = params.model_copy(update={"segment": params.segment | {"skips": empty}})
    evaluation = evaluate(evaluated, changed)
    assert evaluation.tables["segment_skips"].markdown == "No runs of this task in params.yaml.\n"
    assert evaluation.metrics["segment"]["skips"] == {}
    assert set(evaluation.tables["class_iou"].frame["task"]) == {"baseline"}


def test_the_sentences_of_the_named_comparisons_are_below_the_finetune_table(
    evaluated_results: Path,
) -> None:
    comparisons = pd.read_csv(evaluated_results / "tables" / "comparisons.csv")
    own = comparisons[comparisons["stage"] == "finetune"].set_index(["a", "b"])["summary"]
    named = " ".join(own[pair] for pair in [("B", "A"), ("C", "A"), ("C", "B"), ("E", "D")])
    text = (evaluated_results / "tables" / "finetune_tiny.md").read_text()
    assert f"\n\n{named}\n" in text


def read(results: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(results / "tables" / f"{name}.csv")


def test_the_class_table_has_the_share_of_each_class(evaluated_results: Path) -> None:
    table = read(evaluated_results, "class_iou")
    for _, rows in table.groupby(["task", "run"]):
        assert rows["share"].sum() == pytest.approx(1, abs=1e-5)
    truth = np.load(evaluated_results / "prepare/cover/labels.npy")[12:]
    urban = table[(table["task"] == "baseline") & (table["class"] == "urban")].iloc[0]
    assert urban["pixels"] == (truth == 0).sum()
    assert urban["share"] == pytest.approx((truth == 0).sum() / (truth != 3).sum(), abs=1e-6)


def test_runs_with_other_classes_have_their_own_block(evaluated_results: Path) -> None:
    text = (evaluated_results / "tables" / "class_iou.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("###")]
    assert headings == ["### baseline, 3 classes", "### skips, 4 classes", "### skips, 3 classes"]


def test_each_training_job_has_a_row_of_seeds(evaluated_results: Path) -> None:
    table = read(evaluated_results, "seeds")
    assert len(table) == 15 + 2 + 2 + 3  # finetune, classify, segment; no row of the best epoch
    accuracy = table[table["metric"] == "accuracy"]
    assert (accuracy["test"] - accuracy["correct"] / accuracy["n"]).abs().max() < 1e-6
    assert set(table.loc[table["metric"] == "miou", "stage"]) == {"segment"}


def test_confusions_are_those_of_all_seeds(evaluated_results: Path) -> None:
    table = read(evaluated_results, "confusion")
    own = table[(table["stage"] == "finetune") & (table["run"] == "C")]
    assert own["count"].sum() == 3 * 12 and len(own) == 9
    seeds = [
        pd.read_csv(evaluated_results / f"finetune/tiny/C/{seed}/predictions.csv")
        for seed in (0, 1, 2)
    ]
    test = pd.concat(seeds).query("split == 'test'")
    both = own.loc[own["truth"] == own["prediction"], "count"].sum()
    assert both == (test["label"] == test["prediction"]).sum()
