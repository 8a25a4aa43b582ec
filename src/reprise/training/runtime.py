"""Where numbers are computed, and the switches that make them reproducible."""

import ctypes
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from reprise import numerics
from reprise.cli import MACHINE
from reprise.datasets.batches import Rows
from reprise.datasets.device import to_device
from reprise.errors import RepriseError
from reprise.params.training import Runtime
from reprise.training.processes import Processes

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
os.environ.setdefault(CUBLAS, ":4096:8")  # read when cuBLAS starts, in the first product on a GPU
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
DETERMINISTIC_CUBLAS = (":4096:8", ":16:8")  # see torch.use_deterministic_algorithms
AMPERE = (8, 0)  # the first compute capability with instructions for bfloat16
# instructions besides those of the capability by which the libraries of torch choose a kernel
CPU_FLAGS = ("avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16")
VENDORS = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}


@dataclass(frozen=True)
class Device:
    """A device, and the dtype in which autocast multiplies matrices there (float32: no autocast).

    name: of the GPU; empty on CPU. processes: that compute one training together.
    """

    device: torch.device
    dtype: torch.dtype
    name: str = ""
    # no result depends on them, so they are not in the text of a device
    processes: Processes = field(default=Processes(), repr=False, compare=False)

    def machine(self) -> dict[str, str | int]:
        """What the bytes of a training depend on, other than its parameters, data and code.

        cpu_capability: see `cpu_capability`; device: cpu, or the name of the GPU; precision: of the
        products of matrices; torch: its version; threads: of torch. No name of a host and no date.
        """
        return {
            "cpu_capability": cpu_capability(),
            "device": self.name or self.device.type,
            "precision": str(self.dtype).removeprefix("torch."),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        }

    def to_device(self, model: nn.Module) -> None:
        """Move a model to the device, its weights with channels last, as convolutions prefer."""
        model.to(self.device).to(memory_format=torch.channels_last)

    def indices_to_device(self, rows: Rows) -> Tensor:
        """Row numbers on the device, without waiting for a GPU."""
        return to_device(torch.from_numpy(rows), self.device)

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Mixed precision for forward passes, where it is switched on."""
        if self.dtype is torch.float32:
            yield
        else:
            with torch.autocast(self.device.type, self.dtype):
                yield

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss in float16, where small gradients would become 0; otherwise disabled."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype is torch.float16)


def configure_torch(runtime: Runtime, seed: int = 0, depthwise: bool = False) -> Device:
    """Choose the device, make torch deterministic and seed it.

    With precision 'auto', bfloat16 is used on GPUs from compute capability 8.0 and on CPUs that
    multiply it natively; a `depthwise` network on CPU uses float32, which is faster there.
    With numerics 'portable' it is float32 on the CPU.
    Raises RepriseError when CUDA is required but not available, for float16 on CPU, for a
    CUBLAS_WORKSPACE_CONFIG that is not deterministic, and if the process does not compute as
    `runtime.numerics` says.
    """
    numerics.check(runtime.numerics, torch.backends.cpu.get_cpu_capability())
    portable = runtime.numerics == numerics.PORTABLE
    torch.manual_seed(seed)
    # numbers below 1e-38 become zero: on CPU, products with them take up to ten times as long
    torch.set_flush_denormal(True)
    torch.set_num_threads(runtime.threads)
    keep_memory()
    # as torch.use_deterministic_algorithms, which would import the compiler
    torch.set_deterministic_debug_mode("error")
    # determinism does not need NaN in memory that is about to be written
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    torch.backends.cuda.matmul.allow_tf32 = False
    gpu = runtime.device != "cpu" and not portable and torch.cuda.is_available()
    if runtime.device == "cuda" and not gpu:
        raise RepriseError("params.yaml: runtime.device is cuda, but no GPU is visible; use auto")
    if gpu and os.environ[CUBLAS] not in DETERMINISTIC_CUBLAS:
        raise RepriseError(
            f"{CUBLAS} is '{os.environ[CUBLAS]}', which is not deterministic; unset it, or set it "
            f"to {DETERMINISTIC_CUBLAS[0]}"
        )
    if runtime.precision == "float16" and not gpu:
        raise RepriseError(
            "params.yaml: runtime.precision is float16, which needs a GPU, but the device is the "
            "CPU; use auto, bfloat16 or float32"
        )
    precision: str = runtime.precision
    if precision == "auto":
        # before 8.0, bfloat16 is emulated, slower than float32, and not supported by cuDNN
        newer_gpu = gpu and torch.cuda.get_device_capability() >= AMPERE
        fast_on_cpu = not gpu and not depthwise and not portable and native_bfloat16()
        precision = "bfloat16" if newer_gpu or fast_on_cpu else "float32"
    name = torch.cuda.get_device_name() if gpu else ""
    device = Device(torch.device("cuda" if gpu else "cpu"), getattr(torch, precision), name)
    MACHINE.update(device.machine())
    return device


def keep_memory() -> None:
    """Keep the memory that a step frees for the next step, where the C library is glibc.

    By default it returns memory to the system and takes it again, page by page, in every step.
    Results are the same; the peak memory of a job grows by about 5 %.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)  # the maximum
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def native_bfloat16() -> bool:
    """Whether this CPU has instructions for products of bfloat16."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(cpu_words())


def cpu_capability() -> str:
    """The vendor and instructions of this CPU, e.g. "AMD AVX512 avx512_bf16".

    The libraries of torch choose their kernels, and with them the order of additions, by the vendor
    and the instructions. The second word is what torch itself uses, which the environment variable
    ATEN_CPU_CAPABILITY lowers. "portable AVX2" in the mode in which they do not.
    """
    if numerics.is_portable():
        return f"{numerics.PORTABLE} {torch.backends.cpu.get_cpu_capability()}"
    words = cpu_words()
    vendor = next((VENDORS[word] for word in words if word in VENDORS), platform.machine())
    flags = [flag for flag in CPU_FLAGS if flag in words]
    return " ".join([vendor, torch.backends.cpu.get_cpu_capability(), *flags])


def cpu_words() -> list[str]:
    """The words of /proc/cpuinfo; none where there is no such file."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return []


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; the mode before is restored in any case."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def predict_batches(
    network: Callable[[Tensor], Tensor],
    eval_batch: Callable[[Rows], Tensor],
    rows: Rows,
    device: Device,
    batch_size: int,
) -> Tensor:
    """Outputs of a network for `rows` of a dataset, without gradients, (n, ...) float32.

    network: from a batch to (n, ...); a module has to be in evaluation mode. eval_batch: from
    `batch_size` rows to their batch, such as `Batches.eval_batch`.
    """
    with torch.no_grad(), device.autocast():
        batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        return device.processes.concatenate(
            lambda batch: network(eval_batch(batch)).float(), batches
        )
