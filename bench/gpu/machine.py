"""What the numbers depend on, and the maximum rates of the device."""

import os
import platform
import subprocess
from importlib.metadata import version

import torch

from bench.gpu.needs import NEEDED
from bench.gpu.result import Part
from bench.gpu.timing import Sizes, Step, configure, seconds_of, sizes_of
from bench.machine import field, installed
from reprise.training.runtime import Device

COPIES = 10  # copies, and products, in a row


def environment(part: Part) -> None:
    """Device, driver, versions. No name, no path, no date."""
    device = configure(part.tiny)
    if not part.tiny:
        properties = torch.cuda.get_device_properties(0)
        part.record("compute_capability", f"{properties.major}.{properties.minor}")
        part.record("multiprocessors", properties.multi_processor_count)
        part.record("memory_GiB", round(properties.total_memory / 2**30, 1))
        part.record("driver", driver())
        part.record("cuDNN", torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    part.record("precision_auto", str(device.dtype).removeprefix("torch."))
    part.record("CPU", f"{field('model name')}, {len(os.sched_getaffinity(0))} cores")
    part.record("Python", platform.python_version())
    for name in ("torch", "torchvision"):
        part.record(name, version(name))
    part.record("CUDA", torch.version.cuda or "none")
    packages = sorted({name for names in NEEDED.values() for name in names})
    part.record("packages", ", ".join(f"{name} {installed(name)}" for name in packages))


def driver() -> str:
    """The version of the driver, from nvidia-smi."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.splitlines()[0].strip()


def rates(part: Part) -> None:
    """The best measured rates of square matrix products, by dtype, and of copies in memory."""
    device, sizes = configure(part.tiny), sizes_of(part.tiny)
    tflops: dict[str, float] = {}
    for name in ("float32", "bfloat16", "float16"):
        tflops[name] = matrix_rate(device, getattr(torch, name), sizes) / 1e12
        part.record("matrix_tflops", tflops)
    part.record("copy_gb_per_second", copy_rate(device, sizes) / 1e9)


def matrix_rate(device: Device, dtype: torch.dtype, sizes: Sizes) -> float:
    """Best FLOP/s of a product of two matrices of random numbers; float32 is without TF32."""
    shape = (sizes.matrix, sizes.matrix)
    one, two = (torch.randn(shape, device=device.device).to(dtype) for _ in range(2))
    out = torch.empty_like(one)
    return 2 * sizes.matrix**3 / best(lambda: torch.mm(one, two, out=out), device, sizes)


def copy_rate(device: Device, sizes: Sizes) -> float:
    """Best bytes per second of a copy, read and written."""
    one = torch.zeros(sizes.copy, dtype=torch.uint8, device=device.device)
    two = torch.empty_like(one)
    return 2 * sizes.copy / best(lambda: two.copy_(one), device, sizes)


def best(step: Step, device: Device, sizes: Sizes) -> float:
    """The fewest seconds of a step, each the mean of some in a row."""
    seconds_of(step, 1 + sizes.warmup, device)
    return min(seconds_of(step, COPIES, device) for _ in range(2 * sizes.repetitions))
