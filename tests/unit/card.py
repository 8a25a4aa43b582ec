"""A GPU without numbers: the meta device stands for it, and what would go wrong there raises.

Steps of training run on it as they are. Forward and backward call the operations that they call on
a GPU, and a value that the processor asks for cannot be had: there is none. `Watched` finds what
the meta device lets pass. What the kernels of a GPU do is not seen here; tests/gpu is for that.
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

from reprise.data.inputs import Inputs
from reprise.training.runtime import Device

META = torch.device("meta")
CARD = Device(META, torch.float32, "no card")
# What raises under torch.use_deterministic_algorithms(True) on CUDA, by its name in that function's
# documentation: the operations that it comes down to. None: not on CUDA, but on MPS or quantized.
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
# and under torch 2.11, which bench/gpu_check.sh takes too; of cumsum: floating point
BANNED |= {"cumsum": "torch 2.11", "max_pool3d_with_indices_backward": "torch 2.11"}
INDEXING = ("index", "index_put", "index_put_", "_unsafe_index", "_unsafe_index_put")
MADE_OF_VALUES = (torch.tensor, torch.as_tensor, torch.asarray)
# no meta kernels, and nothing to compute without numbers
NO_KERNEL = {"_fused_sgd_", "_amp_foreach_non_finite_check_and_unscale_", "_amp_update_scale_"}


class Fault(Exception):
    """An operation that raises on a GPU, or one that waits for it."""


def raises(name: str, args: tuple[Any, ...]) -> bool:
    """Whether an operation raises on CUDA where algorithms have to be deterministic."""
    if name == "nll_loss2d_forward":
        return bool(args[3])  # the reduction; 0 is none
    if name == "bincount":
        return len(args) > 1 and args[1] is not None
    if name == "cumsum":
        return bool(args[0].is_floating_point())
    return name in BANNED


class Watched(TorchDispatchMode):
    """Raises Fault for operations that raise on a GPU, and for copies that wait for it.

    Reading a value raises by itself (`item`, `nonzero`, a mask, a copy to the processor): meta
    tensors have none. waits: look for waits too. names: the operations that were seen.
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
        if raises(name, args):
            raise Fault(f"{name} raises on a GPU ({BANNED[name]})")
        if self.waits:
            self._look(name, args, kwargs)
        return None if name in NO_KERNEL else function(*args, **kwargs)

    def _look(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if name == "_to_copy" and moved(args[0].device, kwargs.get("device")):
            self._copied(args[0], kwargs.get("non_blocking", False))
        if name == "copy_" and moved(args[1].device, args[0].device):
            self._copied(args[1], (*args, *kwargs.values())[2:] == (True,))
        if name in INDEXING and any(
            moved(index.device, args[0].device) for index in args[1] if index is not None
        ):
            raise Fault(f"{name} copies its indices to the GPU, and waits")
        if name in INDEXING and any(
            index.dtype in (torch.bool, torch.uint8) for index in args[1] if index is not None
        ):
            raise Fault(f"{name} asks the GPU how many values a mask picks, and waits")

    @staticmethod
    def _copied(values: Tensor, without_waiting: bool) -> None:
        if values.device == META:
            raise Fault("a copy to the processor waits for the GPU")
        if not without_waiting or not getattr(values, "pinned", False):
            raise Fault("a copy to the GPU waits: its memory is not pinned, or it is blocking")


def moved(start: torch.device, end: torch.device | None) -> bool:
    """Whether a copy goes between the processor and the GPU."""
    return end is not None and (start == META) != (torch.device(end) == META)


class MadeThere(TorchFunctionMode):
    """Raises Fault for a tensor that is made of numbers on the GPU.

    They are copied there, and waited for; the dispatcher does not see it.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        if function in MADE_OF_VALUES and made.device == META:
            raise Fault(f"{function.__name__} on the GPU copies its numbers, and waits")
        return made


@contextmanager
def watching(waits: bool = True) -> Iterator[Watched]:
    """Raise Fault for what goes wrong on a GPU."""
    watched = Watched(waits)
    with MadeThere() if waits else nullcontext(), watched:
        yield watched


def pinned(values: Tensor) -> Tensor:
    """In place of Tensor.pin_memory, which needs CUDA: a copy that says that it is pinned."""
    copy = values.clone()
    copy.pinned = True
    return copy


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the training code take the meta device for a GPU, with sets in its memory."""
    supported = [*_foreach_utils._get_fused_kernels_supported_devices(), "meta"]
    for module in ("torch.optim.optimizer", "torch.utils._foreach_utils"):
        place = "_get_fused_kernels_supported_devices"
        monkeypatch.setattr(sys.modules[module], place, lambda: supported)
    monkeypatch.setattr(Tensor, "pin_memory", pinned)
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())
    monkeypatch.setattr(Inputs, "_fits", lambda self: True)
