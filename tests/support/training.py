"""What tests of training share: contexts without a script, a toy training, dataset descriptions."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.amp import GradScaler
from torch.nn import functional as F

from reprise.datasets.batches import Batches
from reprise.datasets.prepared import PreparedDataset
from reprise.jobs import tasks
from reprise.params.load import Params
from reprise.params.training import Runtime, Training
from reprise.training.checkpoint import Checkpoint
from reprise.training.job import JobContext
from reprise.training.loop import Progress, Row, TrainingJob, train
from reprise.training.runtime import Device, configure_torch

STAGES = ("pretrain", "finetune", "classify", "segment", "segment_anything")
CPU = configure_torch(Runtime(device="cpu", precision="float32", threads=1))


def no_checkpoint() -> Checkpoint:
    """A checkpoint that is never due."""
    return Checkpoint(Path("never-written"), {}, seconds=math.inf)


def job_context(
    data: PreparedDataset, recipe: Training, device: Device = CPU, image_size: int | None = None
) -> JobContext[Any]:
    """The context of a job 'toy' with seed 0."""
    batches = Batches(data, recipe.augment, 0, device.device, image_size)
    return JobContext(recipe, "toy", 0, data, batches, device)


def datasets_of(params: Params) -> dict[str, dict[str, Any]]:
    """The least that dataset.json says of each dataset of a configuration."""
    merged = {"3": {"classes": [{"id": i} for i in range(3)], "map": []}}
    info = {"classes": [{"id": i} for i in range(11)], "merged": merged}
    names = {task.data for _, _, task in tasks(params, *STAGES)}
    return {name: info | {"height": 64, "width": 64} for name in names}


class ToyDevice(Device):
    """The CPU in any precision; in float16 the loss is scaled so much that gradients overflow."""

    def scaler(self) -> GradScaler:
        half = self.dtype is torch.float16
        return GradScaler("cpu", 2.0**20, growth_interval=3, enabled=half)


def train_toy(
    checkpoint: Checkpoint, stop: int = -1, dtype: torch.dtype = torch.float32, **options: object
) -> tuple[Progress, dict]:
    """Train a small network with dropout, batch norm and AdamW, with a restart, up to a step."""
    recipe = Training.model_validate(
        {"epochs": 4, "restart_epochs": [2, 2], "batch_size": 4, "learning_rate": 0.01, **options}
    )
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)
    )
    data = torch.randn(14, 3, generator=torch.Generator().manual_seed(1))

    def training_step(rows: np.ndarray, epoch: int) -> dict[str, torch.Tensor]:
        with device.autocast():
            logits = model(data[rows]).float()
        return {"loss": F.cross_entropy(logits, torch.from_numpy(rows % 2))}

    def validation_step(row: Row, progress: Progress) -> None:
        progress.kept[f"epoch {row['epoch']}"] = model[0].weight.detach().clone()
        progress.update_best(row, model, -float(row["train_loss"]))

    def interrupt(step: int, steps: int) -> None:
        if step == stop:
            raise KeyboardInterrupt

    images: Any = SimpleNamespace(require_rows=lambda split: np.arange(14))
    device = ToyDevice(CPU.device, dtype)
    context = JobContext(recipe, "toy", 5, images, cast(Batches, None), device)
    job = TrainingJob(model, context, training_step, validation_step, interrupt)
    progress = train(job, checkpoint)
    return progress, {name: value.tolist() for name, value in model.state_dict().items()}


def same(one: tuple[Progress, dict], two: tuple[Progress, dict]) -> bool:
    """Whether two results of `train_toy` are equal, bit for bit."""
    kept = [{name: value.tolist() for name, value in run[0].kept.items()} for run in (one, two)]
    return kept[0] == kept[1] and one[1] == two[1] and one[0].rows == two[0].rows
