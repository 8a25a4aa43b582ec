"""The tables over all tasks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


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


def test_epochs_to_95_per_cent_are_those_of_the_history(evaluated_results: Path) -> None:
    table = read(evaluated_results, "convergence").set_index(["stage", "task", "run", "seed"])
    history = pd.read_csv(evaluated_results / "finetune/tiny/A/1/history.csv")
    row = table.loc[("finetune", "tiny", "A", 1)]
    best = history["val_accuracy"].max()
    near = history.loc[history["val_accuracy"] >= 0.95 * best, "epoch"].iloc[0]
    assert (row["epochs"], row["epochs_to_95pct"]) == (12, near)
    assert row["best_epoch"] == history.loc[history["selected"] == 1, "epoch"].item()
    assert row["best_score"] == pytest.approx(best, abs=1e-6)


def test_the_histories_have_a_row_for_each_epoch(evaluated_results: Path) -> None:
    table = read(evaluated_results, "histories")
    sizes = table.groupby(["stage", "task", "run", "seed"])
    assert len(sizes) == 2 + 15 + 4 + 3
    assert (sizes["selected"].sum() == 1).all()
