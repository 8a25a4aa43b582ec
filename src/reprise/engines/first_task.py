"""The text of a block for a user's dataset, and of a first task for it.

The recipes are small: they train in minutes on CPU. They are a beginning, to be edited.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from reprise.errors import RepriseError
from reprise.params.load import Params

STEPS = 400  # about, of a training
AUGMENT = "{flip: true, translate: 0.05, degrees: 5}"
VIEWS = "{min_scale: 0.2, flip: true, brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.1}"
DATASET = """\
  {name}:
    source: images
    kind: {kind}
    registered_as: "{name}"
    sha256: "{sha256}"
    origin: {origin}           # what the images are, for the report
    licence: {licence}          # who may use them, for the report
    size: {size}              # pixels of a side
    resize: {resize}         # cover, squash, or crop: the center at its own scale
    val: 0.15             # shares of the images, where no folder or csv file names the split
    test: {test}
    seed: 0               # of the split
"""
# pairs of runs that are compared, with the question of each
QUESTIONS = {
    ("finetune", "scratch"): "Do weights from ImageNet help?",
    ("finetune", "features"): "Does it help to train the whole network?",
    ("deeplabv3", "fcn32s"): "DeepLabV3 or FCN-32s?",
    ("B", "A"): "Does supervised pretraining help?",
    ("C", "A"): "Does self-supervised pretraining help?",
    ("C", "B"): "Self-supervised or supervised pretraining?",
    ("E", "D"): "Self-supervised or supervised features, with a frozen backbone?",
}
HEAD = """\
  {name}:
    data: {name}
    runs: [{runs}]
    seeds: [0, 1, 2]
"""
LITE0 = """\
      {run}:
        model: lite0
        weights: {weights}
        frozen: {frozen}
        image_size: {size}
        epochs: {epochs}
        batch_size: {batch}
        learning_rate: {rate}
        weight_decay: 0.01
        warmup: 1
        augment: {augment}
        feature_epochs: [1, {epochs}]
"""
SEGMENTER = """\
      {run}:
        model: {run}
        image_size: {size}
        {width}epochs: {epochs}
        batch_size: {batch}
        learning_rate: {rate}
        weight_decay: 0.01
        warmup: 1
        augment: {{flip: true}}
"""
BYOL = """\
      byol:
        method: byol
        backbone: resnet10
        stem: small           # 3 x 3 with stride 2 and no pooling, for small images
        epochs: {epochs}
        batch_size: {batch}
        learning_rate: 0.001
        weight_decay: 0.0001
        warmup: 1             # epochs
        base_tau: 0.99        # of the target network; rises to 1 on a cosine
        proj_hidden_dim: 1024
        proj_output_dim: 128
        augment: {views}
"""
SUPERVISED = """\
      supervised:
        method: supervised
        backbone: resnet10
        stem: small
        epochs: {epochs}
        batch_size: {batch}
        learning_rate: 0.001
        weight_decay: 0.01
        warmup: 1
        augment: {augment}
"""
FINETUNE = """\
  {name}:
    data: {name}
    pretraining: {start} # a task of pretrain; `start` below names its runs
    pretraining_seeds: paired # seed s starts from the pretraining of seed s
    seeds: [{seeds}]
    runs: [{runs}]
{comparisons}    common:
      backbone: {backbone}
      stem: {stem}
      head_hidden_dim: 256
      epochs: {epochs}
      batch_size: {batch}
      learning_rate: 0.001
      weight_decay: 0.01
      warmup: 1
      augment: {{flip: true}}
      feature_epochs: [1, {epochs}]
    recipes:
{recipes}"""


def dataset_block(name: str, values: Mapping[str, Any]) -> str:
    """A block of `datasets`; values: of the keys of DATASET, and legend and ignore if there are."""
    texts = {key: json.dumps(values[key], ensure_ascii=False) for key in ("origin", "licence")}
    block = DATASET.format(name=name, **{**values, **texts})
    if values["legend"]:
        block += "    legend:               # id or color in the masks of each class, in order\n"
        for label, value in values["legend"].items():
            block += f"      {json.dumps(label, ensure_ascii=False)}: {_value(value)}\n"
        ignored = ", ".join(map(_value, values["ignore"]))
        block += f"    ignore: [{ignored}]       # ids or colors of pixels that have no class\n"
    return block


def _value(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"[{', '.join(map(str, value))}]"


def epochs_and_batch(images: int, largest: int) -> tuple[int, int]:
    """Epochs and batch size for this many training images."""
    batch = largest
    while batch > 2 and batch * 4 > images:
        batch //= 2
    return max(4, min(12, round(STEPS * batch / max(images, 1)))), batch


def _comparisons(runs: Sequence[str]) -> str:
    """The lines of `comparisons` for runs: pairs whose difference is reported by name."""
    lines = [
        f'      - {{runs: [{first}, {second}], question: "{question}"}}\n'
        for (first, second), question in QUESTIONS.items()
        if {first, second} <= set(runs)
    ]
    return "    comparisons:\n" + "".join(lines)


def _head(name: str, runs: Sequence[str]) -> str:
    return HEAD.format(name=name, runs=", ".join(runs)) + _comparisons(runs)


def classify_block(name: str, images: int, size: int) -> str:
    """Does ImageNet help? Lite0 with its weights, frozen or not, and from scratch."""
    epochs, batch = epochs_and_batch(images, 32)
    shared = {"size": size, "epochs": epochs, "batch": batch, "augment": AUGMENT}
    recipes = "".join(
        LITE0.format(run=run, weights=weights, frozen=frozen, rate=rate, **shared)
        for run, weights, frozen, rate in (
            ("finetune", "imagenet", "false", 0.0005),
            ("features", "imagenet", "true", 0.003),
            ("scratch", "none", "false", 0.001),
        )
    )
    return _head(name, ["finetune", "features", "scratch"]) + f"    recipes:\n{recipes}"


def segment_block(name: str, images: int, size: int, shown: Sequence[str]) -> str:
    """Two small networks, from scratch; shown: ids of test images."""
    epochs, batch = epochs_and_batch(images, 4)
    shared = {"size": size, "epochs": epochs, "batch": batch}
    width = "width_mult: 0.125   # of the channels of VGG-16\n        "
    recipes = SEGMENTER.format(run="deeplabv3", width="", rate=0.001, **shared)
    recipes += SEGMENTER.format(run="fcn32s", width=width, rate=0.0005, **shared)
    ids = ", ".join(json.dumps(name, ensure_ascii=False) for name in shown)
    return (
        _head(name, ["deeplabv3", "fcn32s"])
        + f"    images: [{ids}] # test images whose masks are shown\n    recipes:\n{recipes}"
    )


def pretrain_block(name: str, images: int, labelled: bool) -> str:
    """BYOL, and supervised pretraining where there are labels."""
    epochs, batch = epochs_and_batch(images, 64)
    recipes = BYOL.format(epochs=epochs, batch=batch, views=VIEWS)
    runs = "byol"
    if labelled:
        recipes += SUPERVISED.format(epochs=epochs, batch=batch, augment=AUGMENT)
        runs = "byol, supervised"
    return HEAD.format(name=name, runs=runs) + f"    recipes:\n{recipes}"


def finetune_block(name: str, images: int, start: str, params: Params) -> str:
    """The settings A to E, as far as the pretraining task `start` has runs for them."""
    task = params.pretrain[start]
    supervised = [run for run in task.runs if task.recipes[run].method == "supervised"]
    others = [run for run in task.runs if run not in supervised]
    lines = ["      A: {start: none, frozen: false}\n"]
    for letters, starts in (("BD", supervised[:1]), ("CE", others[:1])):
        for run in starts:
            lines += [
                f"      {letters[0]}: {{start: {run}, frozen: false, learning_rate: 0.0002}}\n",
                f"      {letters[1]}: {{start: {run}, frozen: true}}\n",
            ]
    recipe = task.recipes[task.runs[0]]
    epochs, batch = epochs_and_batch(images, 32)
    runs = sorted(line.strip()[0] for line in lines)
    return FINETUNE.format(
        name=name, start=start, seeds=", ".join(map(str, task.seeds)), runs=", ".join(runs),
        backbone=recipe.backbone, stem=recipe.stem, epochs=epochs, batch=batch,
        recipes="".join(sorted(lines)), comparisons=_comparisons(runs),
    )  # fmt: skip


def require_start(start: str, params: Params) -> None:
    """Raise RepriseError if there is no pretraining task of this name."""
    if start not in params.pretrain:
        known = ", ".join(params.pretrain) or "none yet: register images with TASK=pretrain first"
        raise RepriseError(f"START={start}: not a task of pretrain in params.yaml ({known})")
