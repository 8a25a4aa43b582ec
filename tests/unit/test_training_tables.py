"""The tables of networks and of their trainings: networks of one shape once in the markdown."""

from pathlib import Path

import pandas as pd
import pytest
from support.fake_results import fake_params
from support.training import datasets_of

from reprise.evaluation.training_tables import layers_table, networks_table
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
    assert len(sizes) == 2 + 15 + 4 + 3
    assert (sizes["selected"].sum() == 1).all()
