"""Tensors on their way to a device."""

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on a device, without waiting for a GPU."""
    if device.type == "cpu":
        return values
    return values.pin_memory().to(device, non_blocking=True)
