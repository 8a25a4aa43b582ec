"""Bootstrap Your Own Latent (Grill et al. 2020, arXiv 2006.07733), and SimSiam as a mode of it.

Numbers in comments are those of the paper and of the authors' code (byol/ in their repository).
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from reprise.datasets.batches import Rows
from reprise.errors import RepriseError
from reprise.models.backbone import Backbone
from reprise.models.build import build_backbone
from reprise.models.convolution import swap_layers
from reprise.params.byol import Recipe
from reprise.params.training import WeightsFile
from reprise.training import schedules
from reprise.training.checkpoint import Checkpoint
from reprise.training.job import JobContext
from reprise.training.loop import Progress, Row, Tensors, TrainingJob, train
from reprise.training.runtime import eval_mode
from reprise.training.ssl import evaluate_knn

MIN_NORMALIZED_STD = 0.25  # both: see `collapsed`
MIN_RANK = 2.0
# pixels of a view on CPU: two ResNet-18 steps of 32 x 32 took .7 to .9 of the time in one batch,
# two ResNet-50 steps of 128 x 128 took 1.1. A GPU waits for launches, and half of them go.
CONCAT_MAX_PIXELS = 64 * 64


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


def mlp(width: int, hidden: int, out: int) -> nn.Sequential:
    """Projector or predictor: linear, batch norm, ReLU, linear without bias (networks.py)."""
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, out, bias=False),
    )


def simsiam_mlp(width: int, hidden: int, out: int) -> nn.Sequential:
    """SimSiam's projector: three linear layers without bias, each with batch norm.

    ReLU after the first two; the last norm has no scale and no shift (Chen and He 2021, arXiv
    2011.10566, section 3, and their simsiam/builder.py).
    """
    return nn.Sequential(
        nn.Linear(width, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, out, bias=False),
        nn.BatchNorm1d(out, affine=False),
    )


class Byol(nn.Module):
    """Online network with predictor, and a target network that follows its parameters.

    forward: two views (n, 3, H, W) -> loss (a mean over n, in 0..8). Batch norm sees one view at a
    time. With `concat_views` all other layers see both in one batch, which only changes the order
    in which numbers are added: weights are read once, at the price of a copy for each norm.

    The target has no gradient. In training its batch norm normalises each batch with the
    statistics of that batch and keeps its own running statistics, as in the authors' code.

    ema_buffers: the target's running statistics follow the online network's with the same tau, as
    its parameters do, and the target normalises with them in training too: it stays in evaluation
    mode (EMAN, Cai et al. 2021, arXiv 2101.08482).

    use_momentum=False: no target network (`target` is None). Both views are compared with the
    online network's projections, without a gradient, and the projector is SimSiam's; the predictor
    stays BYOL's.
    """

    target: nn.Sequential | None

    def __init__(self, backbone: Backbone, recipe: Recipe, concat_views: bool = False) -> None:
        super().__init__()
        hidden, out = recipe.proj_hidden_dim, recipe.proj_output_dim
        make_projector = mlp if recipe.use_momentum else simsiam_mlp
        self.online = nn.Sequential(backbone, make_projector(backbone.width, hidden, out))
        self.predictor = mlp(out, hidden, out)
        self.concat_views = concat_views
        if concat_views:
            swap_layers(self, {nn.BatchNorm1d: TwoViewNorm1d, nn.BatchNorm2d: TwoViewNorm2d})
        self.target = None
        if recipe.use_momentum:
            self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.ema_buffers = recipe.ema_buffers
        self.tau = self.base_tau = recipe.base_tau
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, except a target that normalises with running statistics."""
        super().train(mode)
        if self.target is not None and self.ema_buffers:
            self.target.eval()
        return self

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        projections = self._for_views(self.online, first, second)
        predictions = self._for_views(self.predictor, *projections)
        targets = [projection.detach() for projection in projections]
        if self.target is not None:
            with torch.no_grad():
                targets = list(self._for_views(self.target, first, second))
        first_loss = regression_loss(predictions[0], targets[1])
        return (first_loss + regression_loss(predictions[1], targets[0])).mean()

    def _for_views(self, network: nn.Module, first: Tensor, second: Tensor) -> Sequence[Tensor]:
        """A network's output for each view."""
        if self.concat_views:
            return network(torch.cat([first, second])).chunk(2)  # type: ignore[no-any-return]
        return [network(first), network(second)]

    @torch.no_grad()
    def update_target(self, step: int, steps: int) -> None:
        """Move the target towards the online network; call it after each step of the optimizer.

        `step` counts the finished steps, `steps` all: the first update uses the base tau.
        Does nothing if there is no target network.
        """
        if self.target is None:
            return
        self.tau = schedules.tau(self.base_tau, step - 1, steps)
        target: list[Tensor] = list(self.target.parameters())
        online: list[Tensor] = list(self.online.parameters())
        if self.ema_buffers:
            for buffer, source in zip(self.target.buffers(), self.online.buffers(), strict=True):
                if buffer.is_floating_point():
                    target.append(buffer)
                    online.append(source)
                else:
                    buffer.copy_(source)
        torch._foreach_lerp_(target, online, 1 - self.tau)


def regression_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """2 - 2 cos(prediction, target) for each pair (n, d), (n,) in 0..4 (equation 2).

    Computed in float32 at least, so that bfloat16 does not round the cosine.
    """
    dtype = torch.promote_types(prediction.dtype, torch.float32)
    return 2 - 2 * F.cosine_similarity(prediction.to(dtype), target.to(dtype), dim=1)


def collapse_statistics(projections: Tensor) -> tuple[float, float]:
    """How far a network is from collapse, from its projections (n, d): std and effective rank.

    The std is a mean over dimensions of the l2-normalised projections (1/sqrt(d) when they fill the
    sphere, 0 when all are equal; Chen and He 2021). The effective rank is exp of the entropy of the
    normalised singular values, 1 to d (Roy and Vetterli 2007). Both are nan when a projection is
    not finite.
    """
    unit = F.normalize(projections.float(), dim=1)
    if not unit.isfinite().all():
        return math.nan, math.nan
    shares = torch.linalg.svdvals(unit - unit.mean(dim=0))
    shares = shares / shares.sum().clamp(min=1e-12)
    entropy = -(shares * shares.clamp(min=1e-12).log()).sum()
    return float(unit.std(dim=0).mean()), float(entropy.exp())


def collapsed(std: float, rank: float, width: int) -> bool:
    """Whether projections of `width` dimensions with these `collapse_statistics` have collapsed.

    They have when they lie in one spot or along one line, or are not finite. The bounds were
    measured on the tiles of preset earth, after one epoch and more:

    - std * sqrt(width) < 0.25. It is 1 when they fill the sphere and at most sqrt(1 - c), c being
      the mean cosine of two images. Networks that learned had 0.54 to 0.97, a random one at least
      0.36, and BYOL without predictor and moving average, which a constant solves best, 0.14 to
      0.16 after one epoch and 0.07 after three.
    - effective rank < 2, or less than half way from 1 to a width below 3: one direction, which the
      std misses when images are at two opposite points, or when the projector ends with batch norm.
      No bound above 2, because images of three kinds, perfectly separated, had 3.5.

    Learning rates far too large left ranks of 2.8 to 3.8; only `knn_accuracy` detects them.
    """
    spot = not std * math.sqrt(width) >= MIN_NORMALIZED_STD  # true for nan
    return spot or rank < min(MIN_RANK, (1 + width) / 2)


def pretrain(
    context: JobContext[Recipe], checkpoint: Checkpoint, files: Mapping[str, WeightsFile]
) -> tuple[Tensors, list[Row]]:
    """Train with BYOL; the backbone of the last epoch, because the loss cannot choose one.

    It is low for a collapsed network too. Raises RepriseError when the network collapses, unless
    the recipe allows it.
    """
    recipe, device, batches = context.recipe, context.device, context.batches
    backbone = build_backbone(recipe.backbone, recipe.stem)
    small = batches.size[0] * batches.size[1] <= CONCAT_MAX_PIXELS
    model = Byol(backbone, recipe, concat_views=small or device.device.type != "cpu")
    device.to_device(model)
    val = context.data.require_rows("val")

    def training_step(rows: Rows, epoch: int) -> Tensors:
        with device.autocast():
            loss: Tensor = model(*(batches.train_batch(rows, epoch, view) for view in (0, 1)))
        return {"loss": loss}

    def validation_step(row: Row, progress: Progress) -> None:
        row["tau"] = model.tau if row["epoch"] else recipe.base_tau
        with eval_mode(model):
            projections = context.predict(model.online, val)
        std, rank = row["feature_std"], row["effective_rank"] = collapse_statistics(projections)
        row["knn_accuracy"] = evaluate_knn(context, backbone)
        width = recipe.proj_output_dim
        if row["epoch"] and collapsed(std, rank, width) and not recipe.allow_collapse:
            raise RepriseError(
                f"{context.config_key}: collapsed in epoch {row['epoch']}: projections have std "
                f"{std:.2g} and effective rank {rank:.1f} of {width}; lower learning_rate, or set "
                "allow_collapse: true"
            )

    steps = training_step, validation_step, model.update_target
    job = TrainingJob(model, context, *steps, validate_first=True)
    history = train(job, checkpoint).rows
    return backbone.net.state_dict(), history


def trained_layers(recipe: Recipe, n_classes: int) -> dict[str, nn.Module]:
    """Backbone, projector and predictor."""
    model = Byol(build_backbone(recipe.backbone, recipe.stem), recipe)
    backbone, projector = model.online
    return {"backbone": backbone, "projector": projector, "predictor": model.predictor}
