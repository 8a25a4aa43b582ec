"""A step whose batch is computed in pieces, by one process or by several, to the same bytes.

A recipe's `micro_batches` is the number of pieces, 1 by default. Each piece is a batch by itself:
batch norm takes its statistics, and a loss that compares images compares those of the piece. The
gradient of the step is the mean of the pieces' gradients, added up in the order of the pieces; so
are the running statistics of batch norm, each of which starts from those before the step.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn.modules.batchnorm import _BatchNorm

from reprise.datasets.batches import Rows

if TYPE_CHECKING:
    from reprise.training.loop import Tensors, TrainingJob


def backward_in_pieces(
    job: "TrainingJob", scaler: GradScaler, rows: Rows, epoch: int, number: int
) -> "Tensors":
    """Put the gradient of step `number` into the parameters; returns the values of its batch.

    The loss is the mean of the pieces' losses; other values are added up. rows: of the batch; their
    number is a multiple of the pieces, as that of the pieces is of the processes.
    """
    count, processes = job.context.recipe.micro_batches, job.context.device.processes
    share, size = count // processes.count, len(rows) // count
    statistics, counters = norm_buffers(job.model)
    before = [buffer.clone() for buffer in (*statistics, *counters)]
    trained = [p for p in job.model.parameters() if p.requires_grad]
    flat, values, per_image = [], [], []
    for piece in range(processes.rank * share, (processes.rank + 1) * share):
        for buffer, value in zip((*statistics, *counters), before, strict=True):
            buffer.copy_(value)
        for parameter in trained:
            parameter.grad = None
        job.seed_step(number, piece)
        piece_values = job.training_step(rows[piece * size :][:size], epoch)
        scaler.scale(piece_values["loss"]).backward()  # type: ignore[no-untyped-call]
        reached = [p for p in trained if p.grad is not None]
        gradients = [p.grad for p in reached if p.grad is not None]
        flat.append(flatten([*gradients, *statistics]))
        values.append(torch.stack([v.detach().double() for v in piece_values.values()]))
        per_image.append([getattr(job.model, name).detach() for name in job.per_image])
    mean = mean_in_order(processes.gather(torch.stack(flat)).flatten(0, 1))
    # in the memory format of the parameter, as the optimizer needs it
    for parameter in reached:
        parameter.grad = torch.empty_like(parameter)
    unflatten(mean, [*(p.grad for p in reached if p.grad is not None), *statistics])
    for name, parts in zip(job.per_image, zip(*per_image, strict=True), strict=True):
        setattr(job.model, name, processes.gather(torch.stack(parts)).flatten(0, 2))
    sums = mean_in_order(processes.gather(torch.stack(values)).flatten(0, 1)) * count
    named = dict(zip(piece_values, sums, strict=True))
    return named | {"loss": named["loss"] / count}


def norm_buffers(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The running means and variances of the batch norms in training mode, and their counters."""
    statistics, counters = [], []
    for layer in model.modules():
        if isinstance(layer, _BatchNorm) and layer.training and layer.running_mean is not None:
            statistics += [b for b in (layer.running_mean, layer.running_var) if b is not None]
            counters += [layer.num_batches_tracked] if layer.num_batches_tracked is not None else []
    return statistics, counters


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors as one of one dimension."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


@torch.no_grad()
def unflatten(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    """Copy the values of one tensor into those that `flatten` made it of."""
    values = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value.view(tensor.shape))


def mean_in_order(parts: Tensor) -> Tensor:
    """The mean over the first dimension, added up from the first to the last."""
    total = parts[0].clone()
    for addend in parts[1:]:
        total += addend
    return total / len(parts)
