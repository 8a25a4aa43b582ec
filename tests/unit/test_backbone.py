"""Backbones and classifiers: frozen means frozen."""

import torch
from torch import nn

from reprise.models.backbone import Backbone, Classifier, linear_classifier
from reprise.models.build import build_finetuned
from reprise.params.finetune import FinetuneCommon

RECIPE = FinetuneCommon(
    backbone="resnet10", stem="small", head_hidden_dim=32, feature_epochs=[], epochs=1,
    batch_size=8, learning_rate=0.1,
)  # fmt: skip


def test_train_cannot_thaw_a_frozen_backbone() -> None:
    model = build_finetuned(RECIPE, 4)
    model.backbone.freeze()
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    model.train()
    assert model.training and not any(module.training for module in model.backbone.modules())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    model(torch.randn(8, 3, 32, 32)).sum().backward()
    optimizer.step()
    after = model.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_last_layer_reads_the_penultimate_one() -> None:
    backbone = Backbone(nn.Flatten(), 12)
    model = Classifier(backbone, nn.Sequential(nn.Linear(12, 5), nn.ReLU()), 5, 3)
    features = model.backbone(torch.randn(2, 3, 2, 2))
    assert torch.equal(model.head(features), model.last(model.penultimate(features)))


def test_dropout_comes_before_the_last_layer_where_a_recipe_has_it() -> None:
    backbone = Backbone(nn.Flatten(), 12)
    assert isinstance(linear_classifier(backbone, 0.0, 3).hidden, nn.Identity)
    dropout = linear_classifier(backbone, 0.5, 3).hidden
    assert isinstance(dropout, nn.Dropout) and dropout.p == 0.5
