"""Every network that params.yaml names, built without memory and taken apart."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn

from reprise.models.anything import sam
from reprise.models.anything_layers import anything_groups, image_size
from reprise.models.backbone import Backbone, resnet
from reprise.models.classifier import classifier, with_head
from reprise.models.layers import Group, layer_groups
from reprise.models.segmentation import segmenter
from reprise.params import Params, SegmentRecipe, SupervisedPretraining
from reprise.training.byol import Byol

COLUMNS = ["part", "run", "setting", "model", "input", "group", "layers", "output", "parameters"]
COLUMNS += ["trained", "multiply_adds"]


class Network(NamedTuple):
    """One network: whose it is, its name in words, how it is built, and its (H, W) of images.

    `setting` is the method of a pretraining, and the settings of fine-tuning that train alike.
    `groups` takes the network apart.
    """

    part: str
    run: str
    setting: str
    model: str
    build: Callable[[], nn.Module]
    size: tuple[int, int]
    groups: Callable[[nn.Module, tuple[int, int]], list[Group]] = layer_groups


def architectures(params: Params, sets: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The layer groups of every network; columns COLUMNS, sizes as "channels x height x width".

    Args:
        params: the runs and what shapes their networks.
        sets: content of dataset.json of each part's data set: its classes and image size.
    """
    rows = []
    for network in networks(params, sets):
        with torch.device("meta"):
            groups = network.groups(network.build(), network.size)
        rows += [_row(network, group) for group in groups]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(network: Network, group: Group) -> list[object]:
    whose = [network.part, network.run, network.setting, network.model]
    sizes = [" x ".join(map(str, size)) for size in ((3, *network.size), group.output)]
    counts = [group.parameters, group.trained, group.multiply_adds]
    return [*whose, sizes[0], group.name, group.layers, sizes[1], *counts]


def networks(params: Params, sets: Mapping[str, Mapping[str, Any]]) -> Iterator[Network]:
    """Every network of `params`, in the order of the parts and runs."""
    yield from _pretrained(params, sets["pretrain"])
    yield from _finetuned(params, sets["finetune"])
    for part, block in (("classify", params.classify), ("faces", params.faces)):
        for run in block.runs:
            recipe = block.recipes[run]

            def build(recipe: Any = recipe, about: Any = sets[part]) -> nn.Module:
                # an unloaded network has the shape of a loaded one
                plain = recipe.model_copy(update={"weights": "none"})
                network = classifier(plain, len(about["classes"]))
                if recipe.frozen:
                    network.backbone.freeze()
                return network

            yield Network(part, run, "", recipe.model, build, (recipe.image_size,) * 2)
    for part, masks in (("segment", params.segment), ("street", params.street)):
        for run in masks.runs:
            own = masks.recipes[run]
            count = classes(own, sets[part])

            def segmented(own: SegmentRecipe = own, count: int = count) -> nn.Module:
                return segmenter(own.model, count, own.width, own.held_norm)

            yield Network(part, run, "", own.model, segmented, (own.image_size,) * 2)
    yield from _anything(params)


def classes(recipe: SegmentRecipe, about: Mapping[str, Any]) -> int:
    """How many classes a segmentation network tells apart; merged ones where it asks for them."""
    if recipe.merge is None:
        return len(about["classes"])
    return len(about["merged"][str(recipe.merge)]["classes"])


def _pretrained(params: Params, about: Mapping[str, Any]) -> Iterator[Network]:
    for run in params.pretrain.runs:
        recipes = params.pretrain.recipes[run]
        for method in params.pretrain.methods:
            recipe = recipes.byol if method == "byol" else recipes.supervised

            def build(recipe: Any = recipe) -> nn.Module:
                taken = isinstance(recipe, SupervisedPretraining) and recipe.weights != "none"
                backbone = resnet(recipe.backbone, recipe.stem, imagenet_layer=taken)
                if taken:
                    return _in_order(backbone=backbone)
                if isinstance(recipe, SupervisedPretraining):
                    last = nn.Linear(backbone.width, len(about["classes"]))
                    return _in_order(backbone=backbone, last=last)
                model = Byol(
                    backbone, recipe.hidden, recipe.projection, recipe.tau,
                    use_momentum=recipe.use_momentum, ema_buffers=recipe.ema_buffers,
                )  # fmt: skip
                body, projector = model.online
                return _in_order(backbone=body, projector=projector, predictor=model.predictor)

            yield Network("pretrain", run, method, recipe.backbone, build, _size(about))


def _finetuned(params: Params, about: Mapping[str, Any]) -> Iterator[Network]:
    for run in params.finetune.runs:
        recipe = params.finetune.recipes[run]
        common = recipe.common
        names = params.finetune.settings.all
        for frozen in (False, True):
            alike = [name for name in names if recipe.setting(name).frozen == frozen]

            def build(frozen: bool = frozen, common: Any = common) -> nn.Module:
                backbone: Backbone = resnet(common.backbone, common.stem, common.imagenet_layer)
                if frozen:
                    backbone.freeze()
                return with_head(backbone, common.hidden, len(about["classes"]))

            if alike:
                who = ", ".join(alike)
                yield Network("finetune", run, who, common.backbone, build, _size(about))


def _anything(params: Params) -> Iterator[Network]:
    for run in params.anything.runs:
        name = params.anything.recipes[run].model
        build = partial(sam, name)
        yield Network("anything", run, "", name, build, image_size(name), anything_groups)


def _size(about: Mapping[str, Any]) -> tuple[int, int]:
    return about["height"], about["width"]


def _in_order(**modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))
