"""What a job costs besides its arithmetic: start-up, waiting for batches, memory.

Start-up: each script of workflow/scripts is imported, not run, five times in a fresh process.
Jobs: real scripts on the project's prepared sets with the `earth` preset cut to one epoch; the
share is the time inside `Inputs.train` over that of the training loop, one thread, nothing beside.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bench.measure import ROOT, Measured, Table, median
from bench.sets import prepared
from bench.timing import spend
from reprise.params import load_params

SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
WITHOUT_TORCH = {"prepare", "embed", "evaluate", "plot", "report"}  # they draw, cut or tabulate
# the peers' environment cannot draw; where Reprise's own is absent, it must
OWN = ROOT / ".venv" / "bin" / "python"
PYTHON = OWN if OWN.exists() else Path(sys.executable)
IMPORT = """
import runpy, sys
runpy.run_path(sys.argv[1], run_name="imported")
print("torch" in sys.modules)
"""
JOBS = {
    "pretrain, BYOL": ["pretrain", "--run", "earth", "--method", "byol"],
    "finetune, A": ["finetune", "--run", "earth", "--setting", "A", "--seed", "0"],
    "classify, cnn": ["classify", "--stage", "classify", "--run", "cnn", "--seed", "0"],
    "segment, fcn32s": ["segment", "--stage", "segment", "--run", "fcn32s", "--seed", "0"],
    "segment, deeplabv3": ["segment", "--stage", "segment", "--run", "deeplabv3", "--seed", "0"],
}


def imports(name: str, quick: bool) -> Measured:
    """CPU and wall seconds of each script's imports, and whether torch is among them."""
    rows, failures = [], []
    for script in SCRIPTS:
        used = [
            spend([str(PYTHON), "-c", IMPORT, str(script)], ROOT, PYTHONPATH="src")
            for _ in range(1 if quick else 5)
        ]
        torch = used[0].output.split()[-1] == "True"
        if torch and script.stem in WITHOUT_TORCH:
            failures.append(f"{script.name} imports torch")
        wall, cpu = median([one.wall for one in used]), median([one.cpu for one in used])
        stated = [script.stem, round(wall, 2), round(cpu, 2), round(used[0].memory)]
        rows.append([*stated, "yes" if torch else "no"])
    columns = ["script", "wall s", "CPU s", "peak MiB", "imports torch"]
    title = "Start-up of each script, interpreter included"
    return Measured(title, tables=[Table(title, columns, rows)], failures=failures)


def jobs(name: str, quick: bool) -> Measured:
    """Peak memory and share of waiting of training jobs."""
    rows: list[list[Any]] = []
    chosen = dict(list(JOBS.items())[1:2]) if quick else JOBS
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        params = folder / "params.yaml"
        one_epoch(params)
        for title, job in chosen.items():
            stage, options = job[0], job[1:]
            block = getattr(load_params(params), stage)
            data = prepared(block.data, folder)
            out, told = folder / title, folder / f"{title}.json"
            script = ROOT / "workflow" / "scripts" / f"{stage}.py"
            command = [sys.executable, "-m", "bench.probe", str(told), str(script), *options]
            command += ["--data", str(data), "--out", str(out), "--params", str(params)]
            used = spend(command, ROOT, PYTHONPATH="src")
            seen = json.loads(told.read_text())
            share = round(seen["batches"] / seen["loop"], 3)
            rows.append([title, share, round(seen["loop"], 1), round(used.memory)])
    columns = ["job", "share waiting for batches", "training s", "peak MiB"]
    title = "Training jobs of the earth preset, cut to one epoch"
    return Measured(title, tables=[Table(title, columns, rows)])


def one_epoch(path: Path) -> None:
    """The earth preset with one epoch a job and one thread."""
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load((ROOT / "presets" / "earth.yaml").read_text())
    values["runtime"] |= {"device": "cpu", "threads": 1}
    cut = {"epochs": 1, "warmup": 0}
    for recipe in values["pretrain"]["recipes"]["earth"].values():
        recipe |= cut
    values["finetune"]["recipes"]["earth"]["common"] |= cut | {"features": [1]}
    for recipe in values["classify"]["recipes"].values():
        recipe |= cut | {"features": [1]}
    for recipe in values["segment"]["recipes"].values():
        recipe |= cut
    with path.open("w") as stream:
        yaml.dump(values, stream)
