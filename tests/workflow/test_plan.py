"""`reprise plan` says in words what would run and why, and runs nothing."""

import sys

import pytest
from support.small_workflow import SmallWorkflow

from reprise.engines.plan import Planned, sentences


@pytest.fixture
def small(tmp_path):
    return SmallWorkflow(tmp_path / "small")


def plan(small):
    """What is printed; nothing may have run."""
    printed = small.run(sys.executable, "-m", "reprise.engines.plan")
    assert small.ran() == []
    return printed


def test_a_plan_names_the_change_the_trainings_and_what_follows(small):
    printed = plan(small)
    assert "classify A: not made yet; 1 training, time not known\n" in printed
    assert "In all 2 trainings and 2 other jobs" in printed

    small.snakemake()
    small.ran()
    assert "Nothing to do: results/ is what params.yaml and the sources give." in plan(small)

    small.edit("params.yaml", "B: {learning_rate: 0.1", "B: {learning_rate: 0.25")
    printed = plan(small)
    assert "classify B: learning_rate 0.1 -> 0.25; 1 training, about " in printed
    assert "then: evaluate\n" in printed and "classify A" not in printed
    assert "In all 1 trainings and 1 other jobs, about " in printed

    small.edit("params.yaml", "B: {learning_rate: 0.25", "B: {learning_rate: 0.1")
    small.edit("src/small.py", "2 * number", "number + number")
    printed = plan(small)
    for run in "AB":
        assert f"classify {run}: its source files changed; 1 training" in printed

    small.edit("src/small.py", "number + number", "2 * number")
    small.write("raw.txt", "one,two,three\n")
    printed = plan(small)
    assert "classify A: what it reads is made again; 1 training" in printed
    assert "then: prepare, evaluate\n" in printed


def job(run, seconds=None, changes=(), why="not made yet", rule="classify"):
    return Planned(rule, "t", run, why, tuple(changes), seconds)


def test_the_time_is_that_of_the_last_records_on_the_cores():
    jobs = [job("a", 30.0), job("a", 30.0), job("a", 30.0), job("b", 400.0)]
    one, two, total = sentences(jobs, 2)
    assert one == "classify t a: not made yet; 3 trainings, about 45 s"
    assert two == "classify t b: not made yet; 1 training, about 6m 40s"
    assert total == "In all 4 trainings and 0 other jobs, about 4m 05s."
    (line, _) = sentences([job("a", 10.0), job("a")], 1)
    assert line == "classify t a: not made yet; 2 trainings, about 20 s, by the 1 that ran before"


def test_many_changed_values_are_counted():
    (line, _) = sentences([job("a", changes=[f"v{n} 1 -> 2" for n in range(9)])], 1)
    assert line.startswith("classify t a: v0 1 -> 2, v1 1 -> 2, ") and "5 more values" in line


def test_jobs_of_one_rule_are_counted():
    line, total = sentences([job("", rule="plot"), job("", rule="plot"), job("", rule="x")], 1)
    assert line == "to do: plot (2 jobs), x" and total.startswith("In all 0 trainings and 3 other")
