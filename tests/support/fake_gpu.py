"""A GPU without numbers: the meta device takes its place, and what would fail on a GPU raises.

Training steps run on it unchanged. Forward and backward pass call the operations that they call on
a GPU, and values cannot be read, because there are none. `Watcher` finds what the meta device does
not reject. It cannot see what the kernels of a GPU do; tests/gpu is for that.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode

from reprise.training.runtime import Device

META = torch.device("meta")
GPU = Device(META, torch.float32, "a fake GPU")
# What raises under torch.use_deterministic_algorithms(True) on CUDA, by its name in that function's
# documentation, and the operations that it calls. None: not on CUDA, but on MPS or quantized.
RAISES: dict[str, list[str] | None] = {
    "torch.nn.AvgPool3d": ["avg_pool3d_backward"],
    "torch.nn.AdaptiveAvgPool2d": ["_adaptive_avg_pool2d_backward"],
    "torch.nn.AdaptiveAvgPool3d": ["_adaptive_avg_pool3d_backward"],
    "torch.nn.AdaptiveMaxPool2d": ["adaptive_max_pool2d_backward"],
    "torch.nn.FractionalMaxPool2d": ["fractional_max_pool2d_backward"],
    "torch.nn.FractionalMaxPool3d": ["fractional_max_pool3d_backward"],
    "torch.nn.MaxUnpool1d": ["max_unpool2d"],
    "torch.nn.MaxUnpool2d": ["max_unpool2d"],
    "torch.nn.MaxUnpool3d": ["max_unpool3d"],
    "torch.nn.functional.interpolate": [
        "upsample_linear1d_backward", "upsample_bilinear2d_backward",
        "upsample_bicubic2d_backward", "upsample_trilinear3d_backward",
        "_upsample_bilinear2d_aa_backward", "_upsample_bicubic2d_aa_backward",
    ],
    "torch.nn.ReflectionPad1d": ["reflection_pad1d_backward"],
    "torch.nn.ReflectionPad2d": ["reflection_pad2d_backward"],
    "torch.nn.ReflectionPad3d": ["reflection_pad3d_backward"],
    "torch.nn.NLLLoss": ["nll_loss2d_forward"],  # but for reduction='none': see `raises`
    "torch.nn.CTCLoss": ["_ctc_loss_backward"],
    "torch.nn.EmbeddingBag": ["_embedding_bag", "_embedding_bag_dense_backward"],
    "torch.Tensor.put_": ["put", "put_"],
    "torch.histc": ["histc"],
    "torch.bincount": ["bincount"],
    "torch.median": ["median"],
    "torch.nn.functional.grid_sample": ["grid_sampler_2d_backward", "grid_sampler_3d_backward"],
    "torch.Tensor.scatter_reduce": ["scatter_reduce", "scatter_reduce_"],
    "torch.Tensor.index_put": None,
    "torch.Tensor.index_reduce": ["index_reduce", "index_reduce_"],
    "torch.kthvalue": ["kthvalue"],
    "torch.nn.Embedding": None,
    "torch.nn.MaxPool2d": None,
    "torch.nn.MaxPool3d": None,
    "torch.Tensor.resize_": None,
}  # fmt: skip
BANNED = {name: key for key, names in RAISES.items() for name in names or ()}
# and under torch 2.11, which bench/gpu_check.sh accepts too; cumsum: of floating point
BANNED |= {"cumsum": "torch 2.11", "max_pool3d_with_indices_backward": "torch 2.11"}
INDEXING = ("index", "index_put", "index_put_", "_unsafe_index", "_unsafe_index_put")
FROM_NUMBERS = (torch.tensor, torch.as_tensor, torch.asarray)
# these have no meta kernels, and there is nothing to compute without numbers
NO_KERNEL = {"_fused_sgd_", "_amp_foreach_non_finite_check_and_unscale_", "_amp_update_scale_"}


class GpuError(Exception):
    """An operation that raises on a GPU, or one that waits for it."""


def raises_on_gpu(name: str, args: tuple[Any, ...]) -> bool:
    """Whether an operation raises on CUDA under deterministic algorithms."""
    if name == "nll_loss2d_forward":
        return bool(args[3])  # the reduction; 0 is none
    if name == "bincount":
        return len(args) > 1 and args[1] is not None
    if name == "cumsum":
        return bool(args[0].is_floating_point())
    return name in BANNED


class Watcher(TorchDispatchMode):
    """Raises GpuError for operations that raise on a GPU, and for copies that wait for it.

    Reading a value (`item`, `nonzero`, a mask, a copy to CPU) raises without it: meta tensors have
    none. waits: check for waits too. names: the operations that were called.
    """

    def __init__(self, waits: bool) -> None:
        super().__init__()
        self.waits = waits
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = function.overloadpacket.__name__
        self.names.add(name)
        if raises_on_gpu(name, args):
            raise GpuError(f"{name} raises on a GPU ({BANNED[name]})")
        if self.waits:
            self._check_waits(name, args, kwargs)
        return None if name in NO_KERNEL else function(*args, **kwargs)

    def _check_waits(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if name == "_to_copy" and crosses(args[0].device, kwargs.get("device")):
            check_copy(args[0], kwargs.get("non_blocking", False))
        if name == "copy_" and crosses(args[1].device, args[0].device):
            check_copy(args[1], (*args, *kwargs.values())[2:] == (True,))
        indices = [index for index in args[1] if index is not None] if name in INDEXING else []
        if any(crosses(index.device, args[0].device) for index in indices):
            raise GpuError(f"{name} copies its indices to the GPU, and waits")
        if any(index.dtype in (torch.bool, torch.uint8) for index in indices):
            raise GpuError(f"{name} waits for the GPU to count the values that a mask selects")


def check_copy(values: Tensor, non_blocking: bool) -> None:
    """Raise GpuError for a copy between CPU and GPU that waits."""
    if values.device == META:
        raise GpuError("a copy to CPU waits for the GPU")
    if not non_blocking or not getattr(values, "pinned", False):
        raise GpuError("a copy to the GPU waits: its memory is not pinned, or it is blocking")


def crosses(start: torch.device, end: torch.device | None) -> bool:
    """Whether a copy goes from CPU to GPU or back."""
    return end is not None and (start == META) != (torch.device(end) == META)


class ConstructorWatcher(TorchFunctionMode):
    """Raises GpuError for a tensor that is made from numbers on the GPU.

    They are copied there, which waits; the dispatcher does not see it.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in FROM_NUMBERS and result.device == META:
            raise GpuError(f"{function.__name__} on the GPU copies its numbers, and waits")
        return result


@contextmanager
def watching(waits: bool = True) -> Iterator[Watcher]:
    """Raise GpuError for what fails on a GPU, and, with `waits`, for what waits for it."""
    watcher = Watcher(waits)
    with ConstructorWatcher() if waits else nullcontext(), watcher:
        yield watcher


def mark_pinned(values: Tensor) -> Tensor:
    """Replacement of Tensor.pin_memory, which needs CUDA: a copy marked as pinned."""
    copy = values.clone()
    copy.pinned = True  # type: ignore[attr-defined]
    return copy


def install(monkeypatch: pytest.MonkeyPatch, memory: int = 2**40) -> None:
    """Let the training code take the meta device for a GPU with so much free memory, in bytes."""
    supported = [*_foreach_utils._get_fused_kernels_supported_devices(), "meta"]
    for module in ("torch.optim.optimizer", "torch.utils._foreach_utils"):
        name = "_get_fused_kernels_supported_devices"
        monkeypatch.setattr(sys.modules[module], name, lambda: supported)
    monkeypatch.setattr(Tensor, "pin_memory", mark_pinned)
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (memory, memory))
