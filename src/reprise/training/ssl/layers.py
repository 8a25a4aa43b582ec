"""What the methods that compare two views are built of: norms, projectors, copies, precision."""

import copy
from collections.abc import Callable, Sequence
from functools import wraps

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class TwoViewNorm(_BatchNorm):
    """Batch norm of a batch of two concatenated views, each normalized by itself.

    In training each half is normalized with its own statistics, and the running statistics take in
    the first half and then the second, as in two passes; in evaluation it is batch norm.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        return torch.cat([super(TwoViewNorm, self).forward(view) for view in x.chunk(2)])


class TwoViewNorm1d(TwoViewNorm, nn.BatchNorm1d):
    """For features (2n, C)."""


class TwoViewNorm2d(TwoViewNorm, nn.BatchNorm2d):
    """For feature maps (2n, C, H, W)."""


def mlp(
    widths: Sequence[int],
    last_norm: bool | None = None,
    bias: bool = False,
    last_bias: bool = False,
) -> nn.Sequential:
    """Linear layers from width to width, with batch norm and ReLU between them.

    bias: of the layers before a norm. last_bias: of the last layer. last_norm: batch norm after it,
    with scale and shift (True) or without (False); None: no norm.
    """
    layers: list[nn.Module] = []
    for before, after in zip(widths[:-2], widths[1:-1], strict=True):
        layers += [nn.Linear(before, after, bias=bias), nn.BatchNorm1d(after), nn.ReLU()]
    layers.append(nn.Linear(widths[-2], widths[-1], bias=last_bias))
    if last_norm is not None:
        layers.append(nn.BatchNorm1d(widths[-1], affine=last_norm))
    return nn.Sequential(*layers)


def frozen_copy(network: nn.Sequential) -> nn.Sequential:
    """A copy that gets no gradient; `follow` moves it."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(target: nn.Module, source: nn.Module, momentum: float) -> None:
    """Move the parameters of `target` to momentum * target + (1 - momentum) * source.

    Batch norm's running statistics stay, as in the authors' code of BYOL, MoCo and DINO.
    """
    torch._foreach_lerp_(list(target.parameters()), list(source.parameters()), 1 - momentum)


def full_precision(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss whose tensors are float32 at least, without autocast: bfloat16 has eight bits."""

    @wraps(loss)
    def in_full_precision(*tensors: Tensor, **options: float) -> Tensor:
        device = tensors[0].device.type
        with torch.autocast(
            device if torch.amp.is_autocast_available(device) else "cpu", enabled=False
        ):
            return loss(
                *(t.to(torch.promote_types(t.dtype, torch.float32)) for t in tensors), **options
            )

    return in_full_precision
