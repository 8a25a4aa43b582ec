"""Supervised training of a classifier; the epoch is chosen by validation accuracy."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.atomic_io import write_csv
from reprise.datasets.batches import MAX_EVAL_BATCH, Batches, Rows
from reprise.datasets.prepared import PreparedDataset
from reprise.datasets.transforms import sample_augmentations
from reprise.errors import RepriseError
from reprise.models.backbone import Classifier
from reprise.models.weights import write_tensors
from reprise.params.training import Augment, Training
from reprise.training.checkpoint import Checkpoint
from reprise.training.job import JobContext
from reprise.training.loop import Progress, Row, Tensors, TrainingJob, train, write_history
from reprise.training.runtime import Device, eval_mode, predict_batches


@dataclass(frozen=True)
class TrainingResult:
    """Everything a training job writes to its output folder.

    epoch_predictions: class ids of the rows of `predictions` by epoch, where they were kept.
    """

    state: Tensors
    history: list[Row]
    predictions: pd.DataFrame
    features: Tensors
    epoch_predictions: dict[int, Tensor]


class CachedFeatures:
    """Features of a frozen backbone, computed once for each image and each of its finite views.

    Equivalent to augmenting and running the backbone in each epoch, because a frozen backbone in
    evaluation mode maps an image to the same features every time. Only the images of `train` have
    views; all others have the features of their unaugmented image.
    """

    eval_batch_size = MAX_EVAL_BATCH

    def __init__(self, batches: Batches, backbone: nn.Module, train: Rows, device: Device) -> None:
        self.batches, self.device = batches, device
        self.position = np.full(len(batches.images), -1)
        self.position[train] = np.arange(len(train))
        rows, size = np.arange(len(batches.images)), batches.eval_batch_size
        self.unaugmented = predict_batches(backbone, batches.eval_batch, rows, device, size)
        views = [self.unaugmented[train]]
        for symmetry in range(1, count_views(batches.recipe)):
            view = partial(batches.fixed_symmetry, symmetry=symmetry)
            views.append(predict_batches(backbone, view, train, device, size))
        self.features = torch.stack(views)  # (views, rows, width)

    def train_batch(self, rows: Rows, epoch: int, view: int = 0) -> Tensor:
        """Features of the view that augmentation draws for (seed, epoch, row), (n, width)."""
        seed = self.batches.seed
        params = sample_augmentations(rows, self.batches.recipe, seed, epoch, view)
        to_device = self.device.indices_to_device
        return self.features[to_device(params.symmetries.numpy()), to_device(self.position[rows])]

    def eval_batch(self, rows: Rows) -> Tensor:
        """Features without augmentation, (n, width)."""
        return self.unaugmented[rows]


def count_views(recipe: Augment) -> int:
    """How many different images augmentation makes of one; 0 if they cannot be counted."""
    finite = recipe.model_dump(include={"dihedral", "flip", "color_jitter_p", "order", "fill"})
    if recipe != Augment(**finite):
        return 0
    return 8 if recipe.dihedral else 2 if recipe.flip else 1


def train_classifier(
    model: Classifier,
    context: JobContext[Training],
    checkpoint: Checkpoint,
    feature_split: str,
    feature_epochs: Sequence[int],
    keep_predictions: bool = False,
) -> TrainingResult:
    """Train, choose the epoch by validation accuracy, predict the val and test splits.

    feature_split: whose penultimate layer is kept, at the epochs `feature_epochs`.
    keep_predictions: keep those of every epoch. The backbone of `model` may be frozen.
    Raises RepriseError if a class has no training image, and as `train` does.
    """
    data, device = context.data, context.device
    device.to_device(model)
    require_all_classes(data)
    labels = torch.from_numpy(np.array(data.labels)).long().to(device.device)
    train_rows, val_rows, test_rows = map(data.require_rows, ("train", "val", "test"))
    batched = len(train_rows) - len(train_rows) % context.recipe.batch_size
    feature_rows, body = data.require_rows(feature_split), cast(nn.Module, model.backbone)
    batches: Batches | CachedFeatures = context.batches
    frozen = model.backbone.frozen  # one copy of the backbone is enough
    trained = nn.ModuleDict({"hidden": model.hidden, "last": model.last}) if frozen else model
    if frozen and count_views(context.recipe.augment):
        batches = CachedFeatures(context.batches, model.backbone, train_rows, device)
        body = nn.Identity()

    def training_step(rows: Rows, epoch: int) -> Tensors:
        with device.autocast():
            logits = model.head(body(batches.train_batch(rows, epoch))).float()
        target = labels[device.indices_to_device(rows)]
        correct = (logits.argmax(1) == target).sum()
        return {"loss": F.cross_entropy(logits, target), "correct": correct}

    def outputs(layer: Callable[[Tensor], Tensor], rows: Rows) -> Tensor:
        size = batches.eval_batch_size
        return predict_batches(lambda x: layer(body(x)), batches.eval_batch, rows, device, size)

    def validation_step(row: Row, progress: Progress) -> None:
        row["train_accuracy"] = float(progress.sums["correct"]) / batched
        with eval_mode(trained):
            row.update(val_scores(outputs(model.head, val_rows), labels[val_rows]))
            if row["epoch"] in feature_epochs:
                features = outputs(model.penultimate, feature_rows).cpu()
                progress.kept[f"epoch_{row['epoch']:04d}"] = features
            if keep_predictions:
                predicted = outputs(model.head, np.concatenate([val_rows, test_rows])).argmax(1)
                progress.predictions[int(row["epoch"])] = predicted.cpu()
        progress.update_best(row, trained, row["val_accuracy"])

    progress = train(TrainingJob(model, context, training_step, validation_step), checkpoint)
    trained.load_state_dict(progress.best_state)
    with eval_mode(model):
        logits = [outputs(model.head, rows) for rows in (val_rows, test_rows)]
    progress.kept |= {"label": labels[feature_rows].cpu(), "row": torch.tensor(feature_rows)}
    outcome = progress.rows, _predictions(data, logits), progress.kept, progress.predictions
    return TrainingResult(model.state_dict(), *outcome)


def val_scores(logits: Tensor, target: Tensor) -> Row:
    """Loss and accuracy of logits (n, classes) for class ids (n,).

    The accuracy is NaN where the loss is not finite: such logits predict no class.
    """
    loss = float(F.cross_entropy(logits, target))
    accuracy = float((logits.argmax(1) == target).float().mean())
    return {"val_loss": loss, "val_accuracy": accuracy if math.isfinite(loss) else math.nan}


def _predictions(data: PreparedDataset, logits: Sequence[Tensor]) -> pd.DataFrame:
    """The rows of predictions.csv; logits: of the val and the test split."""
    tables = []
    for split, values in zip(("val", "test"), logits, strict=True):
        confidence, prediction = values.softmax(1).cpu().max(1)
        table = data.index.iloc[data.rows(split)][["id", "split", "label"]].copy()
        table["prediction"] = prediction.numpy()
        table["confidence"] = confidence.numpy()
        tables.append(table)
    return pd.concat(tables)


def require_all_classes(data: PreparedDataset) -> None:
    """Raise RepriseError if a class has no training image, or the dataset has no labels."""
    if data.unlabelled:
        raise RepriseError(f"{data.folder}: has no labels to learn; use another dataset, or byol")
    names = data.classes.names
    counts = np.bincount(data.labels[data.rows("train")], minlength=len(names))
    if not counts.all():
        raise RepriseError(
            f"{data.folder / 'index.csv'}: class '{names[counts.argmin()]}' has no image in the "
            "train split; add some, or remove the class"
        )


def write_classifier(folder: Path, result: TrainingResult, device: Device) -> None:
    """Write the model, history, predictions and features of a training."""
    write_tensors(folder / "model.safetensors", result.state)
    write_tensors(folder / "features.safetensors", result.features)
    write_csv(folder / "predictions.csv", result.predictions)
    write_history(folder / "history.csv", result.history, device)
