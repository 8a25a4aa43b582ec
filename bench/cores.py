"""`snakemake --cores 4` on two cores must not be slower than `--cores 2`: the Snakefile caps it.

A temporary clone of the project with the preset `smoke`, but fine-tuning with three seeds and the
epochs of `earth`. Data and backbones are built before the clock starts; a repetition builds all
fifteen fine-tuning jobs.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from bench.measure import ROOT, Comparison, Measured, Side, interleave
from bench.timing import seconds_of, spend
from reprise.engines.verify import clone

SLACK = 0.95  # two equal sides differ by this much from run to run


def row(name: str, quick: bool) -> Measured:
    """The same jobs with two and with four at a time."""
    seeds = [0] if quick else [0, 1, 2]
    with tempfile.TemporaryDirectory(prefix="reprise-bench-") as temporary:
        folder = clone(ROOT, Path(temporary) / "clone", "smoke")
        overlay(folder / "params.yaml", seeds, epochs=2 if quick else 20)
        files = [f"results/finetune/earth/{s}/{n}/history.csv" for s in "ABCDE" for n in seeds]
        snakemake(folder, 2, [*files, "--until", "pretrain"])

        def build(cores: int) -> None:
            shutil.rmtree(folder / "results" / "finetune", ignore_errors=True)
            snakemake(folder, cores, files)

        sides = {
            "four": Side("`snakemake --cores 4`", seconds_of(lambda: build(4))),
            "two": Side("`snakemake --cores 2`", seconds_of(lambda: build(2))),
        }
        interleave(sides, 1 if quick else 2)
    title = f"{len(files)} fine-tuning jobs under Snakemake on {len(os.sched_getaffinity(0))} cores"
    comparisons = [Comparison("--cores 4 against --cores 2", "four", "two", SLACK)]
    note = f"One thread a job; the goal is not to be slower, within {1 - SLACK:.0%}."
    return Measured(title, "s", sides, comparisons, [note])


def overlay(params: Path, seeds: list[int], epochs: int) -> None:
    """More seeds, and more epochs of fine-tuning."""
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load(params.read_text())
    task = values["finetune"]["earth"]
    task["seeds"] = values["pretrain"]["earth"]["seeds"] = seeds
    task["common"] |= {"epochs": epochs, "head_hidden_dim": 256, "feature_epochs": [1]}
    with params.open("w") as stream:
        yaml.dump(values, stream)


def snakemake(folder: Path, cores: int, targets: list[str]) -> None:
    """Run the project's engine, or that of this interpreter.

    Without shared state, because DVC's cache would restore what was built before.
    """
    project = ROOT / ".venv" / "bin"
    commands = project if (project / "snakemake").exists() else Path(sys.executable).parent
    command = [str(commands / "snakemake"), *targets, "--cores", str(cores), "--quiet", "all"]
    paths = f"{commands}{os.pathsep}{os.environ.get('PATH', '')}"
    spend(command, folder, PATH=paths, PYTHONPATH=str(folder / "src"), REPRISE_STATE="off")
