"""Steps of training, as the courses' recipes have them: images a second, and where time goes."""

from functools import partial
from typing import Any

import numpy as np

from bench.gpu import trainings
from bench.gpu.result import Part
from bench.gpu.timing import Sizes, device_of, profile, row, sizes
from reprise.data.inputs import Inputs
from reprise.models.backbone import resnet
from reprise.params import Augment
from reprise.training.classification import FrozenFeatures

VIEWS = 8  # of an image, by the square's symmetries
# of a try, in the place of large ones
SMALL = {"deeplabv3_resnet101": "deeplabv3", "resnext101_64x4d": "cnn", "efficientnet_b2": "cnn"}


def shown(part: Part, title: str, training: trainings.Training, goal: bool) -> None:
    """Time the steps of a training, and take them apart where there is a goal."""
    device, given = device_of(part.tiny), sizes(part.tiny)
    part.say("rows", [row(title, training, training.batch, device, given, goal)])
    if goal:
        part.say("profile", profile(training, device, given))


def small(recipe: Any, part: Part, **changes: Any) -> Any:
    """A recipe with changes; of a try with few and small images, and small networks."""
    if part.tiny:
        changes |= {"batch_size": 2, "width": 0.0625, "image_size": 32, "backbone": "resnet10"}
        model = getattr(recipe, "model", "")
        changes |= {"model": SMALL.get(model, model)}
    known = {name: value for name, value in changes.items() if hasattr(recipe, name)}
    return recipe.model_copy(update=known)


def byol(part: Part) -> None:
    """A step of BYOL: two views, online and target network, optimizer, target update."""
    found = trainings.course().pretrain.recipes["dlcv2024"].byol
    augment = found.augment.model_copy(update={"policy": []})
    recipe = small(found, part, batch_size=128, augment=augment)
    side = 32 if part.tiny else 128
    training = trainings.pretrained(recipe, side, device_of(part.tiny))
    shown(part, f"BYOL, ResNet-50, {side} px", training, True)


def frozen(part: Part) -> None:
    """Settings D and E: the features of each image in its eight views, then steps of the head."""
    device, given = device_of(part.tiny), sizes(part.tiny)
    side, count = (32, 8) if part.tiny else (128, 2048)
    found = trainings.course().finetune.recipes["dlcv2024"].common
    recipe = small(found, part, augment=Augment(dihedral=True))
    rows = [features(recipe, side, count, device, given)]
    part.say("rows", rows)
    training = trainings.finetuned(recipe, side, device, True, count)
    title = "Head on frozen features, 1000-512-7"
    part.say("rows", [*rows, row(title, training, training.batch, device, given)])


def features(recipe: Any, side: int, count: int, device: Any, given: Sizes) -> dict[str, Any]:
    """Each image through the frozen backbone, unchanged and in its eight views."""
    data = trainings.made("classification", side, count)
    inputs = Inputs(data, recipe.augment, 0, device.device)
    backbone = resnet(recipe.backbone, recipe.stem, recipe.imagenet_layer).freeze()
    device.place(backbone)
    step: Any = partial(FrozenFeatures, inputs, backbone, data.rows("train"), device)
    images = (VIEWS - 1) * count + len(np.asarray(data.images))
    title = f"Frozen ResNet-50, features of {VIEWS} views, {side} px"
    return row(title, step, images, device, given, True)


def deeplab(part: Part) -> None:
    """A step of DeepLabV3-ResNet101, images and label maps moved together."""
    recipe = small(trainings.course().segment.recipes["dlcv2021_deeplabv3"], part)
    training = trainings.segmented(recipe, device_of(part.tiny))
    shown(part, f"DeepLabV3-ResNet101, {recipe.image_size} px", training, True)


def fcn32s(part: Part) -> None:
    """A step of FCN-32s on VGG-16."""
    recipe = small(trainings.course().segment.recipes["dlcv2023_fcn32s"], part)
    training = trainings.segmented(recipe, device_of(part.tiny))
    shown(part, f"FCN-32s, {recipe.image_size} px", training, False)


def resnext101(part: Part) -> None:
    """A step of ResNeXt-101 64x4d."""
    found = trainings.course().classify.recipes["dlcv2022_resnext101"]
    recipe = small(found, part, weights="none")
    training = trainings.classified(recipe, device_of(part.tiny))
    shown(part, f"ResNeXt-101 64x4d, {recipe.image_size} px", training, False)
