"""What the numbers depend on: CPU, memory, versions, threads. No name, no path, no date."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ["torch", "torchvision", "numpy", "pillow"]
PEERS = ["byol-pytorch", "lightly", "torchmetrics"]
FLAGS = ["avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile"]


def machine(threads: int) -> dict[str, Any]:
    """CPU, its relevant instructions, memory, versions, and measured matrix rates."""
    return {
        "cpu": field("model name") or platform.machine(),
        "family": f"{field('vendor_id')} family {field('cpu family')} model {field('model')}",
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "flags": {flag: flag in field("flags").split() for flag in FLAGS},
        "python": platform.python_version(),
        "versions": {name: installed(name) for name in [*PACKAGES, *PEERS]},
        "threads": threads,
        "matrix_gflops": matrix_rates(threads),
    }


def field(name: str) -> str:
    """The first value of a field of /proc/cpuinfo; empty if there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    values = [line.split(":", 1)[1].strip() for line in lines if line.split("\t")[0] == name]
    return values[0] if values else ""


def installed(name: str) -> str:
    """The version of a package, or 'absent'."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def matrix_rates(threads: int, size: int = 2048, repetitions: int = 8) -> dict[str, float]:
    """Best measured GFLOP/s of a square matrix product in float32 and bfloat16.

    Their quotient is what precision alone can give where arithmetic is all.
    """
    import torch

    torch.set_num_threads(threads)
    rates = {}
    for kind in (torch.float32, torch.bfloat16):
        matrix = torch.randn(size, size).to(kind)
        seconds = []
        for _ in range(repetitions):
            start = time.perf_counter()
            matrix @ matrix
            seconds.append(time.perf_counter() - start)
        rates[str(kind).removeprefix("torch.")] = round(2 * size**3 / min(seconds) / 1e9, 1)
    return rates
