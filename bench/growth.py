"""How both engines grow with the number of jobs: plan, record, settle, a run with nothing to do.

A temporary clone has one task of one run and N seeds, from the images to the report. Its jobs are
empty: their outputs are small files that this program writes, with the records that jobs leave. The
bare graph next to it is one rule, or a stage with a matrix, of N jobs and one that reads them all.

    python -m bench.growth [--jobs 10 100 1000]     # writes docs/growth.csv and its figure
    python -m bench.growth --jobs 10000 --only snakemake --add     # adds its rows

For each command: CPU seconds of it and its children, and the peak memory of the largest process.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pandas as pd
import yaml
from matplotlib.figure import Figure

from bench.measure import ROOT
from reprise.engines.verify import clone, environment

COLUMNS = ["jobs", "what", "reprise_cpu_s", "bare_cpu_s", "reprise_mib", "bare_mib"]
TABLE = ROOT / "docs" / "growth.csv"
FIGURE = ROOT / "docs" / "figures" / "growth.png"
PATIENCE = 3600
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


class Cost(NamedTuple):
    """CPU seconds of a command and its children, and MiB of the largest of these processes."""

    cpu_s: float | None
    mib: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--only", choices=["snakemake", "dvc"], help="the commands of one engine")
    parser.add_argument("--add", action="store_true", help="keep the rows of other numbers of jobs")
    args = parser.parse_args()
    rows = [row for row in read(args.out) if int(row[0]) not in args.jobs] if args.add else []
    for count in args.jobs:
        with tempfile.TemporaryDirectory(prefix="reprise-growth-") as temporary:
            for row in measure(Path(temporary), count, args.only):
                print(*row, flush=True)
                rows.append(row)
                write(args.out, sorted(rows, key=lambda row: int(row[0])))
    if args.out == TABLE:
        draw(TABLE, FIGURE)


def read(path: Path) -> list[list[Any]]:
    """The rows of an earlier table, without its header; [] if there is none."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [row + [""] * (len(COLUMNS) - len(row)) for row in list(csv.reader(stream))[1:]]


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


def measure(folder: Path, count: int, only: str | None = None) -> Iterator[list[Any]]:
    """The rows of one number of jobs; only: those of one engine's commands."""
    ours, bare = project(folder / "reprise", count), bare_project(folder / "bare", count)
    plan = ["snakemake", "--dryrun", "--quiet", "all"]
    if only != "dvc":
        yield [count, "snakemake: plan", *pair(cost(ours, plan), cost(bare, plan))]
    cost(ours, [sys.executable, "-c", FILL])
    fill_bare(bare, count)
    sync = [sys.executable, "-m", "reprise.engines.sync"]
    recorded = cost(ours, [*sync, "--record", "1"])  # Snakemake has nothing to do only after it
    commit = ["dvc", "commit", "--force", "--quiet"]
    committed = Cost(None, None) if only == "snakemake" else cost(bare, commit)
    yield [count, "dvc: record", *pair(recorded, committed)]
    if only != "dvc":
        touch = ["snakemake", "--touch", "--cores", "1", "--quiet", "all"]
        yield [count, "snakemake: settle", *pair(cost(ours, sync), cost(bare, touch))]
        run = ["snakemake", "--cores", "1", "--quiet", "all"]
        yield [count, "snakemake: nothing to do", *in_turns(ours, bare, run)]
    if only != "snakemake":
        yield [count, "dvc: nothing to do", *in_turns(ours, bare, ["dvc", "repro", "--quiet"])]


def in_turns(ours: Path, bare: Path, command: list[str]) -> list[float]:
    """The costs of a command that changes nothing in each folder, medians of REPEATS in turns."""
    turns = [pair(cost(ours, command), cost(bare, command)) for _ in range(REPEATS)]
    return [median(values) for values in zip(*turns, strict=True)]


def pair(ours: Cost, bare: Cost) -> list[Any]:
    """Two costs in the order of the columns."""
    return [value for values in zip(ours, bare, strict=True) for value in values]


def project(folder: Path, count: int) -> Path:
    """A clone with one task and as many seeds as jobs."""
    clone(ROOT, folder, "smoke")
    glasses = yaml.safe_load((folder / "params.yaml").read_text())["datasets"]["glasses"]
    task = {"data": "glasses", "seeds": list(range(count)), "runs": ["small"]}
    task["recipes"] = {"small": RECIPE}
    values = {"datasets": {"glasses": glasses}, "classify": {"again": task}}
    (folder / "params.yaml").write_text(json.dumps(values))
    cost(folder, [sys.executable, "-m", "reprise.engines.repository", "dvc.yaml"])
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
        cost(folder, command)
    cost(folder, ["dvc", "config", "core.analytics", "false"])
    return folder


def fill_bare(folder: Path, count: int) -> None:
    """The outputs of the bare graph."""
    (folder / "results").mkdir()
    for name in [*range(count), *(f"j{n}" for n in range(count)), "all"]:
        (folder / "results" / str(name)).write_text("")


def cost(folder: Path, command: list[str]) -> Cost:
    """What a command takes, which must succeed; wall time would be that of the other jobs."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(folder), stdout=output, stderr=subprocess.STDOUT
        )
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        assert process.returncode == 0, f"{' '.join(command)[:200]}\n{output.read()[-2000:]}"
    return Cost(round(usage.ru_utime + usage.ru_stime, 2), round(usage.ru_maxrss / 1024))


if __name__ == "__main__":
    main()
