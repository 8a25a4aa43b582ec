"""Both engines in any order, a value changed and set back: right bytes, and no second training.

A step is an engine, or a command that brings files back, at one of two values. Each value was
trained once before, so no model is trained again, whoever made what is on disk.
"""

import itertools
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support import faults
from support.small_workflow import SmallWorkflow

KEY = "classify.baseline.recipes.B.learning_rate"
BACK, CHANGED = "0.1", "0.2"
ENGINES = ("snakemake", "dvc repro", "dvc exp run")
BRINGING = ("dvc exp apply", "git checkout")  # what is on disk may be incomplete after these
Step = tuple[str, str]
STEPS: list[Step] = list(itertools.product(ENGINES + BRINGING, (CHANGED, BACK)))
WALK = 20  # orders of three steps in one test of the long form


def de_bruijn(symbols: int, length: int) -> Iterator[int]:
    """A cycle in which each sequence of a length comes once: the Lyndon words, in order."""
    word = [-1]
    while word:
        word[-1] += 1
        if length % len(word) == 0:
            yield from word
        word = [word[i % len(word)] for i in range(length)]
        while word and word[-1] == symbols - 1:
            word.pop()


def walks() -> list[list[Step]]:
    """Walks through which each order of three steps goes once, WALK orders each."""
    cycle = list(de_bruijn(len(STEPS), 3))
    cycle += cycle[:2]
    return [
        [STEPS[symbol] for symbol in cycle[start : start + WALK + 2]]
        for start in range(0, len(cycle) - 2, WALK)
    ]


def take(small: SmallWorkflow, step: Step) -> None:
    """Let an engine work at a value, or bring the files of a value back."""
    command, value = step
    name = "back" if value == BACK else "changed"
    if command == "git checkout":
        small.git("checkout", "--quiet", "--force", name)
    elif command == "dvc exp apply":
        small.dvc("exp", "apply", name)
    elif command == "dvc exp run":
        small.dvc("exp", "run", "--set-param", f"{KEY}={value}")
    else:
        text = small.read("params.yaml")
        for other in (BACK, CHANGED):
            text = text.replace(f"B: {{learning_rate: {other}", f"B: {{learning_rate: {value}")
        small.write("params.yaml", text)
        small.snakemake() if command == "snakemake" else small.dvc("repro")


def check(small: SmallWorkflow, step: Step) -> None:
    """Every output is what a value gives."""
    rate = step[1]
    models = {"A": f"A {BACK} 24\n", "B": f"B {rate} 24\n"}
    for run, text in models.items():
        folder = f"results/classify/baseline/{run}/0"
        assert small.read(f"{folder}/model.txt") == text
        assert small.read(f"{folder}/masks/one.txt") == f"{text.split()[1]}\n"
    assert small.read("results/table.csv") == "".join(models.values())
    assert small.read("results/prepare/all/numbers.csv") == "one,two\n" * 3


def walk(small: SmallWorkflow, steps: Sequence[Step]) -> None:
    """Take steps; after each one of an engine, check the outputs and which jobs ran."""
    before = None
    for number, step in enumerate(steps):
        taken = f"{steps[: number + 1]}"
        take(small, step)
        ran = small.ran()
        if step[0] in ENGINES:
            check(small, step)
            # DVC alone keeps no run of a stage whose outputs it does not cache
            allowed = ["evaluate"] if step[0] != "snakemake" and before != step[1] else []
            assert ran in ([], allowed), taken
            before = step[1]
        else:
            assert ran == [], taken
            before = None


def both_trained(folder: Path) -> SmallWorkflow:
    """A project with both values trained: each is a branch of Git and an experiment of DVC."""
    small = SmallWorkflow(folder)
    small.git("branch", "--move", "back")
    small.snakemake()
    small.commit("results")
    small.git("checkout", "--quiet", "-b", "changed")
    take(small, ("snakemake", CHANGED))
    small.commit("changed")
    for name, value in (("changed", CHANGED), ("back", BACK)):
        small.git("checkout", "--quiet", "--force", "back")
        small.dvc("exp", "run", "--name", name, "--set-param", f"{KEY}={value}")
    small.ran()
    return small


def test_a_value_set_back_under_the_other_engine_trains_nothing(tmp_path: Path) -> None:
    small = SmallWorkflow(tmp_path / "small")
    take(small, ("snakemake", BACK))
    take(small, ("dvc repro", CHANGED))
    small.ran()
    walk(small, [("snakemake", BACK), ("dvc exp run", CHANGED), ("dvc repro", BACK)])
    assert "up to date" in small.dvc("status")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SmallWorkflow:
    return both_trained(tmp_path_factory.mktemp("orders") / "small")


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(len(STEPS) ** 3 // WALK))
def test_any_order_of_the_engines(number: int, trained: SmallWorkflow, tmp_path: Path) -> None:
    small = SmallWorkflow.at(tmp_path / "small")
    shutil.copytree(trained.folder, small.folder, symlinks=True)
    steps = walks()[number]
    walk(small, steps)
    small.snakemake()
    small.nothing_to_do()
    faults.count("orders of three steps of both engines", "right", len(steps) - 2)
