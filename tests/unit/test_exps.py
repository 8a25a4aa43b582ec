"""`reprise exps`: what differs between experiments of DVC, within 160 columns."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from rich.console import Console

from reprise.engines.exps import Experiment, _experiments, print_experiments, shown


def experiment(name: str, rate: str, **numbers: float) -> Experiment:
    parameters = {"finetune.earth.recipes.B.learning_rate": rate, "plot.dpi": "200"}
    named = {f"finetune.earth.{key}.test_accuracy": str(value) for key, value in numbers.items()}
    return Experiment(name, parameters, named)


def printed(found: list[Experiment], width: int = 160) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    print_experiments(shown(found, width), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


def test_only_what_differs_is_shown_parameters_first_and_the_largest_change_next() -> None:
    found = [
        experiment("main", "0.0002", A=0.5, B=0.61, C=0.7),
        experiment("loud-name", "0.001", A=0.5, B=0.6, C=0.4),
    ]
    table = shown(found, 160)
    assert [name.replace("\n", ".") for name in table.columns] == [
        "finetune.earth.recipes.B.learning_rate",
        "finetune.earth.C.test_accuracy",
        "finetune.earth.B.test_accuracy",
    ]
    assert table.rows == [
        ["main", "0.0002", "0.7", "0.61"], ["loud-name", "0.001", "0.4", "0.6"]
    ]  # fmt: skip
    lines = printed(found)
    assert lines[-1].split() == ["loud-name", "0.001", "0.4", "0.6"]
    assert max(map(len, lines)) <= 160


@pytest.mark.parametrize("width", [80, 120, 160])
def test_what_does_not_fit_is_counted_and_named(width: int) -> None:
    many = {f"run{n}": 0.5 for n in range(40)}
    found = [experiment("main", "1", **many),
             experiment("x", "2", **{name: 0.6 for name in many})]  # fmt: skip
    lines = printed(found, width)
    assert max(map(len, lines[:-1])) <= width
    shown_count = len(shown(found, width).columns)
    assert f"{41 - shown_count} more that differ: " in " ".join(lines)


def test_without_a_difference_the_command_that_makes_one_is_named() -> None:
    one = experiment("main", "1", A=0.5)
    assert "dvc exp run -S" in " ".join(printed([one, one]))


def test_the_experiments_of_dvc_follow_their_commit() -> None:
    def state(name: str | None, rate: float, *experiments: object) -> SimpleNamespace:
        data = SimpleNamespace(
            params={"params.yaml": {"data": {"a": {"rate": rate}}}},
            metrics={"results/metrics.json": {"data": {"score": rate / 2}}, "x": {"error": {}}},
        )
        group = [SimpleNamespace(revs=list(experiments))] if experiments else None
        return SimpleNamespace(name=name, rev="1074bd084510", data=data, experiments=group)

    failed = SimpleNamespace(name="broken", rev="0" * 12, data=None, experiments=None)
    states = [state(None, 0.1), state("main", 0.1, state("loud", 0.2), failed)]
    found = list(_experiments(states))
    assert [one.name for one in found] == ["1074bd084", "main", "loud"]
    assert found[-1] == Experiment("loud", {"a.rate": "0.2"}, {"score": "0.1"})


def test_one_changed_value_gives_twelve_columns_of_dvc_at_most() -> None:
    """`dvc exp show --only-changed`: a column for each file or folder that a stage reads."""
    stages = yaml.safe_load((Path(__file__).parents[2] / "dvc.yaml").read_text())["stages"]
    changed, read = {"results/finetune/earth/B/0/predictions.csv"}, set()
    while True:
        before = len(changed), len(read)
        for stage in stages.values():
            # a file of another run, such as the one that is embedded
            named = {path for path in stage.get("deps", []) if "${" not in path}
            affected = {path for path in named if any(one.startswith(path) for one in changed)}
            read |= affected
            if affected:
                changed |= {next(iter(o)) if isinstance(o, dict) else o for o in stage["outs"]}
        if (len(changed), len(read)) == before:
            break
    assert {"results/finetune/earth", "results/tables", "results/figures"} < read
    # with the name, the time, the value and its metric
    assert len(read) + 4 <= 12, sorted(read)
