"""A run with nothing to do: both engines on the project, and bare on a graph of the same size.

The bare graph has the same jobs, dependencies and outputs, one rule or stage a job, and commands
that only touch their outputs; without profile, parameters and shared state. The project must have
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

MIN_RATIO = 1 / 1.5  # of the bare engine's time to ours
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
        raise RepriseError("results/report.html: not found; `make run` first")
    listed = subprocess.run(
        [commands / "python", "-c", LIST], cwd=ROOT, capture_output=True, text=True, check=True
    )
    jobs = yaml.safe_load(listed.stdout)
    with tempfile.TemporaryDirectory() as temporary:
        bare = Path(temporary)
        write_bare(bare, jobs)
        engines = {
            "snakemake": [str(commands / "snakemake"), "--cores", "4"],
            "dvc": [str(commands / "dvc"), "repro"],
        }
        run(bare, [str(commands / "snakemake"), "--cores", "2", "--quiet", "all"])
        run(bare, [str(commands / "dvc"), "commit", "--force", "--quiet"])
        for folder in (ROOT, bare):  # a stale result is an error before anything is measured
            for command in engines.values():
                run(folder, command)
        sides = {}
        for engine, command in engines.items():
            words = " ".join([engine, *command[1:]])
            sides[engine] = Side(f"Reprise: `{words}`", timed(ROOT, command))
            what = f"`{words}` on {len(jobs)} jobs of `touch`"
            sides[f"bare_{engine}"] = Side(what, timed(bare, command))
        interleave(sides, 1 if quick else 7)
    comparisons = [
        Comparison(f"{engine}, nothing to do", engine, f"bare_{engine}", MIN_RATIO)
        for engine in engines
    ]
    notes = ["A goal of 0.67 allows 1.5 times what the bare engine needs."]
    return Measured(f"Nothing to do, {len(jobs)} jobs", "s", sides, comparisons, notes)


def timed(folder: Path, command: list[str]) -> Any:
    """A function without arguments: seconds of one call."""
    return seconds_of(lambda: run(folder, command))


def run(folder: Path, command: list[str]) -> None:
    """Raises RepriseError with the last line of a failed command, or if it had a job to run."""
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        raise RepriseError(f"{' '.join(command)}: {done.stdout.strip().splitlines()[-1]}")
    if folder == ROOT and not ("Nothing to be done" in done.stdout or "up to date" in done.stdout):
        raise RepriseError("results/ was out of date; `make run` first")


def write_bare(folder: Path, jobs: list[dict[str, Any]]) -> None:
    """The graph of the project, with its source files and empty commands."""
    for name in ("src", "workflow", "data", "requirements"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    rules, stages = ["rule all:\n    input: "], {}
    all_outputs = []
    outputs = {out for job in jobs for out, _ in job["outs"]}
    for number, job in enumerate(jobs):
        outs = [out for out, _ in job["outs"]]
        declared = [
            f"directory({out!r})" if is_folder else repr(out) for out, is_folder in job["outs"]
        ]
        inputs = [repr(file) for dep in job["deps"] for file in below(dep, outputs)]
        make = " && ".join(
            f"mkdir -p {o}" if is_folder else f"touch {o}" for o, is_folder in job["outs"]
        )
        rules.append(
            f"rule job{number}:\n    input: {', '.join(inputs)}\n"
            f"    output: {', '.join(declared)}\n    shell: {make!r}\n"
        )
        dvc_outs = [{out: {"cache": not out.startswith("results/tables")}} for out in outs]
        stages[f"job{number}"] = {"cmd": make, "deps": job["deps"], "outs": dvc_outs}
        all_outputs += [repr(out) for out in outs]
    rules[0] += ", ".join(all_outputs) + "\n"
    (folder / "Snakefile").write_text("\n".join(rules))
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (folder / ".gitignore").write_text("/results/\n/.snakemake/\n")
    for command in (
        ["git", "init", "-q"],
        ["dvc", "init", "-q"],
        ["dvc", "config", "core.analytics", "false"],
    ):
        run(folder, command)


def below(dependency: str, outputs: set[str]) -> list[str]:
    """The outputs in a folder that a stage depends on; or the one file, or the output it is in."""
    parents = [path for path in outputs if dependency.startswith(f"{path}/")]
    if parents:
        return parents
    inside = sorted(path for path in outputs if path.startswith(f"{dependency}/"))
    return [dependency] if dependency in outputs or not inside else inside


if __name__ == "__main__":
    print(row("engines", "--quick" in sys.argv))
