"""Training steps of the courses' recipes: images per second, and profiles."""

from functools import partial
from typing import Any

from bench.gpu import trainings
from bench.gpu.result import Part
from bench.gpu.timing import Sizes, configure, profile, sizes_of, timed_row
from reprise.datasets.batches import Batches
from reprise.models.build import build_backbone
from reprise.params.training import Augment
from reprise.training.classification import CachedFeatures
from reprise.training.runtime import Device

VIEWS = 8  # of an image, the square's symmetries
# networks of a trial instead of large ones
SMALL = {"deeplabv3_resnet101": "deeplabv3", "resnext101_64x4d": "cnn", "efficientnet_b2": "cnn"}


def record(part: Part, title: str, training: trainings.Training, goal: bool) -> None:
    """Time the steps of a training, and profile them if there is a goal."""
    device, sizes = training.job.context.device, sizes_of(part.tiny)
    part.record("rows", [timed_row(title, training, training.batch, device, sizes, goal)])
    if goal:
        part.record("profile", profile(training, device, sizes))


def adapted(recipe: Any, part: Part, **changes: Any) -> Any:
    """A recipe with changes; in a trial with small batches, images and networks."""
    if part.tiny:
        changes |= {"batch_size": 2, "width_mult": 0.0625, "image_size": 32, "backbone": "resnet10"}
        model = getattr(recipe, "model", "")
        changes |= {"model": SMALL.get(model, model)}
    known = {name: value for name, value in changes.items() if hasattr(recipe, name)}
    return recipe.model_copy(update=known)


def byol(part: Part) -> None:
    """A step of BYOL: two views, online and target network, optimizer, target update."""
    recipe = trainings.course().pretrain["dlcv2024"].recipes["byol"]
    augment = recipe.augment.model_copy(update={"auto_augment": []})
    recipe = adapted(recipe, part, batch_size=128, augment=augment)
    side = 32 if part.tiny else 128
    training = trainings.byol_training(recipe, side, configure(part.tiny))
    record(part, f"BYOL, ResNet-50, {side} px", training, True)


def frozen(part: Part) -> None:
    """Runs D and E: the features of each image in its eight views, then steps of the head."""
    device, sizes = configure(part.tiny), sizes_of(part.tiny)
    side, count = (32, 8) if part.tiny else (128, 2048)
    recipe = trainings.course().finetune["dlcv2024"].common
    recipe = adapted(recipe, part, augment=Augment(dihedral=True))
    rows = [feature_row(recipe, side, count, device, sizes)]
    part.record("rows", rows)
    training = trainings.finetuning(recipe, side, device, True, count)
    title = "Head on frozen features, 1000-512-7"
    part.record("rows", [*rows, timed_row(title, training, training.batch, device, sizes)])


def feature_row(recipe: Any, side: int, count: int, device: Device, sizes: Sizes) -> dict[str, Any]:
    """Each image through the frozen backbone, unchanged and in its eight views."""
    data = trainings.random_dataset("classification", side, count)
    batches = Batches(data, recipe.augment, 0, device.device)
    backbone = build_backbone(recipe.backbone, recipe.stem, recipe.keep_imagenet_fc).freeze()
    device.to_device(backbone)
    step = partial(CachedFeatures, batches, backbone, data.rows("train"), device)
    images = (VIEWS - 1) * count + len(data.images)
    title = f"Frozen ResNet-50, features of {VIEWS} views, {side} px"
    return timed_row(title, step, images, device, sizes, True)


def deeplab(part: Part) -> None:
    """A step of DeepLabV3-ResNet101; images and label maps move together."""
    recipe = trainings.course().segment["dlcv2021"].recipes["deeplabv3"]
    training = trainings.segmentation_training(adapted(recipe, part), configure(part.tiny))
    record(part, f"DeepLabV3-ResNet101, {training.side} px", training, True)


def fcn32s(part: Part) -> None:
    """A step of FCN-32s on VGG-16."""
    recipe = trainings.course().segment["dlcv2023"].recipes["fcn32s"]
    training = trainings.segmentation_training(adapted(recipe, part), configure(part.tiny))
    record(part, f"FCN-32s, {training.side} px", training, False)


def resnext101(part: Part) -> None:
    """A step of ResNeXt-101 64x4d."""
    recipe = trainings.course().classify["dlcv2022"].recipes["resnext101"]
    recipe = adapted(recipe, part, weights="none")
    training = trainings.classification_training(recipe, configure(part.tiny))
    record(part, f"ResNeXt-101 64x4d, {training.side} px", training, False)
