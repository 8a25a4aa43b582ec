"""How the parts measure: sizes, the device, and the time of a step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity
from torch.utils.flop_counter import FlopCounterMode

from reprise.params import Runtime
from reprise.training.runtime import Device, set_up

Step = Callable[[], None]


@dataclass(frozen=True)
class Sizes:
    """What a try on a processor makes small. seconds: of each repetition, about."""

    seconds: float = 1.0
    repetitions: int = 5
    warm: int = 4  # steps before any is timed: plans are made and caches filled
    matrix: int = 8192
    copy: int = 2**30  # bytes
    most_steps: int = 50


TINY = Sizes(0.0, 1, 0, 128, 2**20, 1)


def sizes(tiny: bool) -> Sizes:
    """Those of a measurement, or of a try."""
    return TINY if tiny else Sizes()


def device_of(tiny: bool, precision: str = "auto") -> Device:
    """The GPU, made deterministic as in training; of a try the processor."""
    return set_up(Runtime(device="cpu" if tiny else "cuda", precision=precision))  # type: ignore[arg-type]


def synchronize(device: Device) -> None:
    """Wait for a GPU; a processor has nothing to wait for."""
    if device.device.type == "cuda":
        torch.cuda.synchronize()


def seconds_of(step: Step, count: int, device: Device) -> float:
    """Seconds that a step takes, the mean of `count` in a row."""
    synchronize(device)
    start = time.perf_counter()
    for _ in range(count):
        step()
    synchronize(device)
    return (time.perf_counter() - start) / count


def repeated(step: Step, device: Device, given: Sizes) -> list[float]:
    """Seconds that a step takes, once for each repetition, after some steps to get warm."""
    for _ in range(given.warm):
        step()
    count = 1
    if given.most_steps > 1:
        count = int(given.seconds / seconds_of(step, 1, device))
        count = max(1, min(given.most_steps, count))
    return [seconds_of(step, count, device) for _ in range(given.repetitions)]


def row(
    title: str, step: Step, images: int, device: Device, given: Sizes, goal: bool = False
) -> dict[str, Any]:
    """A step, timed: images a second, GFLOP an image, and the most memory that it takes."""
    cuda = device.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    with FlopCounterMode(display=False) as counter:
        step()
    seconds = repeated(step, device, given)
    return {
        "title": title,
        "batch": images,
        "dtype": str(device.dtype).removeprefix("torch."),
        "images_per_second": [images / value for value in seconds],
        "gflop_per_image": counter.get_total_flops() / images / 1e9,
        "goal": goal,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if cuda else None,
    }


def profile(step: Step, device: Device, given: Sizes, most: int = 12) -> dict[str, Any]:
    """The operations of a step that take the longest: [name, ms a step, share].

    busy: the share of the time in which the device computes; the rest it waits for the processor.
    """
    cuda = device.device.type == "cuda"
    kind = ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU
    steps = min(3, given.most_steps)
    with torch.profiler.profile(activities={ProfilerActivity.CPU, kind}) as profiler:
        wall = seconds_of(step, steps, device) * 1e3
    operations, busy = [], 0.0
    for event in profiler.key_averages():
        spent = event.self_device_time_total if cuda else event.self_cpu_time_total
        ms = spent / 1e3 / steps
        if getattr(event, "is_user_annotation", False):
            continue  # a name for a stretch of time, and no work
        if event.device_type == DeviceType.CUDA:  # a kernel; its operation has the same time
            busy += ms
        else:
            operations.append([event.key, ms])
            busy += 0 if cuda else ms
    operations.sort(key=lambda one: -one[1])
    total = sum(ms for _, ms in operations) or 1.0
    named = [[name, ms, ms / total] for name, ms in operations[:most]]
    return {"operations": named, "busy": min(1.0, busy / wall), "wall_ms": wall}
