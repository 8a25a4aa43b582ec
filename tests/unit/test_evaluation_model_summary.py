"""The tables of networks: one row a network, networks of one shape once in the readable form."""

import pandas as pd
from support.fake_results import fake_params
from support.training import datasets_of

from reprise.evaluation.model_summary import layers_table, networks_table
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
