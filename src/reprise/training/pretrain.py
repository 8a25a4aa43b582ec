"""The stage pretrain: one job, as its script and the library run it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reprise.models.weights import write_tensors
from reprise.params.training import WeightsFile
from reprise.plugins import load
from reprise.training.job import JobContext
from reprise.training.loop import write_history


def pretrain(context: JobContext[Any], files: Mapping[str, WeightsFile], out: Path) -> None:
    """Pretrain a backbone by the method of its recipe, and write the outputs to `out`.

    files: the block `weights`. Raises RepriseError as the method does.
    """
    method = load("ssl", context.recipe.method)
    checkpoint = context.checkpoint(out)
    state, history = method.pretrain(context, checkpoint, files)
    if context.device.processes.finish():
        write_tensors(out / "backbone.safetensors", state)
        write_history(out / "history.csv", history, context.device)
        checkpoint.remove()
