"""DINO (Caron et al. 2021, arXiv 2104.14294), without multi-crop: two views of full size.

The loss is equations 1 to 4 and algorithm 1; numbers are those of the authors' main_dino.py,
utils.py and vision_transformer.py (class DINOHead).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.models.backbone import Backbone
from reprise.params.dino import Recipe
from reprise.training import schedules
from reprise.training.loop import Row
from reprise.training.ssl.layers import follow, frozen_copy, full_precision
from reprise.training.ssl.two_views import TwoViews


class Prototypes(nn.Module):
    """The head's last layer: cosines of features (n, d) with k prototypes, (n, k)."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(count, width))
        self.fixed = False  # gets no gradient, and stays in the optimizer

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.detach() if self.fixed else self.weight
        return F.linear(F.normalize(x, dim=1), F.normalize(weight, dim=1))


class Dino(TwoViews):
    """A student learns the distribution over prototypes that a teacher gives to the other view.

    forward: two views (n, 3, H, W) -> loss (a mean over n and both directions, at least 0). The
    teacher follows the student's parameters; its outputs are centered and sharpened. The projector
    has three linear layers with GELU between them; prototypes are compared with its outputs. They
    do not learn in the first epoch.
    """

    further_parts = ("prototypes",)
    per_image = ("teacher_logits",)

    center: Tensor
    teacher_logits: Tensor

    def __init__(self, backbone: Backbone, recipe: Recipe, concat_views: bool = False) -> None:
        super().__init__(backbone, recipe, concat_views)
        self.encoder = nn.Sequential(backbone, gelu_mlp(backbone.width, recipe))
        self.prototypes = Prototypes(recipe.proj_output_dim, recipe.prototypes)
        if concat_views:
            self.concatenate_views()
        self.teacher = frozen_copy(self.student())
        self.recipe = recipe
        self.tau = recipe.base_tau
        self.register_buffer("center", torch.zeros(recipe.prototypes))

    def student(self) -> nn.Sequential:
        """Backbone, projector and prototypes."""
        return nn.Sequential(self.encoder, self.prototypes)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        self.prototypes.fixed = self.epoch == 1
        logits = self.for_views(self.student(), first, second)
        with torch.no_grad():
            teacher = self.for_views(self.teacher, first, second)
        warm = self.teacher_temperature()
        loss = distillation_loss(
            *logits, *teacher, self.center, student=self.recipe.student_temperature, teacher=warm
        )
        self.teacher_logits = torch.cat(list(teacher)).to(self.center.dtype)
        return loss

    def teacher_temperature(self) -> float:
        """It rises linearly from epoch to epoch, over teacher_warmup epochs."""
        low, high = self.recipe.teacher_temperature_start, self.recipe.teacher_temperature
        share = min(1.0, (self.epoch - 1) / max(self.recipe.teacher_warmup - 1, 1))
        return low + (high - low) * share if self.recipe.teacher_warmup else high

    @torch.no_grad()
    def after_step(self, step: int, steps: int) -> None:
        """Move the teacher towards the student, and the center to the teacher's mean logits.

        tau rises to 1 along a cosine.
        """
        self.center.lerp_(self.teacher_logits.mean(dim=0), 0.1)
        self.tau = schedules.tau(self.recipe.base_tau, step - 1, steps)
        follow(self.teacher, self.student(), self.tau)

    def history(self) -> Row:
        """The tau of the last update."""
        return {"tau": self.tau}


def gelu_mlp(width: int, recipe: Recipe) -> nn.Sequential:
    """The projector; its weights are drawn from a normal distribution of sd 0.02, cut at 2 sd."""
    hidden = recipe.proj_hidden_dim
    layers = [
        nn.Linear(before, after)
        for before, after in ((width, hidden), (hidden, hidden), (hidden, recipe.proj_output_dim))
    ]
    for layer in layers:
        nn.init.trunc_normal_(layer.weight, std=0.02)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.GELU(), layers[1], nn.GELU(), layers[2])


@full_precision
def distillation_loss(
    first: Tensor, second: Tensor, teacher_first: Tensor, teacher_second: Tensor, center: Tensor,
    *, student: float, teacher: float,
) -> Tensor:  # fmt: skip
    """The mean cross-entropy of the student's distribution of a view to the teacher's of the other.

    All (n, k) logits; center: (k,), subtracted from the teacher's; student, teacher: temperatures.
    """
    targets = [
        F.softmax((logits - center) / teacher, dim=1) for logits in (teacher_first, teacher_second)
    ]
    logs = [F.log_softmax(logits / student, dim=1) for logits in (first, second)]
    one = -(targets[1] * logs[0]).sum(dim=1).mean()
    return (one - (targets[0] * logs[1]).sum(dim=1).mean()) / 2


pretrain = Dino.pretrain
trained_layers = Dino.trained_layers
