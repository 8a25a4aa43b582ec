"""How the parts measure: sizes, the device, and the time of a step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity
from torch.utils.flop_counter import FlopCounterMode

from reprise.params.training import Runtime
from reprise.training.runtime import Device, configure_torch

Step = Callable[[], object]


@dataclass(frozen=True)
class Sizes:
    """What a trial makes small.

    seconds: about those of a repetition. warmup: steps before the timed ones, which make plans and
    fill caches. matrix: rows. copy: bytes.
    """

    seconds: float = 1.0
    repetitions: int = 5
    warmup: int = 4
    matrix: int = 8192
    copy: int = 2**30
    max_steps: int = 50


TINY = Sizes(0.0, 1, 0, 128, 2**20, 1)


def sizes_of(tiny: bool) -> Sizes:
    """Those of a measurement, or of a trial."""
    return TINY if tiny else Sizes()


def configure(tiny: bool) -> Device:
    """The GPU, made deterministic as in training; in a trial the CPU."""
    return configure_torch(Runtime(device="cpu" if tiny else "cuda", precision="auto"))


def synchronize(device: Device) -> None:
    """Wait for a GPU; on CPU there is nothing to wait for."""
    if device.device.type == "cuda":
        torch.cuda.synchronize()


def seconds_of(step: Step, count: int, device: Device) -> float:
    """Seconds of a step, the mean of `count` in a row."""
    synchronize(device)
    start = time.perf_counter()
    for _ in range(count):
        step()
    synchronize(device)
    return (time.perf_counter() - start) / count


def repeated(step: Step, device: Device, sizes: Sizes) -> list[float]:
    """Seconds of a step, one value for each repetition, after a warm-up."""
    for _ in range(sizes.warmup):
        step()
    count = 1
    if sizes.max_steps > 1:
        count = int(sizes.seconds / seconds_of(step, 1, device))
        count = max(1, min(sizes.max_steps, count))
    return [seconds_of(step, count, device) for _ in range(sizes.repetitions)]


def timed_row(
    title: str, step: Step, images: int, device: Device, sizes: Sizes, goal: bool = False
) -> dict[str, Any]:
    """A timed step: images per second, GFLOP per image, and peak memory."""
    cuda = device.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    with FlopCounterMode(display=False) as counter:
        step()
    seconds = repeated(step, device, sizes)
    return {
        "title": title,
        "batch": images,
        "dtype": str(device.dtype).removeprefix("torch."),
        "images_per_second": [images / value for value in seconds],
        "gflop_per_image": counter.get_total_flops() / images / 1e9,
        "goal": goal,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if cuda else None,
    }


def profile(step: Step, device: Device, sizes: Sizes, count: int = 12) -> dict[str, Any]:
    """The `count` operations of a step that take the most time: [name, ms per step, share].

    busy: the share of the time in which the device computes; otherwise it waits for the CPU.
    """
    cuda = device.device.type == "cuda"
    kind = ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU
    steps = min(3, sizes.max_steps)
    with torch.profiler.profile(activities={ProfilerActivity.CPU, kind}) as profiler:
        wall = seconds_of(step, steps, device) * 1e3
    operations, busy = [], 0.0
    for event in profiler.key_averages():
        time_us = event.self_device_time_total if cuda else event.self_cpu_time_total
        ms = time_us / 1e3 / steps
        if getattr(event, "is_user_annotation", False):
            continue  # the name of a stretch of time, without work
        if event.device_type == DeviceType.CUDA:  # a kernel; its operation has the same time
            busy += ms
        else:
            operations.append([event.key, ms])
            busy += 0 if cuda else ms
    operations.sort(key=lambda operation: -operation[1])
    total = sum(ms for _, ms in operations) or 1.0
    named = [[name, ms, ms / total] for name, ms in operations[:count]]
    return {"operations": named, "busy": min(1.0, busy / wall), "wall_ms": wall}
