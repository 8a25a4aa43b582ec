"""Where numbers are computed, and the switches that make them repeat."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from torch import nn  # noqa: E402

from reprise.errors import RepriseError  # noqa: E402
from reprise.params import Runtime  # noqa: E402

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
REPEATABLE = (":4096:8", ":16:8")  # its values with which torch calls cuBLAS deterministic
AMPERE = (8, 0)  # the first compute capability with instructions for bfloat16


@dataclass(frozen=True)
class Device:
    """A device, and the dtype in which autocast multiplies matrices there; float32: no autocast.

    name: of the GPU; empty on a processor.
    """

    device: torch.device
    dtype: torch.dtype
    name: str = ""

    def place(self, model: nn.Module) -> None:
        """Move a model to the device, its weights with channels last: convolutions like that."""
        model.to(self.device).to(memory_format=torch.channels_last)

    def move(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """Row numbers on the device; on a GPU without waiting for it."""
        moved = torch.from_numpy(rows)
        if self.device.type == "cpu":
            return moved
        return moved.pin_memory().to(self.device, non_blocking=True)

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Mixed precision for forward passes, where it is switched on."""
        if self.dtype is torch.float32:
            yield
            return
        with torch.autocast(self.device.type, self.dtype):
            yield

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss in float16, so that small gradients do not vanish; else does nothing."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype is torch.float16)


def set_up(runtime: Runtime, seed: int = 0, depthwise: bool = False) -> Device:
    """Choose the device, make torch deterministic and seed it.

    With precision 'auto', bfloat16 is used on GPUs of compute capability 8.0 and later and on
    processors that multiply it natively, else float32; for a `depthwise` network on a processor
    float32, where it is the faster of the two.

    Raises:
        RepriseError: CUDA is asked for and absent, float16 on a processor, or the environment makes
            cuBLAS nondeterministic.
    """
    torch.manual_seed(seed)
    # numbers below 1e-38 become zero: products with them take a processor up to ten times as long
    torch.set_flush_denormal(True)
    torch.set_num_threads(runtime.threads)
    keep_memory()
    torch.use_deterministic_algorithms(True)
    # determinism needs no NaN in memory that is about to be written
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    torch.backends.cuda.matmul.allow_tf32 = False
    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise RepriseError("params.yaml: runtime.device is cuda, but no GPU is visible; use auto")
    cuda = runtime.device != "cpu" and torch.cuda.is_available()
    if cuda:
        return gpu(runtime.precision)
    if runtime.precision == "float16":
        raise RepriseError(
            "params.yaml: runtime.precision is float16, which needs a GPU, and none is used; "
            "use auto, bfloat16 or float32"
        )
    fast = native_bfloat16() and not depthwise
    return Device(torch.device("cpu"), dtype_of(runtime.precision, fast))


def gpu(precision: str) -> Device:
    """The GPU, and the dtype that a precision means there.

    Raises RepriseError when the environment makes cuBLAS nondeterministic.
    """
    if (given := os.environ[CUBLAS]) not in REPEATABLE:
        raise RepriseError(
            f"{CUBLAS} is '{given}', with which results do not repeat; unset it, or set it to "
            f"{REPEATABLE[0]}"
        )
    # emulated, bfloat16 is slower than float32; cuDNN has no convolutions in it before 8.0
    fast = torch.cuda.get_device_capability() >= AMPERE
    return Device(torch.device("cuda"), dtype_of(precision, fast), torch.cuda.get_device_name())


def dtype_of(precision: str, fast: bool) -> torch.dtype:
    """The dtype by its name in params.yaml; of 'auto' bfloat16 where that is fast."""
    if precision == "auto":
        return torch.bfloat16 if fast else torch.float32
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def keep_memory() -> None:
    """Keep what a step frees for the next step, where the C library is glibc.

    By itself it gives memory back to the system and takes it again, page by page, in every step.
    Results are the same; the most memory that a job holds grows by about 5 %.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)  # the most that it takes
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def native_bfloat16() -> bool:
    """Whether this processor has instructions for products of bfloat16."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, and back to the mode before, whatever happens."""
    before = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(before)
