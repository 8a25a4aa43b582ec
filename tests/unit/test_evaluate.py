"""The stage evaluate as a whole: what it writes, and what that depends on."""

import json
import math
from pathlib import Path

import pandas as pd
from support.fake_results import MACHINE

from reprise.evaluation.evaluate import evaluate
from reprise.jobs import jobs
from reprise.params.load import Params

TABLES = [
    "answers",
    "calibration",
    "class_iou",
    "classify_baseline",
    "classify_transfer",
    "comparisons",
    "confusion",
]
TABLES += ["convergence", "finetune_tiny", "histories", "pretrain_tiny", "published_numbers"]
TABLES += ["seeds", "segment_baseline", "segment_skips"]


def test_every_table_is_written_as_csv_and_markdown(evaluated_results: Path) -> None:
    for ending in ("csv", "md"):
        paths = (evaluated_results / "tables").glob(f"*.{ending}")
        assert sorted(path.stem for path in paths) == TABLES


def test_metrics_and_intervals_are_nested_numbers_of_six_digits(
    evaluated_results: Path, params: Params
) -> None:
    def check(value: object) -> None:
        if isinstance(value, dict):
            assert list(value) == sorted(value)
            for inner in value.values():
                check(inner)
        else:
            assert isinstance(value, int | float) and math.isfinite(value)
            assert round(value, 6) == value

    metrics, intervals = (
        json.loads((evaluated_results / f"{name}.json").read_text())
        for name in ("metrics", "intervals")
    )
    check(metrics)
    check(intervals)
    numbers = intervals["finetune"]["tiny"]["C"]
    accuracy = metrics["finetune"]["tiny"]["C"]["test_accuracy"]
    assert round(numbers["correct"] / numbers["n"], 6) == accuracy
    segment = intervals["segment"]
    assert set(segment["baseline"]["fcn"]["iou"]) == {"urban", "forest", "water"}
    assert set(segment["skips"]["merged"]["iou"]) == {"water", "green", "grey"}
    assert intervals["pretrain"]["tiny"]["byol"]["knn_accuracy_random"] == 0.3
    assert "test_accuracy_sd" not in intervals["classify"]["baseline"]["cnn"]  # one seed
    assert "test_accuracy_sd" in intervals["classify"]["transfer"]["scratch"]
    count = len(jobs(params))
    assert intervals["machine"] == {key: {str(value): count} for key, value in MACHINE.items()}


def test_metrics_are_one_number_a_run_and_one_a_named_comparison(
    evaluated_results: Path, params: Params
) -> None:
    evaluation = evaluate(evaluated_results, params)
    metrics, intervals = evaluation.metrics, evaluation.intervals
    assert set(metrics) == {"pretrain", "finetune", "classify", "segment", "comparisons"}
    for stage, headline in (("pretrain", "knn_accuracy"), ("segment", "test_miou")):
        runs = [run for task in metrics[stage].values() for run in task.values()]
        assert all(set(run) == {headline} for run in runs)
    comparisons = metrics["comparisons"]
    assert set(comparisons["finetune"]["tiny"]) == {"B-A", "C-A", "C-B", "E-D"}
    assert len(intervals["comparisons"]["finetune"]["tiny"]) == 10
    frame = evaluation.tables["comparisons"].frame
    pair = frame[(frame["a"] == "big") & (frame["b"] == "cnn")].iloc[0]
    assert comparisons["classify"]["baseline"]["big-cnn"] == round(pair["difference"], 6)
    assert "ci_low" not in intervals["comparisons"]["classify"]["baseline"]["big-cnn"]  # one seed


def test_another_result_of_one_run_changes_at_most_six_metrics(
    evaluated: Path, params: Params
) -> None:
    before = evaluate(evaluated, params).metrics
    for seed in (0, 1, 2):  # as after a change of B's learning rate
        path = evaluated / f"finetune/tiny/B/{seed}/predictions.csv"
        table = pd.read_csv(path, dtype={"id": str})
        other = (table["prediction"] + (table.index % 9 == 0)) % 3
        table.assign(prediction=other).to_csv(path, index=False)
    after = evaluate(evaluated, params).metrics
    changed = [key for key, value in flat(before).items() if flat(after)[key] != value]
    assert 1 <= len(changed) <= 6


def flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    leaves: dict[str, object] = {}
    for key, value in tree.items():
        inner = flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        leaves |= inner
    return leaves


def test_the_same_predictions_give_the_same_tables(evaluated_results: Path, params: Params) -> None:
    evaluation = evaluate(evaluated_results, params)
    for name, table in evaluation.tables.items():
        path = evaluated_results / "tables" / f"{name}.md"
        assert path.read_text() == table.markdown
    metrics = (evaluated_results / "metrics.json").read_text()
    assert json.loads(metrics) == evaluation.metrics


def test_evaluate_needs_no_model(evaluated: Path, params: Params) -> None:
    for path in [*evaluated.rglob("*.safetensors"), *evaluated.rglob("images.npy")]:
        path.unlink()
    evaluate(evaluated, params)


def test_one_task_of_one_stage_is_evaluated(evaluated: Path, params: Params) -> None:
    only = {"classify": {"transfer": params.classify["transfer"]}}
    nothing: dict[str, object] = {"pretrain": {}, "finetune": {}, "segment": {}, "embed": {}}
    evaluation = evaluate(evaluated, params.model_copy(update=nothing | only))
    run = {"scratch": evaluation.metrics["classify"]["transfer"]["scratch"]}
    assert evaluation.metrics == {"classify": {"transfer": run}}
    assert set(evaluation.tables["seeds"].frame["task"]) == {"transfer"}


def test_a_configuration_without_tasks_gives_empty_tables(evaluated: Path, params: Params) -> None:
    stages = ("pretrain", "finetune", "classify", "segment", "embed")
    evaluation = evaluate(evaluated, params.model_copy(update={name: {} for name in stages}))
    assert evaluation.metrics == {} == evaluation.intervals
    assert evaluation.tables["comparisons"].markdown == "No task has two runs to compare.\n"
