"""A run with nothing to do: both engines on the project, and bare on a graph of the same size.

The bare graph has the same jobs, dependencies and outputs, one rule or stage a job, and commands
that only touch their outputs; no profile, no parameters, no shared state. The project must have
been built here (`make run`), and nothing may be out of date.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from bench.measure import ROOT, Comparison, Measured, Side, interleave
from bench.timing import seconds_of
from reprise.errors import RepriseError

MOST = 1 / 1.5  # of the bare engine's time to ours
LIST = """
import json, os
from dvc.repo import Repo
jobs = []
for stage in Repo().index.stages:
    deps = [os.path.relpath(dep.fs_path) for dep in stage.deps if not getattr(dep, "params", None)]
    outs = [(os.path.relpath(out.fs_path), os.path.isdir(out.fs_path)) for out in stage.outs]
    jobs.append({"deps": sorted(deps), "outs": sorted(outs)})
print(json.dumps(jobs))
"""


def row(name: str, quick: bool) -> Measured:
    """Seconds of `snakemake --cores 4` and `dvc repro` where nothing is out of date."""
    commands = ROOT / ".venv" / "bin"
    if not (ROOT / "results" / "report.html").exists() or not (commands / "dvc").exists():
        raise RepriseError("results/report.html: not found; `make run` first, and run nothing else")
    made = subprocess.run(
        [commands / "python", "-c", LIST], cwd=ROOT, capture_output=True, text=True, check=True
    )
    jobs = yaml.safe_load(made.stdout)
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder)
        write_bare(bare, jobs)
        engines = {
            "snakemake": [str(commands / "snakemake"), "--cores", "4"],
            "dvc": [str(commands / "dvc"), "repro"],
        }
        run(bare, [str(commands / "snakemake"), "--cores", "2", "--quiet", "all"])
        run(bare, [str(commands / "dvc"), "commit", "--force", "--quiet"])
        for place in (ROOT, bare):  # what is stale shows before it is measured
            for command in engines.values():
                run(place, command)
        sides = {}
        for engine, command in engines.items():
            words = " ".join([engine, *command[1:]])
            ours, alone = timed(ROOT, command), timed(bare, command)
            sides[engine] = Side(f"Reprise: `{words}`", ours)
            sides[f"bare_{engine}"] = Side(f"`{words}` on {len(jobs)} jobs of `touch`", alone)
        interleave(sides, 1 if quick else 7)
    comparisons = [
        Comparison(f"{engine}, nothing to do", engine, f"bare_{engine}", MOST) for engine in engines
    ]
    notes = ["A goal of 0.67 allows 1.5 times what the bare engine needs."]
    return Measured(f"Nothing to do, {len(jobs)} jobs", "s", sides, comparisons, notes)


def timed(place: Path, command: list[str]) -> Any:
    """A function of no arguments: seconds of one call."""
    return seconds_of(lambda: run(place, command))


def run(place: Path, command: list[str]) -> None:
    """Raises RepriseError with the last line of a command that failed, or had something to do."""
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    made = subprocess.run(
        command, cwd=place, env=os.environ | {"PATH": path}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if made.returncode:
        raise RepriseError(f"{' '.join(command)}: {made.stdout.strip().splitlines()[-1]}")
    if place == ROOT and not ("Nothing to be done" in made.stdout or "up to date" in made.stdout):
        raise RepriseError("results/ was out of date; `make run` first")


def write_bare(folder: Path, jobs: list[dict[str, Any]]) -> None:
    """The graph of the project, with its source files and empty commands."""
    for name in ("src", "workflow", "data"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "requirements-data.txt", folder)
    rules, stages = ["rule all:\n    input: "], {}
    everything = []
    made = {out for job in jobs for out, _ in job["outs"]}
    for number, job in enumerate(jobs):
        outs = [out for out, _ in job["outs"]]
        wanted = [
            f"directory({out!r})" if is_folder else repr(out) for out, is_folder in job["outs"]
        ]
        inputs = [repr(file) for dep in job["deps"] for file in below(dep, made)]
        make = " && ".join(
            f"mkdir -p {o}" if is_folder else f"touch {o}" for o, is_folder in job["outs"]
        )
        rules.append(
            f"rule job{number}:\n    input: {', '.join(inputs)}\n    output: {', '.join(wanted)}\n"
            f"    shell: {make!r}\n"
        )
        outputs = [{out: {"cache": not out.startswith("results/tables")}} for out in outs]
        stages[f"job{number}"] = {"cmd": make, "deps": job["deps"], "outs": outputs}
        everything += [repr(out) for out in outs]
    rules[0] += ", ".join(everything) + "\n"
    (folder / "Snakefile").write_text("\n".join(rules))
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (folder / ".gitignore").write_text("/results/\n/.snakemake/\n")
    for command in (
        ["git", "init", "-q"],
        ["dvc", "init", "-q"],
        ["dvc", "config", "core.analytics", "false"],
    ):
        run(folder, command)


def below(dependency: str, made: set[str]) -> list[str]:
    """The outputs in a folder that a stage depends on; or the one file."""
    inside = sorted(path for path in made if path.startswith(f"{dependency}/"))
    return [dependency] if dependency in made or not inside else inside


if __name__ == "__main__":
    print(row("engines", "--quick" in sys.argv))
