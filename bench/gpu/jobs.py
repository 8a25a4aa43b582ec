"""Whole jobs in separate processes: killed and resumed, run twice, on CPU and GPU."""

import csv
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file

from bench.gpu.result import Part
from bench.measure import ROOT
from reprise.evaluation.job_outputs import MACHINE

sys.path.insert(0, str(ROOT / "tests"))

from support import killable_job  # noqa: E402  # the jobs that the tests kill

JOBS = {"pretrain": "BYOL", "full": "run A", "frozen": "run D", "segment": "FCN-32s"}
TRIES = 4  # to kill a job between its first checkpoint and its end
WEIGHTS = ("model.safetensors", "backbone.safetensors")
# columns without measured numbers
FIXED = ("epoch", "step", "learning_rate", "tau", "selected", *MACHINE)


@contextmanager
def input_folder() -> Iterator[Path]:
    """A temporary folder with small datasets, a backbone and the recipes."""
    with tempfile.TemporaryDirectory() as folder:
        killable_job.write_inputs(Path(folder))
        yield Path(folder)


def set_runtime(folder: Path, device: str, precision: str) -> None:
    """Choose device and precision of the jobs that start from now on."""
    path, yaml = folder / "params.yaml", YAML()
    params = yaml.load(path.read_text())
    params["runtime"] |= {"device": device, "precision": precision}
    params["pretrain"]["earth"]["recipes"]["byol"]["allow_collapse"] = True
    yaml.dump(params, path)


def equal_bytes(part: Part) -> None:
    """Run each job twice, and once killed and resumed, and compare all files."""
    device = "cpu" if part.tiny else "cuda"
    runs = [("auto", job) for job in (["full"] if part.tiny else JOBS)]
    runs += [] if part.tiny else [("float16", "full")]
    draw = random.Random(0)
    with input_folder() as folder:
        for precision, job in runs:
            set_runtime(folder, device, precision)
            name = f"{JOBS[job]}, {precision}"
            outs = [folder / f"{job}-{precision}-{number}" for number in range(3)]
            for out in outs[:2]:
                killable_job.finish(folder, job, out, seconds="1000")
            files = killable_job.files_of(outs[0])
            row: dict[str, object] = {
                "two_runs": len(files) >= 2 and files == killable_job.files_of(outs[1])
            }
            part.record(name, row)
            row["resumed_at"] = kill_and_resume(folder, job, outs[2], draw)
            row["killed"] = files == killable_job.files_of(outs[2])
            part.record(name, row)
    rows = part.values().values()
    if not all(row["two_runs"] and row["killed"] and row["resumed_at"] for row in rows):
        raise SystemExit("bytes: not every training ended in the same bytes; see the table")


def kill_and_resume(folder: Path, job: str, out: Path, draw: random.Random) -> int | None:
    """Kill a job soon after its first checkpoint and finish it; the step at which it resumed.

    None if no kill fell between the checkpoint and the end of the job, which may be milliseconds.
    """
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    for _ in range(TRIES):
        process = killable_job.start(folder, job, out, seconds="0")
        while process.is_alive() and not checkpoint.exists():
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.01))
        process.kill()
        process.join()
        if checkpoint.exists():
            break
        shutil.rmtree(out, ignore_errors=True)
    killable_job.finish(folder, job, out, seconds="1000")
    step = re.search(r"resuming from step (\d+)", out.with_suffix(".log").read_text())
    return int(step[1]) if step else None


def cpu_and_gpu(part: Part) -> None:
    """The same jobs on CPU and GPU: numbers of the last epoch, and weights."""
    gpu = "cpu" if part.tiny else "cuda"
    runtimes = [("cpu", "float32"), (gpu, "float32"), (gpu, "auto")]
    with input_folder() as folder:
        for job in ["full"] if part.tiny else JOBS:
            outs = []
            for number, (device, precision) in enumerate(runtimes):
                set_runtime(folder, device, precision)
                outs.append(folder / f"{job}-{number}")
                killable_job.finish(folder, job, outs[-1], seconds="1000")
            part.record(JOBS[job], differences(outs))
            for out in outs:
                shutil.rmtree(out)


def differences(outs: list[Path]) -> dict[str, list[float]]:
    """Each number of the last epoch, and the relative distance of weights from the first ones."""
    rows = []
    for out in outs:
        with (out / "history.csv").open() as stream:
            rows.append(list(csv.DictReader(stream))[-1])
    values = {name: [float(row[name]) for row in rows] for name in rows[0] if name not in FIXED}
    vectors = [weights(out) for out in outs]
    norm = vectors[0].norm()
    values["weights"] = [float((vector - vectors[0]).norm() / norm) for vector in vectors]
    return values


def weights(out: Path) -> torch.Tensor:
    """All weights that a job wrote, in one vector of float64."""
    path = next(out / name for name in WEIGHTS if (out / name).exists())
    tensors = load_file(path)
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])
