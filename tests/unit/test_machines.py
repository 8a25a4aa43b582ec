"""evaluation/machines: a table whose jobs ran on different kinds of machine names its rows."""

from pathlib import Path

import pandas as pd
import pytest
from support.fake_results import fake_params, fake_results

from reprise.evaluation.evaluate import JOBS, evaluate
from reprise.evaluation.machines import KIND, kinds_sentence, pieces_sentence

HERE = {"cpu_capability": "AMD AVX2", "device": "cpu", "precision": "float32", "torch": "2.11"}
HERE |= {"threads": 1}
KINDS = " kinds of machine, whose numbers may differ for the same recipe. "


def jobs(*machines: tuple[str, int, dict[str, object] | None]) -> pd.DataFrame:
    """Jobs of one task: run, seed, what differs from HERE; None: a history without a machine."""
    rows = []
    for run, seed, changes in machines:
        history = pd.DataFrame({"epoch": [1, 2]})
        if changes is not None:
            history = history.assign(**{**HERE, **changes})
        rows.append(["classify", "baseline", run, seed, "none", history, None, None])
    return pd.DataFrame(rows, columns=JOBS)


def test_one_kind_is_not_mentioned() -> None:
    assert kinds_sentence(jobs(("a", 0, {}), ("a", 1, {}), ("b", 0, {}))) == ""
    assert kinds_sentence(jobs(("a", 0, {}), ("b", 0, None))) == ""
    assert kinds_sentence(pd.DataFrame(columns=JOBS)) == ""


def test_the_rows_of_each_kind_are_named_by_what_differs() -> None:
    gpu = {"device": "NVIDIA H100", "precision": "bfloat16"}
    sentence = kinds_sentence(jobs(("b", 0, {}), ("a", 0, gpu), ("c", 0, {})))
    kinds = "device NVIDIA H100: a; device cpu: b, c."
    assert sentence == f"These were trained on 2{KINDS}{kinds}"


def test_a_run_on_several_kinds_is_named_with_its_seeds() -> None:
    other = {"cpu_capability": "Intel AVX512"}
    rows = [("a", 0, {}), ("a", 1, other), ("a", 2, other), ("b", 0, other)]
    kinds = "CPU AMD AVX2: a (seed 0); CPU Intel AVX512: a (seeds 1, 2), b."
    assert kinds_sentence(jobs(*rows)) == f"These were trained on 2{KINDS}{kinds}"


def test_a_precision_that_each_network_chooses_makes_no_kind() -> None:
    assert kinds_sentence(jobs(("a", 0, {}), ("b", 0, {"precision": "bfloat16"}))) == ""


@pytest.mark.parametrize("column", KIND)
def test_every_other_value_that_is_recorded_makes_a_kind(column: str) -> None:
    assert kinds_sentence(jobs(("a", 0, {}), ("b", 0, {column: "another"})))


def test_the_table_of_such_a_task_says_so_and_no_other(tmp_path: Path) -> None:
    params = fake_params()
    fake_results(tmp_path, params)
    run = params.classify["baseline"].runs[0]
    path = tmp_path / "classify" / "baseline" / run / "0" / "history.csv"
    path.write_text(path.read_text().replace(",cpu,", ",NVIDIA H100,"))
    tables = evaluate(tmp_path, params).tables
    told = [name for name, table in tables.items() if "2 kinds of machine" in table.markdown]
    assert told == ["classify_baseline"]
    assert "device NVIDIA H100: " in tables[told[0]].markdown


def test_a_table_names_the_runs_whose_batches_were_cut(tmp_path: Path) -> None:
    assert pieces_sentence({"A": 1, "B": 1}) == pieces_sentence({}) == ""
    assert pieces_sentence({"A": 1, "B": 4}).endswith("batch norm: B in 4.")
    params = fake_params()
    fake_results(tmp_path, params)
    params.finetune["tiny"].common.__dict__["micro_batches"] = 2
    text = evaluate(tmp_path, params).tables["finetune_tiny"].markdown
    assert "its own statistics of batch norm: A in 2, B in 2, " in text
