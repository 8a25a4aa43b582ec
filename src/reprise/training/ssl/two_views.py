"""What the methods have in common that compare two views of each image."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from reprise.datasets.batches import Rows
from reprise.errors import RepriseError
from reprise.models.backbone import Backbone
from reprise.models.build import build_backbone
from reprise.models.convolution import swap_layers
from reprise.params.pretrain import TwoViewRecipe
from reprise.params.training import WeightsFile
from reprise.training.checkpoint import Checkpoint
from reprise.training.job import JobContext
from reprise.training.loop import Progress, Row, Tensors, TrainingJob, train
from reprise.training.runtime import eval_mode
from reprise.training.ssl import evaluate_knn
from reprise.training.ssl.collapse import MIN_IMAGES, collapse_statistics, collapsed
from reprise.training.ssl.layers import TwoViewNorm1d, TwoViewNorm2d

# pixels of a view on CPU: two ResNet-18 steps of 32 x 32 took .7 to .9 of the time in one batch,
# two ResNet-50 steps of 128 x 128 took 1.1. A GPU waits for launches, and half of them go.
CONCAT_MAX_PIXELS = 64 * 64


def normalizes_views_apart(backbone: nn.Module) -> bool:
    """Whether every batch norm can be told to see one view at a time (see `TwoViewNorm`).

    Some networks of timm have other classes of batch norm, which would mix the views of a batch.
    """
    norms = [layer for layer in backbone.modules() if isinstance(layer, _BatchNorm)]
    return all(type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d) for norm in norms)


class TwoViews(nn.Module):
    """A method: forward takes two views (n, 3, H, W) and returns the loss, a mean over n.

    encoder: backbone and projector, whose outputs are watched for a collapse. concat_views: let
    the layers see both views in one batch, which only changes the order in which numbers are
    added: weights are read once, at the price of a copy for each norm, for batch norm sees one
    view at a time. epoch: of the present step, from 1. further_parts: names of trained modules
    besides the encoder. per_image: names of attributes that forward sets to a tensor with a row an
    image or a view, for `after_step`.
    """

    encoder: nn.Sequential
    concat_views = False
    epoch = 1
    further_parts: tuple[str, ...] = ()
    per_image: tuple[str, ...] = ()

    def __init__(self, backbone: Backbone, recipe: Any, concat_views: bool = False) -> None:
        """A subclass builds its layers; recipe: of its method."""
        super().__init__()

    def concatenate_views(self) -> None:
        """Set `concat_views`; call it when all layers are there, and before one is copied."""
        self.concat_views = True
        swap_layers(self, {nn.BatchNorm1d: TwoViewNorm1d, nn.BatchNorm2d: TwoViewNorm2d})

    def for_views(self, network: nn.Module, first: Tensor, second: Tensor) -> Sequence[Tensor]:
        """A network's output for each view."""
        if self.concat_views:
            return network(torch.cat([first, second])).chunk(2)  # type: ignore[no-any-return]
        return [network(first), network(second)]

    def after_step(self, step: int, steps: int) -> None:
        """Called after each step of the optimizer with the number of finished steps and of all."""

    def history(self) -> Row:
        """Further values of the method for the row of an epoch."""
        return {}

    @classmethod
    def pretrain(
        cls,
        context: JobContext[TwoViewRecipe],
        checkpoint: Checkpoint,
        files: Mapping[str, WeightsFile],
    ) -> tuple[Tensors, list[Row]]:
        """Train; the backbone of the last epoch, because the loss cannot choose one.

        It is low for a collapsed network too. Raises RepriseError when the network collapses,
        unless the recipe allows it.
        """
        recipe, device, batches = context.recipe, context.device, context.batches
        backbone = build_backbone(recipe.backbone, recipe.stem)
        small = batches.size[0] * batches.size[1] <= CONCAT_MAX_PIXELS
        faster = small or device.device.type != "cpu"
        model = cls(backbone, recipe, faster and normalizes_views_apart(backbone))
        device.to_device(model)

        def training_step(rows: Rows, epoch: int) -> Tensors:
            model.epoch = epoch
            with device.autocast():
                loss: Tensor = model(*(batches.train_batch(rows, epoch, view) for view in (0, 1)))
            return {"loss": loss}

        def validation_step(row: Row, progress: Progress) -> None:
            row.update(model.history())
            model.check_collapse(row, context)
            row["knn_accuracy"] = evaluate_knn(context, backbone)

        steps = training_step, validation_step, model.after_step
        job = TrainingJob(model, context, *steps, validate_first=True, per_image=model.per_image)
        history = train(job, checkpoint).rows
        return backbone.net.state_dict(), history

    def check_collapse(self, row: Row, context: JobContext[TwoViewRecipe]) -> None:
        """Add the statistics of the val images' projections to the row of an epoch.

        Raises RepriseError if they have collapsed after an epoch, unless the recipe allows it or
        there are too few images to tell.
        """
        with eval_mode(self):
            projections = context.predict(self.encoder, context.data.require_rows("val"))
        std, rank = row["feature_std"], row["effective_rank"] = collapse_statistics(projections)
        count, width = projections.shape
        if not row["epoch"] or count < MIN_IMAGES or context.recipe.allow_collapse:
            return
        if collapsed(std, rank, width):
            raise RepriseError(
                f"{context.config_key}: collapsed in epoch {row['epoch']}: projections have std "
                f"{std:.2g} and effective rank {rank:.1f} of {width}; lower learning_rate, or set "
                "allow_collapse: true"
            )

    @classmethod
    def trained_layers(cls, recipe: TwoViewRecipe, n_classes: int) -> dict[str, nn.Module]:
        """Backbone, projector, and what else is trained."""
        model = cls(build_backbone(recipe.backbone, recipe.stem), recipe)
        backbone, projector = model.encoder
        further = {name: getattr(model, name) for name in cls.further_parts}
        return {"backbone": backbone, "projector": projector} | further
