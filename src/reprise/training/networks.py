"""The networks of all runs of params.yaml, built without memory and split into layer groups."""

from collections import OrderedDict
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pandas as pd
import torch
from torch import nn

from reprise.jobs import STAGES, tasks
from reprise.models.build import build_classifier, build_finetuned, build_segmenter
from reprise.models.model_summary import LayerGroup, layer_groups, sam_groups
from reprise.models.sam import build_sam, image_size
from reprise.params.load import Params

COLUMNS = ["stage", "task", "run", "model", "input", "group", "layers", "output", "parameters"]
COLUMNS += ["trained", "multiply_adds"]
Size = tuple[int, int]
Info = Mapping[str, Any]  # content of a dataset.json
Network = tuple[str, Size, list[LayerGroup]]  # its name, (H, W) of its images, its groups


def layer_table(params: Params, datasets: Mapping[str, Info]) -> pd.DataFrame:
    """The layer groups of every run's network; columns COLUMNS.

    Sizes are texts, such as "channels x height x width". datasets: content of dataset.json by the
    dataset's name.
    """
    rows = []
    for stage, name, task in tasks(params, *STAGES, "segment_anything"):
        for run in task.runs:
            with torch.device("meta"):
                model, size, groups = _NETWORKS[stage](task, run, datasets.get(task.data, {}))
            for group in groups:
                shapes = [" x ".join(map(str, shape)) for shape in ((3, *size), group.output)]
                counts = [group.parameters, group.trained, group.multiply_adds]
                words = [shapes[0], group.name, group.layers, shapes[1]]
                rows.append([stage, name, run, model, *words, *counts])
    return pd.DataFrame(rows, columns=COLUMNS)


def _pretrain(task: Any, run: str, info: Info) -> Network:
    recipe = task.recipes[run]
    method = import_module(f"reprise.training.ssl.{recipe.method}")
    layers = method.trained_layers(recipe, len(info["classes"]))
    return _trained(recipe.backbone, nn.Sequential(OrderedDict(layers)), _size(info))


def _finetune(task: Any, run: str, info: Info) -> Network:
    network = build_finetuned(task.common, len(info["classes"]))
    if task.recipes[run].frozen:
        network.backbone.freeze()
    return _trained(task.common.backbone, network, _size(info))


def _classify(task: Any, run: str, info: Info) -> Network:
    recipe = task.recipes[run]
    network = build_classifier(recipe, len(info["classes"]))
    if recipe.frozen:
        network.backbone.freeze()
    return _trained(recipe.model, network, (recipe.image_size,) * 2)


def _segment(task: Any, run: str, info: Info) -> Network:
    recipe = task.recipes[run]
    if recipe.merge_classes is not None:
        info = info["merged"][str(recipe.merge_classes)]
    network = build_segmenter(recipe, len(info["classes"]))
    return _trained(recipe.model, network, (recipe.image_size,) * 2)


def _segment_anything(task: Any, run: str, info: Info) -> Network:
    name = task.recipes[run].model
    return name, image_size(name), sam_groups(build_sam(name), image_size(name))


def _trained(name: str, network: nn.Module, size: Size) -> Network:
    return name, size, layer_groups(network, size)


def _size(info: Info) -> Size:
    return info["height"], info["width"]


_NETWORKS = {
    "pretrain": _pretrain,
    "finetune": _finetune,
    "classify": _classify,
    "segment": _segment,
    "segment_anything": _segment_anything,
}
