"""What augmentation takes of a step, the published policies included."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

from bench.gpu import trainings
from bench.gpu.result import Part
from bench.gpu.steps import small
from bench.gpu.timing import device_of, repeated, sizes
from bench.gpu.trainings import Training
from reprise.training.runtime import Device

Build = Callable[[Device], Training]


def shares(part: Part) -> None:
    """Time steps as they are, with one batch for all steps, and batches alone."""
    device, given = device_of(part.tiny), sizes(part.tiny)
    given = replace(given, repetitions=min(3, given.repetitions), seconds=given.seconds / 2)
    for name, build in recipes(part).items():
        training = build(device)
        whole = repeated(training, device, given)
        alone = repeated(batches(training), device, given)
        with_one_batch(training)
        without = repeated(training, device, given)
        times = {"step_ms": whole, "without_ms": without, "batches_ms": alone}
        found = {key: 1e3 * median(value) for key, value in times.items()}
        part.say(name, {"batch": training.batch, **found})


def recipes(part: Part) -> dict[str, Build]:
    """One recipe of each kind of augmentation, the largest batches first."""
    params, side = trainings.course(), 32 if part.tiny else 128
    tuned = small(params.finetune.recipes["dlcv2024"].common, part)
    efficient = small(params.faces.recipes["cs6550_efficientnet_b2"], part, weights="none")
    found: dict[str, Build] = {
        f"BYOL, {run}: {' and '.join(['crops and colours', *recipe.augment.policy])}": partial(
            pretrained, small(recipe, part), side
        )
        for run, recipe in (
            (run, params.pretrain.recipes[run].byol) for run in params.pretrain.runs
        )
    }
    found["ResNet-50, fine-tuned: trivial_wide"] = lambda device: trainings.finetuned(
        tuned, side, device, False, 4 * tuned.batch_size
    )
    found["EfficientNet-B2: crops, colours, autoaugment_cifar10, cutout"] = partial(
        trainings.classified, efficient
    )
    flips = small(params.segment.recipes["dlcv2023_deeplabv3"], part)
    found["DeepLabV3-ResNet101: flips of images and label maps"] = partial(
        trainings.segmented, flips
    )
    return found


def pretrained(recipe: Any, side: int, device: Device) -> Training:
    """BYOL; the recipe comes first, so that it can be bound."""
    return trainings.pretrained(recipe, side, device)


def batches(training: Training) -> Callable[[], None]:
    """The batches of a step, and nothing else of it."""
    names, calls = ("train", "train_with_labels"), []

    def noting(name: str, method: Any) -> Any:
        def call(rows: Any, *given: Any, **named: Any) -> Any:
            calls.append((method, rows, given, named))
            return method(rows, *given, **named)

        return call

    for name in names:
        setattr(training.inputs, name, noting(name, getattr(training.inputs, name)))
    training()
    for name in names:
        delattr(training.inputs, name)

    def again() -> None:
        for method, rows, given, named in calls:
            method(rows, *given, **named)

    return again


def with_one_batch(training: Training) -> None:
    """From now on every step has the batches of one step."""
    inputs, kept = training.inputs, {}

    def keeping(name: str, method: Any) -> Any:
        def call(rows: Any, epoch: int, *given: Any, **named: Any) -> Any:
            key = (name, *(value for value in given if isinstance(value, int)), *named)
            if key not in kept:
                kept[key] = method(rows, epoch, *given, **named)
            return kept[key]

        return call

    for name in ("train", "train_with_labels"):
        setattr(inputs, name, keeping(name, getattr(inputs, name)))
