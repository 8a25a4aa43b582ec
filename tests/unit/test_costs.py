"""What a run costs beside its score: the Pareto-optimal runs, their table and their figure."""

from pathlib import Path

import pandas as pd
import pytest
from support.figure_texts import texts

from reprise.errors import RepriseError
from reprise.evaluation.costs import pareto_optimal, read_costs
from reprise.evaluation.markdown import Missing
from reprise.figures.cost import cost
from reprise.params.load import Params
from reprise.report.html import ResultsReader
from reprise.report.sections import cost_rows

Runs = dict[str, tuple[float, int, str]]  # run: score, multiply-adds, output


def write(results: Path, runs: Runs) -> Path:
    """Tables of one task: two seeds of each run, a network of two layer groups."""
    seeds, layers = [], []
    for run, (score, multiply_adds, output) in runs.items():
        key = {"stage": "segment", "task": "t", "run": run}
        seeds += [key | {"metric": "miou", "test": score + d} for d in (-0.01, 0.01)]
        half = key | {"parameters": 10, "multiply_adds": multiply_adds // 2}
        layers += [half | {"output": "64 x 2 x 2"}, half | {"output": output}]
    (results / "tables").mkdir(parents=True)
    pd.DataFrame(seeds).to_csv(results / "tables/seeds.csv", index=False)
    pd.DataFrame(layers).to_csv(results / "tables/layers.csv", index=False)
    return results


def test_the_cost_of_a_run_is_that_of_its_layers_and_its_score_the_mean(tmp_path: Path) -> None:
    table = read_costs(write(tmp_path, {"a": (0.5, 100, "7 x 8 x 8")}))
    (row,) = table.to_dict("records")
    assert (row["parameters"], row["multiply_adds"], row["pareto_optimal"]) == (20, 100, True)
    assert [row[k] for k in ("lowest", "score", "highest")] == pytest.approx([0.49, 0.5, 0.51])


def test_a_run_is_dominated_by_a_better_one_that_costs_no_more_and_has_its_classes(
    tmp_path: Path,
) -> None:
    one, other = "7 x 8 x 8", "3 x 8 x 8"
    runs: Runs = {
        "cheap": (0.3, 10, one),
        "good": (0.6, 50, one),
        "worse": (0.5, 50, one),
        "dear": (0.6, 90, one),
        "best": (0.7, 100, one),
        "merged": (0.1, 95, other),
    }
    table = read_costs(write(tmp_path, runs)).set_index("run")["pareto_optimal"]
    assert [run for run in runs if table[run]] == ["cheap", "good", "best", "merged"]


def test_equal_runs_do_not_dominate_each_other_and_an_unknown_cost_is_dominated() -> None:
    costs, scores = pd.Series([5.0, 5.0, float("nan")]), pd.Series([0.5, 0.5, 0.9])
    assert pareto_optimal(costs, scores).tolist() == [True, True, False]


def test_the_figure_names_the_runs_of_different_networks_only(
    tmp_path: Path, params: Params
) -> None:
    runs: Runs = {"small": (0.3, 10_000_000, "7"), "big": (0.6, 50_000_000, "7")}
    shown = texts(cost(write(tmp_path / "a", runs), params, Missing()))
    assert {"small, 0.0 M", "big, 0.0 M", "segment, t"} <= set(shown)
    runs |= {"merged": (0.6, 9, "3"), "same": (0.2, 9, "3")}
    assert not [text for text in texts(cost(write(tmp_path / "b", runs), params, Missing()))
                if "merged" in text or "same" in text]  # fmt: skip
    alike: Runs = {"a": (0.3, 10, "7"), "b": (0.6, 10, "7")}
    assert "a, 0.0 M" in texts(cost(write(tmp_path / "c", alike), params, Missing()))


def test_the_page_has_a_row_for_each_run_and_says_what_is_missing(
    results: Path, params: Params
) -> None:
    reader = ResultsReader(results)
    rows = {row[0]: row[1:] for row in cost_rows(reader)}
    seeds = pd.read_csv(results / "tables/seeds.csv")
    mean = seeds[(seeds["run"] == "B") & (seeds["stage"] == "finetune")]["test"].mean()
    assert rows["finetune tiny B"][0] == f"{mean:.4f}"
    assert all(len(row) == 5 for row in rows.values()) and reader.missing == []
    (results / "tables/layers.csv").unlink()
    with pytest.raises(RepriseError, match=r"layers\.csv"):
        read_costs(results)
    assert cost_rows(reader) == [] and "layers.csv" in reader.missing[0]
