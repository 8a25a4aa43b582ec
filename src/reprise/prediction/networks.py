"""The network of a run as its recipe describes it, before its weights are loaded."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from reprise.data.inputs import Moments, moments_of
from reprise.models.backbone import resnet
from reprise.models.classifier import DEPTHWISE, classifier, with_head
from reprise.models.segmentation import segmenter
from reprise.params import Params

Classes = list[dict[str, Any]]  # as dataset.json lists them: id, name and, for label maps, color


@dataclass(frozen=True)
class Network:
    """A network, randomly initialised, and how it reads images.

    classes: its answers. image_size: height and width that it reads; None: those of the set.
    votes: so many epochs answered together in training; the model is one of them.
    """

    model: nn.Module
    classes: Classes
    normalise: Moments | None
    image_size: int | None = None
    depthwise: bool = False
    votes: int = 1


def network_of(name: str, params: Params, about: dict[str, Any]) -> Network:
    """The network of a run of params.yaml; about: the dataset.json of the set it learnt from."""
    part, run, *rest = name.split("/")
    if part == "finetune":
        return _finetuned(run, rest[0], params, about)
    if part in ("classify", "faces"):
        return _classifier(part, run, params, about)
    return _segmenter(part, run, params, about)


def _finetuned(run: str, setting: str, params: Params, about: dict[str, Any]) -> Network:
    recipe = params.finetune.recipes[run].training(setting)
    backbone = resnet(recipe.backbone, recipe.stem, recipe.imagenet_layer)
    model = with_head(backbone, recipe.hidden, len(about["classes"]))
    return Network(model, about["classes"], moments_of(recipe.normalise))


def _classifier(part: str, run: str, params: Params, about: dict[str, Any]) -> Network:
    recipe = (params.classify if part == "classify" else params.faces).recipes[run]
    # its trained weights replace whatever it began with
    model = classifier(recipe.model_copy(update={"weights": "none"}), len(about["classes"]))
    return Network(
        model,
        about["classes"],
        moments_of(recipe.normalise, recipe.weights),
        recipe.image_size,
        recipe.model in DEPTHWISE,
        recipe.vote,
    )


def _segmenter(part: str, run: str, params: Params, about: dict[str, Any]) -> Network:
    recipe = (params.segment if part == "segment" else params.street).recipes[run]
    classes = about["classes"]
    if recipe.merge is not None:
        classes = about["merged"][str(recipe.merge)]["classes"]
    model = segmenter(recipe.model, len(classes), recipe.width, recipe.held_norm)
    return Network(model, classes, moments_of(recipe.normalise), recipe.image_size)
