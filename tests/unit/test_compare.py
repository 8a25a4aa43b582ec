"""`python -m reprise compare`: what differs, and what the intervals allow."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reprise import compare
from reprise.atomic_io import write_json
from reprise.compare import ALL, Interval, comparison, difference_interval, read_results
from reprise.errors import RepriseError

ROOT = Path(__file__).parents[2]
MACHINE = {"cpu_capability": {"AMD AVX512": 3}, "precision": {"bfloat16": 2, "float32": 1}}


def write(
    folder: Path,
    accuracy: float,
    half: float = 0.04,
    difference: float = 0.1,
    machine: dict[str, Any] = MACHINE,
) -> Path:
    """Results of two runs: A with an interval over groups and seeds, B over groups only."""
    folder.mkdir()
    a = {f"test_accuracy_{end}": accuracy + s * half for end, s in (("ci_low", -1), ("ci_high", 1))}
    a |= {"test_accuracy_groups_low": accuracy, "test_accuracy_groups_high": accuracy, "images": 9}
    b = {"test_accuracy_groups_low": 0.4, "test_accuracy_groups_high": 0.6, "val_accuracy": 0.5}
    pair = {"ci_low": difference - 0.05, "ci_high": difference + 0.05, "p": 0.03}
    tasks = {"earth": {"A": {"test_accuracy": accuracy}, "B": {"test_accuracy": accuracy - 0.1}}}
    metrics = {"finetune": tasks, "comparisons": {"finetune": {"earth": {"B-A": difference}}}}
    write_json(folder / "metrics.json", metrics)
    intervals = {"finetune": {"earth": {"A": a, "B": b}}, "machine": machine}
    intervals["comparisons"] = {
        "finetune": {"earth": {"B-A": pair, "C-A": pair | {"difference": 0.2}}}
    }
    write_json(folder / "intervals.json", intervals)
    return folder


def row(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return line.split()


def test_a_difference_is_allowed_if_the_combined_interval_includes_0(tmp_path: Path) -> None:
    a = write(tmp_path / "a", 0.60)
    near, far = write(tmp_path / "near", 0.65), write(tmp_path / "far", 0.66)
    # the half width is .04 * sqrt(2) = .0566
    words = row(comparison(a, near), "finetune.earth.A.test_accuracy")
    expected = "0.6000 0.6500 +0.0500 -0.0066 to +0.1066 groups and seeds yes"
    assert " ".join(words[1:]) == expected
    text = comparison(a, far)
    assert row(text, "finetune.earth.A.test_accuracy")[-1] == "no"
    assert "the intervals do not allow 1 of these differences." in text


def test_of_groups_alone_the_table_says_so(tmp_path: Path) -> None:
    text = comparison(write(tmp_path / "a", 0.60), write(tmp_path / "b", 0.61))
    assert row(text, "finetune.earth.B.test_accuracy")[-3:] == ["groups", "only", "yes"]
    assert "another training may differ by more" in text


def test_equal_numbers_have_no_row_and_counts_are_not_compared(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", 0.6), write(tmp_path / "b", 0.6, difference=0.11)
    text = comparison(a, b)
    assert "finetune.earth.A" not in text and ".images" not in text
    assert row(text, "comparisons.finetune.earth.B-A")[1:4] == ["0.1000", "0.1100", "+0.0100"]
    assert "0 of 4 numbers differ.\n" in comparison(a, a)
    assert compare.NOTE not in comparison(a, a)


def test_the_machines_of_both_are_printed(tmp_path: Path) -> None:
    a = write(tmp_path / "a", 0.6)
    text = comparison(a, write(tmp_path / "b", 0.6, machine={"threads": {"2": 3}}))
    first, second = text.splitlines()[:2]
    assert first.endswith("cpu_capability AMD AVX512, precision bfloat16 and float32")
    assert second.endswith("b: threads 2")
    assert "machine not recorded" in comparison(a, write(tmp_path / "c", 0.6, machine={}))


@pytest.mark.parametrize("name", ["metrics.json", "intervals.json"])
def test_a_file_is_read_with_its_partner(name: str, tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", 0.6), write(tmp_path / "b", 0.7)
    of_folders, of_files = comparison(a, b), comparison(a / name, b / name)
    assert of_folders.splitlines()[2:] == of_files.splitlines()[2:]


def test_a_copy_of_one_file_is_compared_without_the_other(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", 0.6), write(tmp_path / "b", 0.7)
    (a / "metrics.json").rename(tmp_path / "committed.json")
    text = comparison(tmp_path / "committed.json", b / "metrics.json")
    assert row(text, "finetune.earth.A.test_accuracy")[1:] == ["0.6000", "0.7000", "+0.1000"]
    assert "2 of 3 numbers differ, 0 of them with intervals." in text
    assert "Only in B" in text  # C-A, which is in intervals.json


def test_what_only_one_has_is_named(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", 0.6), write(tmp_path / "b", 0.6)
    tree = json.loads((b / "metrics.json").read_text())
    tree["classify"] = {"baseline": {f"run{i}": {"test_accuracy": 0.5} for i in range(7)}}
    write_json(b / "metrics.json", tree)
    text = comparison(a, b)
    assert f"Only in B ({b}): classify.baseline.run0.test_accuracy" in text
    assert "and 2 more" in text and "Only in A" not in text


def test_the_interval_of_a_difference_covers_it() -> None:
    """Two means of 40 draws: the interval of their difference has its nominal coverage."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        a, b = rng.normal(0, 1, 40), rng.normal(0.3, 2, 40)
        halves = [1.96 * x.std(ddof=1) / np.sqrt(40) for x in (a, b)]
        of = [
            Interval(x.mean() - h, x.mean() + h, ALL) for x, h in zip((a, b), halves, strict=True)
        ]
        low, high = difference_interval(a.mean(), of[0], b.mean(), of[1])
        covered += low <= 0.3 <= high
    assert 0.93 <= covered / 2000 <= 0.97


def test_each_side_of_an_asymmetric_interval_counts_where_it_faces_the_other() -> None:
    low, high = difference_interval(0.5, Interval(0.2, 0.53, ALL), 0.6, Interval(0.56, 0.9, ALL))
    assert low == pytest.approx(0.1 - 0.05) and high == pytest.approx(0.1 + np.hypot(0.3, 0.3))


def test_real_results_equal_themselves_and_every_score_has_its_interval(
    evaluated_results: Path,
) -> None:
    text = comparison(evaluated_results, evaluated_results)
    assert "\n0 of " in text and "machine not recorded" not in text
    results = read_results(evaluated_results)
    scores = [key for key in results.numbers if key[0] == "finetune"]
    assert len(scores) == 5 and all(results.intervals[key].over == ALL for key in scores)
    pairs = [key for key in results.numbers if key[:2] == ("comparisons", "finetune")]
    assert pairs and all(key in results.intervals for key in pairs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"metrics\.json: not found"),
        ("{", r"metrics\.json: not valid JSON"),
        ("[1]", r"metrics\.json: not numbers by stage and task"),
        ('{"a": 1}', r"metrics\.json: not numbers by stage and task"),
        ('{"a": {"b": "c"}}', r"metrics\.json: a\.b: 'c' is not a finite number"),
        ('{"a": {"b": [1]}}', r"metrics\.json: a\.b: \[1\] is not a finite number"),
        ('{"a": {"b": true}}', r"metrics\.json: a\.b: True is not a finite number"),
        ('{"a": {"b": NaN}}', r"metrics\.json: a\.b: nan is not a finite number"),
        ('{"machine": {"threads": 1}}', r"metrics\.json: machine\.threads: 1 is not a count"),
        ('{"a": {"b": 1}}', "has no number in common with"),
        ("{}", "has no number in common with"),
    ],
)
def test_bad_input_is_one_line(text: str | None, message: str, tmp_path: Path) -> None:
    a = write(tmp_path / "a", 0.6)
    (tmp_path / "b").mkdir()
    if text is not None:
        (tmp_path / "b" / "metrics.json").write_text(text)
    with pytest.raises(RepriseError, match=message) as error:
        comparison(a, tmp_path / "b")
    assert "\n" not in str(error.value)


WITHOUT_TORCH = """
import runpy, sys
sys.modules["torch"] = None  # importing it fails
sys.argv = ["reprise", *sys.argv[1:]]
runpy.run_module("reprise", run_name="__main__", alter_sys=True)
"""


def test_the_command_needs_no_torch_and_ends_with_status_0_or_one_line(tmp_path: Path) -> None:
    def run(*words: Path | str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", WITHOUT_TORCH, "compare", *map(str, words)]
        return subprocess.run(
            command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    a, b = write(tmp_path / "a", 0.6), write(tmp_path / "b", 0.9)
    ended = run("a", "b")
    assert ended.returncode == 0, ended.stderr
    assert "finetune.earth.A.test_accuracy" in ended.stdout and not ended.stderr
    ended = run(a, b / "none.json")
    assert ended.returncode == 1 and len(ended.stderr.splitlines()) == 1


def test_the_help_lists_both_commands() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "reprise", "--help"], env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "predict " in ended.stdout and "compare " in ended.stdout
