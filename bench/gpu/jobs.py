"""Whole jobs, in processes of their own: killed and resumed, done twice, on processor and GPU."""

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
from typing import Any

import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file

from bench.gpu.result import Part
from bench.measure import ROOT

sys.path.insert(0, str(ROOT / "tests" / "unit"))

import kill  # noqa: E402  # the jobs that the tests kill

JOBS = {"pretrain": "BYOL", "full": "setting A", "frozen": "setting D", "segment": "FCN-32s"}
TRIES = 4  # to kill a job in its midst
WEIGHTS = ("model.safetensors", "backbone.safetensors")
ADDRESSES = ("epoch", "step", "learning_rate", "tau", "selected")  # columns that nothing moves


@contextmanager
def inputs() -> Iterator[Path]:
    """A folder with small sets, a backbone and the recipes."""
    with tempfile.TemporaryDirectory() as folder:
        kill.write_inputs(Path(folder))
        yield Path(folder)


def on(folder: Path, device: str, precision: str) -> None:
    """Where the jobs compute from now on."""
    written, yaml = folder / "params.yaml", YAML()
    params = yaml.load(written.read_text())
    params["runtime"] |= {"device": device, "precision": precision}
    params["pretrain"]["recipes"]["earth"]["byol"]["allow_collapse"] = True
    yaml.dump(params, written)


def same_bytes(part: Part) -> None:
    """Two runs of each job, and one that is killed and goes on: whether all files are the same."""
    device = "cpu" if part.tiny else "cuda"
    wanted = [("auto", job) for job in (["full"] if part.tiny else JOBS)]
    wanted += [] if part.tiny else [("float16", "full")]
    draw = random.Random(0)
    with inputs() as folder:
        for precision, job in wanted:
            on(folder, device, precision)
            name, found = f"{JOBS[job]}, {precision}", {}
            out = [folder / f"{job}-{precision}-{number}" for number in range(3)]
            for place in out[:2]:
                kill.finish(folder, job, place, seconds="1000")
            whole = kill.files_of(out[0])
            found["two_runs"] = len(whole) >= 2 and whole == kill.files_of(out[1])
            part.say(name, found)
            found["went_on"] = killed(folder, job, out[2], draw)
            found["killed"] = whole == kill.files_of(out[2])
            part.say(name, found)
    values = part.other(part.name).values()
    if not all(one["two_runs"] and one["killed"] and one["went_on"] for one in values):
        raise SystemExit("bytes: not every training ended in the same bytes; see the table")


def killed(folder: Path, job: str, out: Path, draw: random.Random) -> int | None:
    """Run a job that is killed soon after its first checkpoint; the step where it went on.

    None when no kill fell between the checkpoint and the end of the job, which may be milliseconds.
    """
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    for _ in range(TRIES):
        process = kill.start(folder, job, out, seconds="0")
        while process.is_alive() and not checkpoint.exists():
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.01))
        process.kill()
        process.join()
        if checkpoint.exists():
            break
        shutil.rmtree(out, ignore_errors=True)
    kill.finish(folder, job, out, seconds="1000")
    step = re.search(r"going on from step (\d+)", out.with_suffix(".log").read_text())
    return int(step[1]) if step else None


def moved(part: Part) -> None:
    """The same jobs on the processor and the GPU: numbers of the last epoch, and weights."""
    gpu = "cpu" if part.tiny else "cuda"
    places = [("cpu", "float32"), (gpu, "float32"), (gpu, "auto")]
    with inputs() as folder:
        for job in ["full"] if part.tiny else JOBS:
            outs = []
            for number, (device, precision) in enumerate(places):
                on(folder, device, precision)
                outs.append(folder / f"{job}-{number}")
                kill.finish(folder, job, outs[-1], seconds="1000")
            part.say(JOBS[job], compared(outs))
            for out in outs:
                shutil.rmtree(out)


def compared(outs: list[Path]) -> dict[str, list[float]]:
    """Each number of the last epoch, and how far weights are from those of the first."""
    last = []
    for out in outs:
        with (out / "history.csv").open() as stream:
            last.append(list(csv.DictReader(stream))[-1])
    found: dict[str, Any] = {
        name: [float(row[name]) for row in last] for name in last[0] if name not in ADDRESSES
    }
    vectors = [weights(out) for out in outs]
    norm = vectors[0].norm()
    found["weights"] = [float((vector - vectors[0]).norm() / norm) for vector in vectors]
    return found


def weights(out: Path) -> torch.Tensor:
    """All weights that a job wrote, in one vector of float64."""
    path = next(out / name for name in WEIGHTS if (out / name).exists())
    tensors = load_file(path)
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])
