"""What a job costs apart from its arithmetic: start-up, waiting for batches, memory.

Start-up: each script of workflow/scripts is imported, not run, five times in a new process.
Jobs: the scripts on the project's prepared datasets with the preset `earth` and one epoch; the
share is the time inside `Batches.train_batch` over that of the training loop, with one thread and
no other job.
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
from reprise.params.reader import read_yaml

SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
WITHOUT_TORCH = {"prepare", "embed", "evaluate", "checksums", "plot", "report"}
# the peers' environment lacks packages for drawing; it is used only where Reprise's is absent
OWN = ROOT / ".venv" / "bin" / "python"
PYTHON = OWN if OWN.exists() else Path(sys.executable)
IMPORT = """
import runpy, sys
runpy.run_path(sys.argv[1], run_name="imported")
print("torch" in sys.modules)
"""
JOBS = {
    "pretrain, BYOL": ("pretrain", "earth", "byol"),
    "finetune, A": ("finetune", "earth", "A"),
    "classify, cnn": ("classify", "baseline", "cnn"),
    "segment, fcn32s": ("segment", "baseline", "fcn32s"),
    "segment, deeplabv3": ("segment", "baseline", "deeplabv3"),
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
        wall, cpu = median([each.wall for each in used]), median([each.cpu for each in used])
        numbers = [round(wall, 2), round(cpu, 2), round(used[0].memory)]
        rows.append([script.stem, *numbers, "yes" if torch else "no"])
    columns = ["script", "wall s", "CPU s", "peak MiB", "imports torch"]
    title = "Start-up of each script, interpreter included"
    return Measured(title, tables=[Table(title, columns, rows)], failures=failures)


def jobs(name: str, quick: bool) -> Measured:
    """Peak memory and share of waiting of training jobs."""
    rows: list[list[Any]] = []
    chosen = dict(list(JOBS.items())[1:2]) if quick else JOBS
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        params = folder / "params.yaml"
        one_epoch(params)
        for title, (stage, task, run) in chosen.items():
            data = prepared(read_yaml(params)[stage][task]["data"], folder)
            out, result = folder / title, folder / f"{title}.json"
            script = ROOT / "workflow" / "scripts" / f"{stage}.py"
            command = [sys.executable, "-m", "bench.step_timer", str(result), str(script)]
            command += ["--task", task, "--run", run, "--seed", "0", "--data", str(data)]
            command += ["--out", str(out), "--params", str(params)]
            used = spend(command, ROOT, PYTHONPATH="src")
            seconds = json.loads(result.read_text())
            share = round(seconds["batches"] / seconds["loop"], 3)
            rows.append([title, share, round(seconds["loop"], 1), round(used.memory)])
    columns = ["job", "share waiting for batches", "training s", "peak MiB"]
    title = "Training jobs of the preset earth with one epoch"
    return Measured(title, tables=[Table(title, columns, rows)])


def one_epoch(path: Path) -> None:
    """The preset earth with one epoch a job and one thread."""
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load((ROOT / "presets" / "earth.yaml").read_text())
    values["runtime"] |= {"device": "cpu", "threads": 1}
    short = {"epochs": 1, "warmup": 0}
    values["finetune"]["earth"]["common"] |= short | {"feature_epochs": [1]}
    for stage, more in (("pretrain", {}), ("classify", {"feature_epochs": [1]}), ("segment", {})):
        for task in values[stage].values():
            for recipe in task["recipes"].values():
                recipe |= short | more
    with path.open("w") as stream:
        yaml.dump(values, stream)
