"""Settings D and E, a whole training of 100 epochs: features once, or at each epoch.

Both train a head of 512 on a frozen ResNet-50 with 128-pixel images, batch 32, two threads, and
evaluate the select role after each epoch. A repetition is one whole job without the start of its
process: it opens the set, builds and loads the network, trains, and writes.

Ours is workflow/scripts/finetune.py, run inside this process. The other side is the same training
written plainly, with the project's own store, augmentation and optimizer, and the whole network
forward at each step and each evaluation, as every report does, in the same precision and memory
format as ours, so that the ratio is that of the features alone.
"""

import logging
import runpy
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ruamel.yaml import YAML
from torch import Tensor
from torch.nn import functional as F

from bench.measure import ROOT, THREADS, Comparison, Measured, Side, interleave
from bench.sets import random_set
from bench.timing import seconds_of
from reprise.data.inputs import Inputs, Rows
from reprise.data.randomness import order
from reprise.data.store import open_set
from reprise.models.backbone import load_backbone, resnet
from reprise.models.classifier import with_head
from reprise.params import FinetuneCommon, load_params
from reprise.training.loop import make_optimizer
from reprise.training.outputs import write_tensors
from reprise.training.runtime import set_up
from reprise.training.schedules import learning_rate

AUGMENTS = {"flip": {"flip": True}, "dihedral": {"dihedral": True}, "none": {}}


@dataclass(frozen=True)
class Frozen:
    """Files that all sides work on."""

    folder: Path
    weights: Path

    def params(self, augment: str, precision: str) -> Path:
        """A params.yaml: the preset with these values in the place of its own."""
        return self.folder / f"{augment}_{precision}.yaml"


def row(name: str, quick: bool) -> Measured:
    """Ours with 2, 8 and 1 views, and the forward pass at each epoch."""
    counts = {"train": 160, "select": 40, "report": 40}
    epochs, size = (2, 64) if quick else (100, 128)
    logging.getLogger().addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory() as made:
        given = Frozen(Path(made), Path(made) / "backbone.safetensors")
        random_set(given.folder / "set", counts, size)
        torch.manual_seed(0)
        write_tensors(given.weights, resnet("resnet50", "imagenet").net.state_dict())
        for augment in AUGMENTS:
            write_params(given.params(augment, "auto"), augment, "auto", epochs)
        runs: dict[str, Callable[[], None]] = {
            augment: lambda augment=augment: script(given, augment) for augment in AUGMENTS
        }
        runs["each_epoch"] = lambda: plain(given, "auto")
        says = {
            "flip": "Reprise: workflow/scripts/finetune.py with left-right flips, features of the "
            "frozen backbone computed once for each of the 2 views",
            "dihedral": "the same with flips and quarter turns, 8 views",
            "none": "the same without augmentation, 1 view",
            "each_epoch": "forward through the frozen backbone in every epoch, left-right flips, "
            "in the same precision and memory format",
        }
        sides = {key: Side(says[key], seconds_of(run)) for key, run in runs.items()}
        interleave(sides, 1 if quick else 3)
    images = ", ".join(f"{count} {role}" for role, count in counts.items())
    title = f"Frozen ResNet-50 at {size} px, {epochs} epochs"
    return Measured(
        title,
        "s",
        sides,
        [
            Comparison("forward at each epoch, 2 views", "flip", "each_epoch", 30),
            Comparison("forward at each epoch, 8 views", "dihedral", "each_epoch"),
            Comparison("forward at each epoch, no augmentation", "none", "each_epoch"),
        ],
        [
            f"{images} images; whole runs, nothing extrapolated; interpreter start and imports are "
            "left out on all sides. The other side costs the same whatever the views, so its flip "
            "run serves all three."
        ],
    )


def write_params(path: Path, augment: str, precision: str, epochs: int) -> None:
    """The earth preset, its fine-tuning replaced by this row's."""
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load((ROOT / "presets" / "earth.yaml").read_text())
    values["runtime"] |= {"device": "cpu", "precision": precision, "threads": THREADS}
    values["finetune"]["recipes"]["earth"]["common"] |= {
        "backbone": "resnet50", "stem": "imagenet", "hidden": 512, "epochs": epochs,
        "batch_size": 32, "features": [1], "augment": AUGMENTS[augment],
    }  # fmt: skip
    with path.open("w") as stream:
        yaml.dump(values, stream)


def script(given: Frozen, augment: str) -> None:
    """The project's own job, setting D."""
    before = sys.argv
    out = given.folder / "ours" / augment
    sys.argv = ["finetune.py", "--run", "earth", "--setting", "D", "--seed", "0"]
    sys.argv += ["--data", str(given.folder / "set"), "--backbone", str(given.weights)]
    sys.argv += ["--out", str(out), "--params", str(given.params(augment, "auto"))]
    try:
        runpy.run_path(str(ROOT / "workflow" / "scripts" / "finetune.py"), run_name="__main__")
    finally:
        sys.argv = before


def plain(given: Frozen, precision: str) -> None:
    """The same training with the whole network at each step."""
    params = load_params(given.params("flip", precision))
    recipe = params.finetune.recipes["earth"].training("D")
    data, device = open_set(given.folder / "set", "classification"), set_up(params.runtime)
    torch.manual_seed(0)
    backbone = resnet(recipe.backbone, recipe.stem)
    model = with_head(backbone, recipe.hidden, len(data.classes))
    load_backbone(backbone, given.weights)
    backbone.freeze()
    if precision == "auto":
        device.place(model)
    inputs = Inputs(data, recipe.augment, 0, device.device)
    labels = torch.from_numpy(np.array(data.labels)).long()
    optimizer = make_optimizer(recipe, model)

    def logits_of(images: Tensor) -> Tensor:
        if precision == "float32":
            images = images.contiguous()
        with device.autocast():
            found: Tensor = model(images).float()
        return found

    def accuracy(rows: Rows) -> float:
        model.eval()
        right = 0
        with torch.no_grad():
            for first in range(0, len(rows), inputs.at_once):
                chosen = rows[first : first + inputs.at_once]
                right += int((logits_of(inputs.plain(chosen)).argmax(1) == labels[chosen]).sum())
        return right / len(rows)

    best = -1.0
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        rows = data.rows("train")
        for number, chosen in enumerate(batches(rows[order(0, epoch, len(rows))], recipe)):
            step = (epoch - 1) * (len(rows) // recipe.batch_size) + number
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, len(rows) // recipe.batch_size)
            loss = F.cross_entropy(logits_of(inputs.train(chosen, epoch)), labels[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if (now := accuracy(data.rows("select"))) > best:
            best = now
            state = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(state)
    accuracy(data.rows("report"))
    write_tensors(given.folder / "plain.safetensors", state)


def batches(rows: Rows, recipe: FinetuneCommon) -> list[Rows]:
    """Full batches of rows."""
    last = len(rows) - recipe.batch_size + 1
    return [rows[first : first + recipe.batch_size] for first in range(0, last, recipe.batch_size)]
