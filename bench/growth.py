"""How both engines grow with the number of jobs: plan, record, settle, a run with nothing to do.

A temporary clone has one task of one run and N seeds, from the images to the report. Its jobs are
empty: their outputs are small files that this program writes, with the records that jobs leave. The
bare graph next to it is one rule, or a stage with a matrix, of N jobs and one that reads them all.

    python -m bench.growth [--jobs 10 100 1000]     # writes docs/growth.csv and its figure
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import yaml
from matplotlib.figure import Figure

from bench.measure import ROOT
from reprise.engines.verify import clone, environment

COLUMNS = ["jobs", "what", "reprise_cpu_s", "bare_cpu_s"]
TABLE = ROOT / "docs" / "growth.csv"
FIGURE = ROOT / "docs" / "figures" / "growth.png"
PATIENCE = 1800
REPEATS = 3
RECIPE = {"model": "cnn", "image_size": 32, "epochs": 1, "batch_size": 4, "learning_rate": 0.1}
RECIPE |= {"feature_epochs": [1]}
BARE = """\
rule all:
    input: "results/all"

rule job:
    output: "results/{{n}}"
    shell: "touch {{output}}"

rule join:
    input: expand("results/{{n}}", n=range({count}))
    output: "results/all"
    shell: "touch {{output}}"
"""
# in the clone: every output of every stage, in the order of the graph, then the records
FILL = """
import json, networkx, time
from collections.abc import Iterator
from pathlib import Path
from dvc.repo import Repo
from reprise.atomic_io import file_clock, files_in, sha256
from reprise.engines import code
from reprise.engines.job_records import command
from reprise.params.load import load_params

code.write(load_params())
graph = Repo().index.graph
order = [s for s in networkx.topological_sort(graph.reverse()) if s.name != "code"]
for stage in order:
    for path in [Path(out.fs_path) for out in stage.outs]:
        file = path if path.suffix else path / "0.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(path))
time.sleep(0.1)
params, started = Path("params.yaml").read_text(), file_clock(Path())
for stage in order:
    words = command(stage)
    files = files_in(Path(out.fs_path) for out in stage.outs)
    record = {"command": words, "started": started, "params": params}
    record["outputs"] = {str(f): sha256(f) for f in files}
    log = Path(words[words.index("--log") + 1]).with_suffix(".json")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(json.dumps(record))
print(len(order))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--out", type=Path, default=TABLE)
    args = parser.parse_args()
    rows: list[list[Any]] = []
    for count in args.jobs:
        with tempfile.TemporaryDirectory(prefix="reprise-growth-") as temporary:
            for row in measure(Path(temporary), count):
                print(*row, flush=True)
                rows.append(row)
                write(args.out, rows)
    if args.out == TABLE:
        draw(TABLE, FIGURE)


def write(path: Path, rows: list[list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([COLUMNS, *rows])


def draw(table: Path, path: Path) -> None:
    """One curve a command: CPU seconds over jobs, of Reprise and of the bare engines."""
    frame = pd.read_csv(table)
    figure = Figure(figsize=(10, 2.6), layout="constrained")
    names = list(frame["what"].unique())
    for axes, name in zip(figure.subplots(1, len(names), sharey=True), names, strict=True):
        rows = frame[frame["what"] == name]
        axes.loglog(rows["jobs"], rows["reprise_cpu_s"], "o-", label="Reprise")
        axes.loglog(rows["jobs"], rows["bare_cpu_s"], "s--", label="bare engine")
        axes.set(title=name, xlabel="jobs")
        axes.title.set_fontsize(8)
    figure.axes[0].set_ylabel("CPU seconds")
    figure.axes[0].legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def measure(folder: Path, count: int) -> Iterator[list[Any]]:
    """The rows of one number of jobs."""
    ours, bare = project(folder / "reprise", count), bare_project(folder / "bare", count)
    plan = ["snakemake", "--dryrun", "--quiet", "all"]
    yield [count, "snakemake: plan", seconds(ours, plan), seconds(bare, plan)]
    seconds(ours, [sys.executable, "-c", FILL])
    fill_bare(bare, count)
    since = str(1)
    sync = [sys.executable, "-m", "reprise.engines.sync"]
    record = seconds(ours, [*sync, "--record", since])
    commit = seconds(bare, ["dvc", "commit", "--force", "--quiet"])
    yield [count, "dvc: record", record, commit]
    touch = ["snakemake", "--touch", "--cores", "1", "--quiet", "all"]
    yield [count, "snakemake: settle", seconds(ours, sync), seconds(bare, touch)]
    run = ["snakemake", "--cores", "1", "--quiet", "all"]
    yield [count, "snakemake: nothing to do", *in_turns(ours, bare, run)]
    yield [count, "dvc: nothing to do", *in_turns(ours, bare, ["dvc", "repro", "--quiet"])]


def in_turns(ours: Path, bare: Path, command: list[str]) -> list[float]:
    """CPU seconds of a command that changes nothing in each folder, medians of REPEATS in turns."""
    turns = [(seconds(ours, command), seconds(bare, command)) for _ in range(REPEATS)]
    return [median(values) for values in zip(*turns, strict=True)]


def project(folder: Path, count: int) -> Path:
    """A clone with one task and as many seeds as jobs."""
    clone(ROOT, folder, "smoke")
    glasses = yaml.safe_load((folder / "params.yaml").read_text())["datasets"]["glasses"]
    task = {"data": "glasses", "seeds": list(range(count)), "runs": ["small"]}
    task["recipes"] = {"small": RECIPE}
    values = {"datasets": {"glasses": glasses}, "classify": {"again": task}}
    (folder / "params.yaml").write_text(json.dumps(values))
    seconds(folder, [sys.executable, "-m", "reprise.engines.repository", "dvc.yaml"])
    return folder


def bare_project(folder: Path, count: int) -> Path:
    """The graph without Reprise."""
    folder.mkdir()
    (folder / "Snakefile").write_text(BARE.format(count=count))
    stages = {
        "job": {
            "matrix": {"n": [f"j{n}" for n in range(count)]},
            "cmd": "touch results/${item.n}",
            "outs": ["results/${item.n}"],
        },
        "join": {"cmd": "touch results/all", "deps": [f"results/j{n}" for n in range(count)]},
    }
    stages["join"]["outs"] = ["results/all"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (folder / ".gitignore").write_text("/results/\n/.snakemake/\n")
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        seconds(folder, command)
    seconds(folder, ["dvc", "config", "core.analytics", "false"])
    return folder


def fill_bare(folder: Path, count: int) -> None:
    """The outputs of the bare graph."""
    (folder / "results").mkdir()
    for name in [*range(count), *(f"j{n}" for n in range(count)), "all"]:
        (folder / "results" / str(name)).write_text("")


def seconds(folder: Path, command: list[str]) -> float:
    """CPU seconds of a command, which must succeed; wall time would be that of the other jobs."""
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        command, cwd=folder, env=environment(folder), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert ended.returncode == 0, f"{' '.join(command)[:200]}\n{ended.stdout[-2000:]}"
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime, 2)


if __name__ == "__main__":
    main()
