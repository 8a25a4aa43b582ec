"""Predictions of a network for many rows, batch by batch."""

from collections.abc import Callable

import torch
from torch import Tensor

from reprise.datasets.batches import Rows
from reprise.training.runtime import Device


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
    outputs = []
    with torch.no_grad(), device.autocast():
        for start in range(0, len(rows), batch_size):
            outputs.append(network(eval_batch(rows[start : start + batch_size])).float())
    return torch.cat(outputs)
