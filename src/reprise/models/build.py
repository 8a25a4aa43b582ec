"""The one builder of networks: of a recipe, by the module of reprise.models that its name leads to.

A module defines `build_backbone`, `build_classifier` or `build_segmenter` for the names that it
declares (see params/models.py). It may also define `load_weights(network, state, path)`, where
published weights are not simply those of a backbone, `load_packaged_weights(network)`, and
DEPTHWISE: whether its networks consist of depthwise convolutions.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from reprise.datasets.batches import Normalization, normalization
from reprise.models.backbone import Backbone, Classifier, Options
from reprise.models.weights import load_backbone_weights, read_weights
from reprise.params.models import module_file, packaged_weights
from reprise.params.training import WeightsFile
from reprise.plugins import load
from reprise.torch_compiler import without_dynamo


def module_of(name: str) -> Any:
    """The imported module of a network's name. Raises KeyError for an unknown name."""
    file = module_file(name)
    if file is None:
        raise KeyError(name)
    with without_dynamo():
        return load("models", file.stem)


def is_depthwise(name: str) -> bool:
    """Whether a network consists of depthwise convolutions, faster in float32 on CPU."""
    return bool(getattr(module_of(name), "DEPTHWISE", False))


def normalization_of(recipe: Options, weights: str | None = None) -> Normalization | None:
    """Mean and std by which the pixels are normalized; None: those of the train images.

    `normalize: network` is what the published weights of the network were trained with. weights:
    those that it starts from, by default the recipe's. Raises RepriseError if its library does not
    say.
    """
    if recipe.normalize == "network":
        name = recipe.model if hasattr(recipe, "model") else recipe.backbone
        mean_and_std: Normalization = module_of(name).normalization(name)
        return mean_and_std
    return normalization(recipe.normalize, weights or str(getattr(recipe, "weights", "none")))


def build_backbone(name: str, stem: str, keep_imagenet_fc: bool = False) -> Backbone:
    """A randomly initialised backbone; see `resnet.build_backbone` for the arguments."""
    backbone: Backbone = module_of(name).build_backbone(name, stem, keep_imagenet_fc)
    return backbone


def build_classifier(recipe: Options, n_classes: int) -> Classifier:
    """The randomly initialised classifier of a recipe of `classify`."""
    classifier: Classifier = module_of(recipe.model).build_classifier(recipe, n_classes)
    return classifier


def build_finetuned(recipe: Options, n_classes: int) -> Classifier:
    """A randomly initialised backbone under linear, batch norm, ReLU, linear."""
    backbone = build_backbone(recipe.backbone, recipe.stem, recipe.keep_imagenet_fc)
    width = recipe.head_hidden_dim
    head = nn.Sequential(nn.Linear(backbone.width, width), nn.BatchNorm1d(width), nn.ReLU())
    return Classifier(backbone, head, width, n_classes)


def build_segmenter(recipe: Options, n_classes: int) -> nn.Module:
    """The randomly initialised segmentation network of a recipe of `segment`.

    forward: images (n, 3, H, W) -> logits (n, n_classes, H, W).
    """
    network: nn.Module = module_of(recipe.model).build_segmenter(recipe, n_classes)
    return network


# by the stage that trains the network
BUILDERS: dict[str, Callable[[Options, int], nn.Module]] = {
    "finetune": build_finetuned,
    "classify": build_classifier,
    "segment": build_segmenter,
}


def load_weights_into(
    network: Any, name: str, weights: str, files: Mapping[str, WeightsFile]
) -> list[Path]:
    """Load published weights into a new network named `name`; returns the files that were read.

    weights: none, a name of `files` (the block `weights` of params.yaml), or one that a package
    carries for the network. Raises RepriseError (see `read_weights` and `load_state`), or if the
    network does not accept weights.
    """
    module = module_of(name)
    if weights == "none":
        return []
    if weights in packaged_weights(name):
        module.load_packaged_weights(network)
        return []
    state = read_weights(weights, files)
    getattr(module, "load_weights", load_backbone_weights)(network, state, files[weights].path)
    return [Path(files[weights].path)]
