"""The tables of networks and of their trainings: networks of one shape once in the markdown."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.fake_results import fake_params
from support.training import datasets_of

from reprise.atomic_io import write_csv
from reprise.evaluation.evaluate import evaluate
from reprise.evaluation.training_tables import gap_sentence, layers_table, networks_table
from reprise.training.networks import COLUMNS, layer_table


def layers() -> pd.DataFrame:
    params = fake_params()
    return layer_table(params, datasets_of(params))


def test_a_row_of_networks_sums_its_layer_groups() -> None:
    groups = layers()
    table = networks_table(groups).frame
    sums = groups.groupby(["stage", "task", "run"], sort=False)["multiply_adds"].sum()
    assert table["multiply_adds"].tolist() == sums.tolist()
    assert len(table) == len(sums)


def test_the_note_on_attention_is_there_if_segment_anything_is() -> None:
    groups = layers()
    texts = [table(groups).markdown for table in (networks_table, layers_table)]
    others = groups[groups["stage"] != "segment_anything"]
    rest = [table(others).markdown for table in (networks_table, layers_table)]
    assert all("products of attention" in " ".join(text.split()) for text in texts)
    assert not any("attention" in text for text in rest)


def test_networks_of_one_shape_are_listed_once_in_the_readable_table() -> None:
    table = layers_table(layers())
    heading = "; ".join(f"finetune tiny {run}" for run in "ABCDE")
    assert table.markdown.count(f"### {heading}\n") == 1
    assert set("ABCDE") <= set(table.frame["run"])  # the csv has them all


def test_a_configuration_without_a_run_gives_tables_that_say_so() -> None:
    empty = pd.DataFrame(columns=COLUMNS)
    texts = {networks_table(empty).markdown, layers_table(empty).markdown}
    assert texts == {"No runs in params.yaml.\n"}


def pretrain(results: Path, seeds: list[int]) -> dict[str, Any]:
    """A row of the table of a pretraining, from histories whose kNN accuracy is known."""
    params = fake_params()
    task = params.pretrain["tiny"].model_copy(update={"seeds": seeds, "runs": ["supervised"]})
    for seed in seeds:
        row = {"epoch": [0, 1, 2], "train_loss": 1.0, "val_accuracy": 0.6, "selected": [0, 1, 0]}
        row |= {"knn_accuracy": [0.1 + seed / 10, 0.5 + seed / 10, 0.9]}
        write_csv(results / f"pretrain/tiny/supervised/{seed}/history.csv", pd.DataFrame(row))
    params = params.model_copy(update={"pretrain": {"tiny": task}})
    (row,) = evaluate(results, params).tables["pretrain_tiny"].frame.to_dict("records")
    return row


def test_a_pretraining_is_one_row_of_means_over_its_seeds(results: Path) -> None:
    row = pretrain(results, [0, 1, 3])
    assert (row["run"], row["epochs"], row["seeds"]) == ("supervised", 2, 3)
    accuracies = [0.5, 0.6, 0.8]  # of the selected epoch
    assert row["knn_accuracy"] == pytest.approx(np.mean(accuracies))
    assert row["knn_accuracy_sd"] == pytest.approx(np.std(accuracies, ddof=1))
    assert row["knn_accuracy_random"] == pytest.approx(np.mean([0.1, 0.2, 0.4]))
    assert row["val_accuracy"] == pytest.approx(0.6) and np.isnan(row["effective_rank"])


def test_a_pretraining_with_one_seed_has_no_sd(results: Path) -> None:
    row = pretrain(results, [2])
    assert row["seeds"] == 1 and np.isnan(row["knn_accuracy_sd"])


def test_epochs_to_95_per_cent_are_those_of_the_history(evaluated_results: Path) -> None:
    table = pd.read_csv(evaluated_results / "tables/convergence.csv").set_index(
        ["stage", "task", "run", "seed"]
    )
    history = pd.read_csv(evaluated_results / "finetune/tiny/A/1/history.csv")
    row = table.loc[("finetune", "tiny", "A", 1)]
    best = history["val_accuracy"].max()
    near = history.loc[history["val_accuracy"] >= 0.95 * best, "epoch"].iloc[0]
    assert (row["epochs"], row["epochs_to_95pct"]) == (12, near)
    assert row["best_epoch"] == history.loc[history["selected"] == 1, "epoch"].item()
    assert row["best_score"] == pytest.approx(best, abs=1e-6)


def test_the_histories_have_a_row_for_each_epoch(evaluated_results: Path) -> None:
    table = pd.read_csv(evaluated_results / "tables/histories.csv")
    sizes = table.groupby(["stage", "task", "run", "seed"])
    assert len(sizes) == 6 + 15 + 4 + 3
    assert (sizes["selected"].sum() == 1).all()


def test_the_gap_is_that_of_the_selected_epochs_of_all_seeds() -> None:
    def job(run: str, train: float, val: float) -> dict[str, Any]:
        columns = {"train_accuracy": [0.1, train], "val_accuracy": [0.1, val], "selected": [0, 1]}
        return {"run": run, "history": pd.DataFrame(columns)}

    jobs = [job("A", 0.9, 0.5), job("A", 1.0, 0.6), job("C", 0.9, 0.8), job("B", 1.0, 0.0)]
    sentence = gap_sentence(pd.DataFrame(jobs), ["A", "C"])
    assert "A 40.0 points (train 0.950, val 0.550), C 10.0 points (train 0.900" in sentence
    assert "That of A is 30.0 points wider than that of C." in sentence
    assert gap_sentence(pd.DataFrame(jobs), []) == ""
    jobs[2]["history"] = None
    assert "wider" not in gap_sentence(pd.DataFrame(jobs), ["A", "C"])
