"""Training jobs in processes of their own that can be killed at any moment.

The processes are forked from one that has imported torch already, so that a job starts at once.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import random
import resource
import runpy
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from ruamel.yaml import YAML

from reprise.data.store import Prepared, write_set
from reprise.models.backbone import resnet
from reprise.training.checkpoint import VARIABLE
from reprise.training.outputs import write_tensors

ROOT = Path(__file__).parents[2]
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["kill"])
JOBS = {
    "pretrain": ["pretrain", "--run", "earth", "--method", "byol"],
    "full": ["finetune", "--run", "earth", "--setting", "A", "--seed", "0"],
    "frozen": ["finetune", "--run", "earth", "--setting", "D", "--seed", "0"],
    "segment": ["segment", "--stage", "segment", "--run", "fcn32s", "--seed", "0"],
}


def write_inputs(folder: Path) -> None:
    """Two small sets, a backbone, and a params.yaml in which each job has a few dozen steps."""
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 3
    maps = np.kron(rng.integers(0, 3, (96, 2, 2)), np.ones((1, 16, 16))).astype(np.uint8)
    noise = rng.integers(0, 60, (96, 32, 32, 3))
    common = {
        "roles": np.repeat(["train", "select", "report"], [64, 16, 16]),
        "columns": {}, "classes": [{"id": i, "name": f"class {i}"} for i in range(3)],
        "source": "a test", "licence": "none", "note": "",
    }  # fmt: skip
    images = (noise + 60 * labels[:, None, None, None]).astype(np.uint8)
    write_set(
        folder / "classes", "classes",
        Prepared(images=images, labels=labels.astype(np.uint8), task="classification", **common),
    )  # fmt: skip
    images = (noise + 60 * maps[..., None]).astype(np.uint8)
    write_set(
        folder / "maps", "maps",
        Prepared(images=images, labels=maps, task="segmentation", **common),
    )  # fmt: skip
    torch.manual_seed(1)
    write_tensors(folder / "backbone.safetensors", resnet("resnet10", "imagenet").net.state_dict())
    YAML().dump(small_params(), folder / "params.yaml")


def small_params() -> dict:
    """The preset earth with short trainings of small networks."""
    params = YAML(typ="safe").load((ROOT / "presets" / "earth.yaml").read_text())
    params["runtime"] |= {"device": "cpu", "precision": "float32", "threads": 1}
    byol = params["pretrain"]["recipes"]["earth"]["byol"]
    byol |= {
        "stem": "imagenet",
        "epochs": 3,
        "batch_size": 16,
        "hidden": 16,
        "projection": 8,
        "neighbours": 3,
    }
    tuned = params["finetune"]["recipes"]["earth"]["common"]
    tuned |= {
        "stem": "imagenet",
        "epochs": 4,
        "batch_size": 16,
        "hidden": 8,
        "warmup": 1,
        "features": [1, 4],
    }
    params["segment"]["images"] = ["0080", "0090"]
    segment = params["segment"]["recipes"]["fcn32s"]
    segment |= {"epochs": 4, "batch_size": 8, "width": 0.03125, "image_size": 32}
    return params


def start(folder: Path, job: str, out: Path, seconds: str = "0.1", file_limit: int = 0):
    """Start a job that writes a checkpoint after so many seconds; its process."""
    # the process that is forked from finds this module, and what it imports, by the path alone
    paths = [str(ROOT / "tests" / "unit"), str(ROOT / "src")]
    paths += filter(None, [os.environ.get("PYTHONPATH")])
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(paths)):
        multiprocessing.forkserver.ensure_running()
    process = FORKED.Process(target=_run, args=(folder, job, out, seconds, file_limit))
    process.start()
    return process


def _run(folder: Path, job: str, out: Path, seconds: str, file_limit: int) -> None:
    os.chdir(ROOT)
    os.environ[VARIABLE] = seconds
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    script, *options = JOBS[job]
    data = folder / ("maps" if script == "segment" else "classes")
    options += ["--data", str(data), "--out", str(out), "--params", str(folder / "params.yaml")]
    if job == "frozen":
        options += ["--backbone", str(folder / "backbone.safetensors")]
    sys.argv = [script, *options, "--log", str(out.with_suffix(".log"))]
    runpy.run_path(str(ROOT / "workflow" / "scripts" / f"{script}.py"), run_name="__main__")


def finish(folder: Path, job: str, out: Path, **limits: object) -> float:
    """Run a job to its end; the seconds it took."""
    begin = time.monotonic()
    process = start(folder, job, out, **limits)
    process.join()
    assert process.exitcode == 0, out.with_suffix(".log").read_text()
    return time.monotonic() - begin


def kill_at_random(folder: Path, job: str, out: Path, seconds: float, draw: random.Random) -> None:
    """Start a job and kill it, as the kernel kills, at a moment that is drawn.

    Every other time that is soon after the next checkpoint, so that some of the kills cost steps.
    """
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    process = start(folder, job, out, "0" if job == "frozen" else "0.1")
    if draw.random() < 0.5:
        process.join(draw.uniform(0.2, max(0.3, seconds)))
    else:
        while process.is_alive() and (
            not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before
        ):
            process.join(0.001)
        process.join(draw.uniform(0, seconds / 10))
    process.kill()
    process.join()


def files_of(out: Path) -> dict[str, bytes]:
    """Every file that lies in the folder of a job's outputs, hidden ones included."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }
