"""How long the trainings took, from their records, beside the published times."""

import json
from pathlib import Path

from reprise.engines.training_times import PUBLISHED, minutes, training_times
from reprise.evaluation.published_numbers import read_numbers
from reprise.jobs import jobs
from reprise.params.load import Params

ROOT = Path(__file__).parents[2]


def write_record(logs: Path, path: str, content: object) -> None:
    file = logs / f"{path}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def test_a_row_for_each_training_with_a_record(params: Params, tmp_path: Path) -> None:
    used = {"seconds": 255.4, "cpu_seconds": 61, "peak_memory_mib": 300}
    write_record(tmp_path, "classify/transfer/scratch/1", {"resources": used})
    write_record(tmp_path, "classify/baseline/cnn/0", {"command": []})  # of an older version
    (tmp_path / "classify/baseline/big").mkdir()
    (tmp_path / "classify/baseline/big/0.json").write_text("cut sho")
    published = tmp_path / "times.csv"
    published.write_text("stage,task,run,seconds\nclassify,transfer,scratch,326\n")
    assert training_times(params, tmp_path, published) == [
        ["classify transfer", "scratch", "1", "4m 15s", "1m 01s", "300 MiB", "5m 26s"]
    ]
    assert training_times(params, tmp_path / "none", published) == []


def test_the_published_times_are_of_runs_with_a_number(params: Params) -> None:
    numbers = read_numbers(ROOT / "workflow/published")
    runs = set(zip(numbers["stage"], numbers["task"], numbers["run"], strict=True))
    lines = (ROOT / PUBLISHED).read_text().splitlines()[1:]
    assert {tuple(line.split(",")[2:5]) for line in lines} <= runs
    printed = ["4m 15s", "5m 24s", "5m 26s", "3m 33s", "4m 45s", "14m 12s"]
    assert [minutes(float(line.rsplit(",", 1)[1])) for line in lines] == printed
    assert len(jobs(params)) > 0
