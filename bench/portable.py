"""What `runtime.numerics: portable` costs: CPU seconds of trainings of preset earth in three modes.

python -m bench.portable [--results DIR]   a table; DIR has the prepared datasets

Each training runs in a process by itself, the modes interleaved. The seconds of the same training
with one epoch are subtracted, and with them those of the start.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.measure import ROOT
from reprise.engines.preset import render
from reprise.jobs import Job
from reprise.params.reader import parse_yaml, yaml_text

MODES = {
    "fast, auto": {"precision": "auto"},
    "fast, float32": {"precision": "float32"},
    "portable": {"precision": "float32", "numerics": "portable"},
}
JOBS = {  # and the epochs that are trained
    "small CNN, 32 px": (Job("classify", "baseline", "cnn", 0), 6),
    "BYOL, ResNet-10, 32 px": (Job("pretrain", "earth", "byol", 0), 1),
    "FCN-8s, 128 px": (Job("segment", "skips", "fcn8s", 0), 2),
}


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.portable", description=__doc__, formatter_class=layout)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--n", type=int, default=3)
    args = parser.parse_args()
    print("| training | " + " | ".join(MODES) + " | portable / float32 | portable / auto |")
    print("|---|" + "---:|" * (len(MODES) + 2))
    for name, (job, epochs) in JOBS.items():
        taken: dict[str, list[float]] = {mode: [] for mode in MODES}
        for _ in range(args.n):
            for mode, values in MODES.items():
                taken[mode].append(seconds(job, epochs, values, args.results))
        auto, single, portable = (statistics.median(taken[mode]) for mode in MODES)
        spread = " | ".join(
            f"{statistics.median(t):.1f} s ({min(t):.1f} to {max(t):.1f})" for t in taken.values()
        )
        ratios = f"{portable / single:.2f} | {portable / auto:.2f}"
        print(f"| {name} | {spread} | {ratios} |", flush=True)


def seconds(job: Job, epochs: int, runtime: dict[str, Any], results: Path) -> float:
    """CPU seconds of a training of `epochs` more epochs than one."""
    return train(job, 1 + epochs, runtime, results) - train(job, 1, runtime, results)


def train(job: Job, epochs: int, runtime: dict[str, Any], results: Path) -> float:
    """CPU seconds of a training, with its start."""
    params = parse_yaml(render("earth", ROOT / "presets"))
    task = params[job.stage][job.task]
    recipe = task["recipes"][job.run]
    recipe |= {"epochs": epochs, "warmup": 0}
    recipe |= {key: [epochs] for key in ("feature_epochs", "restart_epochs") if key in recipe}
    params["runtime"] |= runtime
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "params.yaml").write_text(yaml_text(params))
        command = [sys.executable, ROOT / "workflow" / "scripts" / f"{job.stage}.py"]
        options = {"task": job.task, "run": job.run, "seed": job.seed, "out": "out"}
        options["data"] = results.resolve() / "prepare" / task["data"]
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [*command, *words], cwd=folder, check=True, stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
