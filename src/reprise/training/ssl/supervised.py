"""Supervised pretraining, or a backbone of published weights."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from reprise.datasets.batches import Rows
from reprise.models.backbone import Backbone
from reprise.models.build import build_backbone, load_weights_into
from reprise.params.libraries import prefix_of
from reprise.params.supervised import Recipe
from reprise.params.training import WeightsFile
from reprise.training.checkpoint import Checkpoint
from reprise.training.classification import require_all_classes
from reprise.training.job import JobContext
from reprise.training.loop import Progress, Row, Tensors, TrainingJob, train
from reprise.training.runtime import eval_mode
from reprise.training.ssl import evaluate_knn


def pretrain(
    context: JobContext[Recipe], checkpoint: Checkpoint, files: Mapping[str, WeightsFile]
) -> tuple[Tensors, list[Row]]:
    """Train on the labels, and choose the epoch by validation accuracy; or load published weights.

    Raises RepriseError if a class has no training image; or see `train`, `load_weights_into`.
    """
    recipe, data, device = context.recipe, context.data, context.device
    if recipe.weights != "none":
        return load_published(context, files)
    backbone = build_backbone(recipe.backbone, recipe.stem)
    require_all_classes(data)
    model = nn.Sequential(backbone, nn.Linear(backbone.width, len(data.classes.names)))
    device.to_device(model)
    labels = torch.from_numpy(np.array(data.labels)).long().to(device.device)
    val = data.require_rows("val")

    def training_step(rows: Rows, epoch: int) -> Tensors:
        with device.autocast():
            logits = model(context.batches.train_batch(rows, epoch)).float()
        return {"loss": F.cross_entropy(logits, labels[device.indices_to_device(rows)])}

    def validation_step(row: Row, progress: Progress) -> None:
        with eval_mode(model):
            logits = context.predict(model, val)
        row["val_accuracy"] = float((logits.argmax(dim=1) == labels[val]).float().mean())
        row["knn_accuracy"] = evaluate_knn(context, backbone)
        progress.update_best(row, backbone.net, row["val_accuracy"])

    job = TrainingJob(model, context, training_step, validation_step, validate_first=True)
    progress = train(job, checkpoint)
    return progress.best_state, progress.rows


def load_published(
    context: JobContext[Recipe], files: Mapping[str, WeightsFile]
) -> tuple[Tensors, list[Row]]:
    """A backbone of published weights: nothing is trained.

    The history has two rows of epoch 0: the random network, and the loaded one.
    """
    recipe = context.recipe
    backbone = build_backbone(recipe.backbone, recipe.stem, keeps_imagenet_fc(recipe))
    context.device.to_device(backbone)
    nan = float("nan")
    row: Row = {"epoch": 0, "step": 0, "learning_rate": nan, "train_loss": nan, "val_accuracy": nan}
    rows = [row | {"knn_accuracy": evaluate_knn(context, backbone), "selected": 0}]
    load_weights_into(backbone, recipe.backbone, recipe.weights, files)
    rows.append(row | {"knn_accuracy": evaluate_knn(context, backbone), "selected": 1})
    return backbone.net.state_dict(), rows


def keeps_imagenet_fc(recipe: Recipe) -> bool:
    """Whether published weights keep their last layer: of the ResNets here, for fine-tuning."""
    return recipe.weights != "none" and prefix_of(recipe.backbone) is None


def trained_layers(recipe: Recipe, n_classes: int) -> dict[str, nn.Module]:
    """The backbone and, if it is trained here, the last layer."""
    published = recipe.weights != "none"
    backbone: Backbone = build_backbone(recipe.backbone, recipe.stem, keeps_imagenet_fc(recipe))
    layers: dict[str, nn.Module] = {"backbone": backbone}
    return layers if published else layers | {"last": nn.Linear(backbone.width, n_classes)}
