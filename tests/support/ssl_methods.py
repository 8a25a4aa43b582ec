"""What tests of the pretraining methods share: small networks, views, and small trainings."""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reprise.datasets.prepared import PreparedDataset
from reprise.models.backbone import Backbone
from reprise.params.pretrain import TwoViewRecipe
from reprise.training.checkpoint import Checkpoint
from reprise.training.loop import Row
from reprise.training.ssl.two_views import TwoViews
from support.training import job_context

# method -> its class, and the smallest sizes for a quick training
METHODS: dict[str, tuple[str, dict[str, int]]] = {
    "barlow_twins": ("BarlowTwins", {"proj_hidden_dim": 16, "proj_output_dim": 8}),
    "byol": ("Byol", {"proj_hidden_dim": 16, "proj_output_dim": 8}),
    "dino": ("Dino", {"proj_hidden_dim": 16, "proj_output_dim": 8, "prototypes": 12}),
    "moco_v2": ("MocoV2", {"proj_hidden_dim": 16, "proj_output_dim": 8, "queue_size": 12}),
    "simclr": ("SimClr", {"proj_hidden_dim": 16, "proj_output_dim": 8}),
    "simsiam": (
        "SimSiam", {"proj_hidden_dim": 16, "proj_output_dim": 8, "pred_hidden_dim": 4}
    ),
    "vicreg": ("VicReg", {"proj_hidden_dim": 16, "proj_output_dim": 8}),
}  # fmt: skip


def recipe_of(method: str, **options: Any) -> TwoViewRecipe:
    """The recipe of a short training of a small ResNet with a method."""
    values = {
        "method": method, "backbone": "resnet10", "stem": "small", "epochs": 3, "batch_size": 6,
        "learning_rate": 0.001, "knn_k": 3, "allow_collapse": True,
        "augment": {"min_scale": 0.5, "flip": True},
    }  # fmt: skip
    module = import_module(f"reprise.params.{method}")
    typed: TwoViewRecipe = module.Recipe.model_validate(values | METHODS[method][1] | options)
    return typed


def toy(method: str, concat_views: bool = False, **options: Any) -> TwoViews:
    """A method in float64 on a backbone of one layer, for views of `views`."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6), nn.ReLU())
    build = getattr(import_module(f"reprise.training.ssl.{method}"), METHODS[method][0])
    model: TwoViews = build(Backbone(net, 6), recipe_of(method, **options), concat_views)
    return model.double()


def views(n: int = 6) -> tuple[Tensor, Tensor]:
    """Two views (n, 3, 2, 2) in float64, alike as two views of one image are."""
    generator = torch.Generator().manual_seed(1)
    first = torch.randn(n, 3, 2, 2, dtype=torch.float64, generator=generator)
    noise = torch.randn(n, 3, 2, 2, dtype=torch.float64, generator=generator)
    return first, first + noise / 4


def pairs(n: int = 5, d: int = 4) -> tuple[Tensor, Tensor]:
    """Two batches of projections (n, d) in float64, with a gradient."""
    generator = torch.Generator().manual_seed(2)
    first, second = torch.randn(2, n, d, dtype=torch.float64, generator=generator)
    return first.requires_grad_(), second.requires_grad_()


def pretrained(
    data: PreparedDataset, checkpoint: Checkpoint, method: str, **options: Any
) -> tuple[dict[str, Tensor], list[Row]]:
    """The backbone and the history of a short training."""
    torch.manual_seed(0)
    context = job_context(data, recipe_of(method, **options))
    module = import_module(f"reprise.training.ssl.{method}")
    state, rows = module.pretrain(context, checkpoint, {})
    return state, rows


def each_step(folder: Path) -> Checkpoint:
    """A checkpoint that is due at every step."""
    return Checkpoint(folder / "checkpoint.pt", {}, seconds=0)
