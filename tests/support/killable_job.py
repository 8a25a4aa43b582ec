"""Training jobs in separate processes that can be killed at any moment.

The processes are forked from one that has already imported torch, so that a job starts at once.
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
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch._dynamo  # the first optimizer imports it: a second in each process that lacks it
from ruamel.yaml import YAML

from reprise.models.build import build_backbone
from reprise.models.weights import write_tensors
from reprise.training.checkpoint import VARIABLE
from support.small_datasets import small_dataset, write_and_read

ROOT = Path(__file__).parents[2]
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["support.killable_job"])
JOBS = {
    "pretrain": ["pretrain", "--task", "earth", "--run", "byol"],
    "full": ["finetune", "--task", "earth", "--run", "A"],
    "frozen": ["finetune", "--task", "earth", "--run", "D"],
    "segment": ["segment", "--task", "baseline", "--run", "fcn32s"],
}
BACKBONE = Path("pretrain", "earth", "supervised", "0", "backbone.safetensors")
SPLITS = ["train"] * 64 + ["val"] * 16 + ["test"] * 16


def write_inputs(folder: Path) -> None:
    """Two small datasets, a backbone, and a params.yaml in which each job has a few dozen steps."""
    rng = np.random.default_rng(0)
    labels = (np.arange(96) % 3).astype(np.uint8)
    maps = np.kron(rng.integers(0, 3, (96, 2, 2)), np.ones((1, 16, 16))).astype(np.uint8)
    noise = rng.integers(0, 60, (96, 32, 32, 3))
    images = (noise + 60 * labels[:, None, None, None].astype(int)).astype(np.uint8)
    write_and_read(folder / "classes", small_dataset(images, labels, 3, SPLITS))
    images = (noise + 60 * maps[..., None].astype(int)).astype(np.uint8)
    write_and_read(folder / "maps", small_dataset(images, maps, 3, SPLITS))
    torch.manual_seed(1)
    write_tensors(folder / BACKBONE, build_backbone("resnet10", "imagenet").net.state_dict())
    YAML().dump(small_params(), folder / "params.yaml")


def small_params() -> dict[str, Any]:
    """The preset earth with short trainings of small networks."""
    params: dict[str, Any] = YAML(typ="safe").load((ROOT / "presets" / "earth.yaml").read_text())
    params["runtime"] |= {"device": "cpu", "precision": "float32", "threads": 1}
    params["pretrain"]["earth"]["recipes"]["byol"] |= {
        "stem": "imagenet", "epochs": 3, "batch_size": 16, "proj_hidden_dim": 16,
        "proj_output_dim": 8, "knn_k": 3,
    }  # fmt: skip
    params["finetune"]["earth"]["common"] |= {
        "stem": "imagenet", "epochs": 4, "batch_size": 16, "head_hidden_dim": 8, "warmup": 1,
        "feature_epochs": [1, 4],
    }  # fmt: skip
    segment = params["segment"]["baseline"]
    segment["images"] = ["0080", "0090"]
    segment["recipes"]["fcn32s"] |= {
        "epochs": 4, "batch_size": 8, "width_mult": 0.03125, "image_size": 32,
    }  # fmt: skip
    return params


def start(folder: Path, job: str, out: Path, seconds: str = "0.1", file_limit: int = 0) -> Any:
    """Start a job that writes a checkpoint every so many seconds; returns its process."""
    # the process that is forked from finds this module, and what it imports, by the path alone
    paths = [str(ROOT / "tests"), str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
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
    options += ["--seed", "0", "--data", str(data), "--out", str(out)]
    options += ["--params", str(folder / "params.yaml")]
    if job == "frozen":
        options += ["--backbone", str(folder / BACKBONE)]
    sys.argv = [script, *options, "--log", str(out.with_suffix(".log"))]
    runpy.run_path(str(ROOT / "workflow" / "scripts" / f"{script}.py"), run_name="__main__")


def finish(folder: Path, job: str, out: Path, **limits: Any) -> float:
    """Run a job to its end; returns the seconds it took."""
    begin = time.monotonic()
    process = start(folder, job, out, **limits)
    process.join()
    assert process.exitcode == 0, out.with_suffix(".log").read_text()
    return time.monotonic() - begin


def kill_at_random(folder: Path, job: str, out: Path, seconds: float, draw: random.Random) -> None:
    """Start a job and kill it with SIGKILL at a random moment.

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
    """Every file in the folder of a job's outputs, hidden ones included."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }
