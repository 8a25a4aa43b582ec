"""Copies from CPU to a GPU that the CPU does not wait for."""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on a device, without waiting for a GPU."""
    if device.type == "cpu":
        return values
    return values.pin_memory().to(device, non_blocking=True)


class NoWait(TorchFunctionMode):
    """Small tensors that torchvision makes from numbers reach a GPU without waiting for it.

    torchvision makes matrices and fill values with `torch.tensor(..., device=...)`, or on CPU and
    assigns them; either copy would wait until the GPU has finished all its work.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        options = dict(kwargs or {})
        if function is torch.tensor and options.get("device") is not None:
            device = torch.device(options.pop("device"))
            return to_device(torch.tensor(*args, **options), device)
        if function is Tensor.__setitem__:
            image, index, value = args
            if isinstance(value, Tensor):
                args = (image, index, to_device(value, image.device))
            elif isinstance(index, Tensor) and index.dtype is torch.bool:
                return image.masked_fill_(index, value)  # a mask as index may have to be counted
        return function(*args, **options)
