"""What the numbers depend on, and what the device can do at most."""

import os
import platform
import subprocess
from importlib.metadata import version
from typing import Any

import torch

from bench.gpu.needs import NEEDED
from bench.gpu.result import Part
from bench.gpu.timing import Sizes, device_of, seconds_of, sizes
from bench.machine import field, installed
from reprise.training.runtime import Device

COPIES = 10  # copies, and products, in a row


def environment(part: Part) -> None:
    """Device, driver, versions; no name, no path, no date."""
    device = device_of(part.tiny)
    if not part.tiny:
        found = torch.cuda.get_device_properties(0)
        part.say("compute_capability", f"{found.major}.{found.minor}")
        part.say("multiprocessors", found.multi_processor_count)
        part.say("memory_GiB", round(found.total_memory / 2**30, 1))
        part.say("driver", driver())
        part.say("cuDNN", torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    part.say("precision_auto", str(device.dtype).removeprefix("torch."))
    part.say("processor", f"{field('model name')}, {len(os.sched_getaffinity(0))} cores")
    part.say("python", platform.python_version())
    for name in ("torch", "torchvision"):
        part.say(name, version(name))
    part.say("cuda", torch.version.cuda or "none")
    packages = sorted({name for group in NEEDED.values() for name in group})
    part.say("packages", ", ".join(f"{name} {installed(name)}" for name in packages))


def driver() -> str:
    """The version of the driver, by nvidia-smi."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.splitlines()[0].strip()


def rates(part: Part) -> None:
    """The best rate of products of square matrices, by dtype, and of copies in memory."""
    device, given = device_of(part.tiny), sizes(part.tiny)
    found: dict[str, Any] = {}
    for name in ("float32", "bfloat16", "float16"):
        found[name] = matrix_rate(device, getattr(torch, name), given) / 1e12
        part.say("matrix_tflops", found)
    part.say("copy_gb_per_second", copy_rate(device, given) / 1e9)


def matrix_rate(device: Device, dtype: torch.dtype, given: Sizes) -> float:
    """FLOP a second of the best of some products, of random numbers, float32 without TF32."""
    shape = (given.matrix, given.matrix)
    one, two = (torch.randn(shape, device=device.device).to(dtype) for _ in range(2))
    out = torch.empty_like(one)
    return 2 * given.matrix**3 / best(lambda: torch.mm(one, two, out=out), device, given)


def copy_rate(device: Device, given: Sizes) -> float:
    """Bytes a second, read and written, of the best of some copies."""
    one = torch.zeros(given.copy, dtype=torch.uint8, device=device.device)
    two = torch.empty_like(one)
    return 2 * given.copy / best(lambda: two.copy_(one), device, given)


def best(step: Any, device: Device, given: Sizes) -> float:
    """The least seconds of a step, each the mean of some in a row."""
    seconds_of(step, 1 + given.warm, device)
    return min(seconds_of(step, COPIES, device) for _ in range(2 * given.repetitions))
