"""Any network of timm, by its name there: `timm/resnet50d`, `timm/vit_tiny_patch16_224`."""

from typing import Any

import timm
import torch
from huggingface_hub import hf_hub_url
from torch import nn

from reprise.datasets.batches import Normalization
from reprise.errors import RepriseError, did_you_mean, one_line
from reprise.models.backbone import Backbone, Classifier, Options, linear_classifier
from reprise.models.convolution import CroppedConv2d, swap_layers
from reprise.models.weights import State, load_state

LIBRARY = "timm/"


def build_backbone(name: str, stem: str, keep_imagenet_fc: bool = False) -> Backbone:
    """A randomly initialised network without its last layer, for images of any size.

    Raises RepriseError for a network that timm builds for one size of images only.
    """
    assert stem == "imagenet" and not keep_imagenet_fc, "params.load refuses it"
    return _backbone(name, None)


def build_classifier(recipe: Options, n_classes: int) -> Classifier:
    """A randomly initialised network for images of the recipe's size, and a new last layer.

    Raises RepriseError if timm cannot build it for that size.
    """
    backbone = _backbone(recipe.model, recipe.image_size)
    return linear_classifier(backbone, recipe.dropout, n_classes)


def _backbone(name: str, size: int | None) -> Backbone:
    """A network whose output is the penultimate layer's, as timm's metadata say."""
    architecture = name.removeprefix(LIBRARY)
    metadata = _metadata(name)
    fixed = metadata.fixed_input_size if metadata else False
    options: dict[str, Any] = {}
    if fixed:
        options = {"dynamic_img_size": True} if size is None else {"img_size": size}
    try:
        net = timm.create_model(architecture, pretrained=False, num_classes=0, **options)
    except Exception as error:  # each architecture decides what it refuses, and how
        raise RepriseError(f"{name}: {_reason(error, size, fixed)}") from None
    backbone = Backbone(net, _width(net))
    _check_output(name, backbone, size or (metadata.input_size[-1] if metadata else 224))
    swap_layers(net, {nn.Conv2d: CroppedConv2d})
    return backbone


def _check_output(name: str, backbone: Backbone, size: int) -> None:
    """Raise RepriseError unless an image of this size gives a vector of the expected length.

    Many architectures fail on sizes that timm lets them be built for.
    """
    image = torch.zeros(1, 3, size, size, device=next(backbone.parameters()).device)
    try:
        with torch.no_grad():
            shape = tuple(backbone.eval()(image).shape)
    except Exception as error:  # each architecture decides what it refuses, and how
        raise RepriseError(
            f"{name}: fails on images of {size} pixels ({one_line(error, 120)}); "
            "change image_size, or choose another network"
        ) from None
    backbone.train()
    if shape != (1, backbone.width):
        raise RepriseError(f"{name}: does not map an image to one vector; choose another network")


def _reason(error: Exception, size: int | None, fixed: bool) -> str:
    """Why timm does not build a network, and what to do."""
    detail = one_line(error, 120)
    if not fixed:
        return f"timm cannot build it ({detail}); choose another network"
    if size is None:
        return (
            "timm builds it for one size of images only; use it in classify, where image_size "
            f"says which, or choose another network ({detail})"
        )
    return f"timm cannot build it for images of {size} pixels ({detail}); change image_size"


def _width(net: Any) -> int:
    """The length of the penultimate layer's output; 0 if timm does not say."""
    width: Any = getattr(net, "head_hidden_size", None) or getattr(net, "num_features", 0)
    return int(width)


def _metadata(name: str) -> Any:
    """timm's description of the published weights; None for a network that it does not know.

    Raises RepriseError if the name has the name of weights after a dot that timm does not have.
    """
    try:
        return timm.get_pretrained_cfg(name.removeprefix(LIBRARY), allow_unregistered=True)
    except RuntimeError:
        architecture, _, tag = name.removeprefix(LIBRARY).partition(".")
        known = [each.partition(".")[2] for each in timm.list_pretrained(f"{architecture}.*")]
        hint = did_you_mean(tag, known) if known else "leave it out"
        raise RepriseError(
            f"{name}: timm has no weights '{tag}' of {architecture}; {hint}"
        ) from None


def normalization(name: str) -> Normalization:
    """Mean and std that the published weights were trained with.

    Raises RepriseError if timm has no weights of the network.
    """
    metadata = _metadata(name)
    if metadata is None:
        raise RepriseError(f"{name}: timm gives no mean and std; set normalize: imagenet")
    return tuple(metadata.mean), tuple(metadata.std)


def load_weights(network: Classifier | Backbone, state: State, path: str) -> None:
    """Load weights that timm published, without their last layer (see `build.load_weights_into`).

    Raises RepriseError (see `load_state`).
    """
    net: Any = (network if isinstance(network, Backbone) else network.backbone).net
    named = net.pretrained_cfg.get("classifier") or ()
    last = [named] if isinstance(named, str) else list(named)
    load_state(net, state, path, without=[f"{layer}." for layer in last])


def url(name: str) -> str:
    """Where timm publishes weights. Raises RepriseError if it has none by this name."""
    metadata = _metadata(name)
    if metadata is not None and metadata.hf_hub_id:
        return hf_hub_url(metadata.hf_hub_id, metadata.hf_hub_filename or "model.safetensors")
    if metadata is None or not metadata.url:
        raise RepriseError(f"timm has no weights '{name}'; see timm.list_pretrained()")
    return str(metadata.url)
