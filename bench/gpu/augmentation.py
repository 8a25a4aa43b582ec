"""The share of augmentation in a step, including the published policies."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

from bench.gpu import trainings
from bench.gpu.result import Part
from bench.gpu.steps import adapted
from bench.gpu.timing import configure, repeated, sizes_of
from bench.gpu.trainings import Training
from reprise.training.runtime import Device

Build = Callable[[Device], Training]
METHODS = ("train_batch", "train_batch_with_labels")  # of Batches


def shares(part: Part) -> None:
    """Time steps as they are, with the same batch in each step, and batches without steps."""
    device, sizes = configure(part.tiny), sizes_of(part.tiny)
    sizes = replace(sizes, repetitions=min(3, sizes.repetitions), seconds=sizes.seconds / 2)
    for name, build in recipes(part).items():
        training = build(device)
        times = {"step_ms": repeated(training, device, sizes)}
        times["batches_ms"] = repeated(batches_of_step(training), device, sizes)
        repeat_batch(training)
        times["without_ms"] = repeated(training, device, sizes)
        medians = {key: 1e3 * median(seconds) for key, seconds in times.items()}
        part.record(name, {"batch": training.batch, **medians})


def recipes(part: Part) -> dict[str, Build]:
    """One recipe of each kind of augmentation, the largest batches first."""
    params, side = trainings.course(), 32 if part.tiny else 128
    builds: dict[str, Build] = {}
    for task in params.pretrain.values():
        recipe = task.recipes["byol"]
        words = " and ".join(["crops and colors", *recipe.augment.auto_augment])
        changed = adapted(recipe, part)
        title = f"BYOL, batch {recipe.batch_size}: {words}"
        builds[title] = partial(trainings.byol_training, changed, side)
    tuned = adapted(params.finetune["dlcv2024"].common, part)
    efficient = params.classify["cs6550"].recipes["efficientnet_b2"]
    flips = params.segment["dlcv2023"].recipes["deeplabv3"]
    return builds | {
        "ResNet-50, fine-tuned: trivial_wide": lambda device: trainings.finetuning(
            tuned, side, device, False, 4 * tuned.batch_size
        ),
        "EfficientNet-B2: crops, colors, autoaugment_cifar10, cutout": partial(
            trainings.classification_training, adapted(efficient, part, weights="none")
        ),
        "DeepLabV3-ResNet101: flips of images and label maps": partial(
            trainings.segmentation_training, adapted(flips, part)
        ),
    }


def batches_of_step(training: Training) -> Callable[[], None]:
    """A function that makes the batches of a step, and does nothing else of it."""
    batches, calls = training.job.context.batches, []

    def recording(method: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            calls.append(partial(method, *args, **options))
            return method(*args, **options)

        return call

    for name in METHODS:
        setattr(batches, name, recording(getattr(batches, name)))
    training()
    for name in METHODS:
        delattr(batches, name)

    def make_batches() -> None:
        for call in calls:
            call()

    return make_batches


def repeat_batch(training: Training) -> None:
    """Give every further step the batches of the next one."""
    batches, made = training.job.context.batches, {}

    def caching(name: str, method: Any) -> Any:
        def call(rows: Any, epoch: int, *args: Any, **options: Any) -> Any:
            key = (name, *(value for value in args if isinstance(value, int)), *options)
            if key not in made:
                made[key] = method(rows, epoch, *args, **options)
            return made[key]

        return call

    for name in METHODS:
        setattr(batches, name, caching(name, getattr(batches, name)))
